/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/store-fixture.h"

#include "tests/unit/test-vfs.h"

#include <string.h>

/* The audit trail, and the queue in front of the thread: batches, order, slots, closing. */

#define BEFORE 1 /* the record of the trail's key comes before all others */

/* --- audit ---------------------------------------------------------------------------------------------- */

static void record_comes_back_whole(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_open(f), 0);
    struct audit_record *r = new_record(AUDIT_TOKEN_DISCLOSED, "user:musicd");
    r->uid = 20001;
    r->kind = strdup("user");
    r->strength = strdup("uid");
    r->account = strdup("main");
    r->owner = strdup("alice");
    r->owner_uid = 1000;
    r->asked = strdup("music::library:read");
    r->carried = strdup("music::library music::library:read");
    r->verdict = strdup("allow");
    r->decided_by = strdup("table");
    r->chain = strdup("strength=unit pinned=yes; music.conf:3 allow");
    r->unit = strdup("musicd.service");
    r->program = strdup("/usr/bin/musicd");
    r->grant = 5;
    r->expires_sec = 1800000000;
    r->has_fingerprint = true;
    store_fingerprint(f->store, "Atza|x", 6, r->fingerprint);
    unsigned char print[AUDIT_FINGERPRINT_BYTES];
    memcpy(print, r->fingerprint, sizeof(print));
    _cleanup_result_ struct result written = {.done = false}, result = {.done = false};
    assert_int_equal(store_audit(f->store, r, on_reply, &written, NULL), 0);
    await(f, &written);
    assert_int_equal(written.row, BEFORE + 1);

    query(f, NULL, (struct store_page){.after = BEFORE, .limit = 10}, &result);
    assert_int_equal(result.n_records, 1);
    const struct audit_record *got = result.records[0];
    assert_true(got->sequence == BEFORE + 1 && got->event == AUDIT_TOKEN_DISCLOSED &&
                got->time_sec > 1600000000);
    assert_true(got->uid == 20001 && got->owner_uid == 1000 && got->grant == 5);
    assert_true(got->expires_sec == 1800000000 && got->repeats == 0 && got->has_fingerprint);
    assert_memory_equal(got->fingerprint, print, sizeof(print));
    assert_string_equal(got->app, "user:musicd");
    assert_string_equal(got->kind, "user");
    assert_string_equal(got->strength, "uid");
    assert_string_equal(got->account, "main");
    assert_string_equal(got->owner, "alice");
    assert_string_equal(got->asked, "music::library:read");
    assert_string_equal(got->carried, "music::library music::library:read");
    assert_string_equal(got->verdict, "allow");
    assert_string_equal(got->decided_by, "table");
    assert_string_equal(got->detail, "");
    assert_string_equal(got->chain, "strength=unit pinned=yes; music.conf:3 allow");
    assert_string_equal(got->unit, "musicd.service");
    assert_string_equal(got->program, "/usr/bin/musicd");
}

static void query_pages(void **state)
{
    struct fixture *f = *state;
    int64_t sequence;
    assert_int_equal(fixture_open(f), 0);
    for (int i = 0; i < 10; i++) {
        struct audit_record *r = new_record(AUDIT_TOKEN_DENIED, "user:a");
        r->owner_uid = i % 2 ? 1001 : i % 4 ? 1000 : (uid_t)-1;
        assert_int_equal(store_audit(f->store, r, NULL, NULL, NULL), 0);
    }
    assert_int_equal(audit(f, AUDIT_TOKEN_DENIED, "user:b", &sequence), 0);
    assert_int_equal(sequence, BEFORE + 11);

    static const struct {
        int64_t after;
        unsigned limit;
        bool newest;
        uid_t uid;
        size_t n;
        int64_t first, last, next;
    } cases[] = {
        {0, 1000, false, (uid_t)-1, 11, 1, 11, 0}, {0, 4, false, (uid_t)-1, 4, 1, 4, 4},
        {4, 4, false, (uid_t)-1, 4, 5, 8, 8},      {8, 4, false, (uid_t)-1, 3, 9, 11, 0},
        {7, 4, false, (uid_t)-1, 4, 8, 11, 0},     {11, 4, false, (uid_t)-1, 0, 0, 0, 0},
        {0, 3, true, (uid_t)-1, 3, 9, 11, 9},      {9, 3, true, (uid_t)-1, 3, 6, 8, 6},
        {3, 9, true, (uid_t)-1, 2, 1, 2, 0},       {1, 9, true, (uid_t)-1, 0, 0, 0, 0},
        {0, 2, false, 1001, 2, 2, 4, 4},           {4, 5, false, 1001, 3, 6, 10, 0},
        {0, 2, true, 1001, 2, 8, 10, 8},           {0, 9, false, 1000, 2, 3, 7, 0},
        {0, 9, false, 4242, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_result_ struct result result = {.done = false};
        struct audit_filter filter;
        audit_filter_init(&filter);
        filter.owner_uid = cases[i].uid;
        filter.event = AUDIT_TOKEN_DENIED;
        bool is_start = cases[i].newest && cases[i].after == 0;
        query(f, &filter,
              (struct store_page){.after = is_start ? 0 : BEFORE + cases[i].after,
                                  .limit = cases[i].limit,
                                  .is_newest = cases[i].newest},
              &result);
        assert_int_equal(result.n_records, cases[i].n);
        assert_int_equal(result.next, cases[i].next ? BEFORE + cases[i].next : 0);
        if (result.n_records > 0) {
            assert_int_equal(result.records[0]->sequence, BEFORE + cases[i].first);
            assert_int_equal(result.records[result.n_records - 1]->sequence, BEFORE + cases[i].last);
        }
    }
}

static void repeats_ride_along(void **state)
{
    struct fixture *f = *state;
    int64_t first, second;
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(audit(f, AUDIT_TOKEN_DISCLOSED, "user:a", &first), 0);
    unsigned syncs = test_vfs_count_syncs();
    for (uint64_t i = 1; i <= 1000; i++)
        assert_int_equal(store_count_repeats(f->store, first, i), 0);
    assert_int_equal(test_vfs_count_syncs(), syncs); /* no commit of its own */
    assert_int_equal(audit(f, AUDIT_TOKEN_DISCLOSED, "user:b", &second), 0);
    assert_int_equal(number(f, "SELECT repeats FROM audit WHERE sequence = 2"), 1000);
    assert_true(test_vfs_count_syncs() <= syncs + 2);

    /* Many different ones, none lost when the store closes. */
    for (int64_t i = 0; i < 200; i++)
        assert_int_equal(store_audit(f->store, new_record(AUDIT_TOKEN_DISCLOSED, ""), NULL, NULL, NULL), 0);
    assert_int_equal(audit(f, AUDIT_TOKEN_DISCLOSED, "user:b", &second), 0);
    for (int64_t i = second; i > 3; i--)
        assert_int_equal(store_count_repeats(f->store, i, (uint64_t)i), 0);
    reopen(f);
    assert_int_equal(number(f, "SELECT count(*) FROM audit WHERE repeats <> sequence AND sequence > 3"), 0);
}

static void hashes_are_keyed(void **state)
{
    struct fixture *f = *state;
    unsigned char a[AUDIT_FINGERPRINT_BYTES], b[AUDIT_FINGERPRINT_BYTES], c[STORE_CUSTOMER_BYTES],
        d[STORE_CUSTOMER_BYTES];
    assert_int_equal(fixture_open(f), 0);
    store_fingerprint(f->store, "Atza|x", 6, a);
    store_customer_hash(f->store, "Atza|x", c);
    assert_memory_not_equal(a, c, sizeof(a));
    reopen(f);
    store_fingerprint(f->store, "Atza|x", 6, b);
    store_customer_hash(f->store, "Atza|x", d);
    assert_memory_equal(a, b, sizeof(a));
    assert_memory_equal(c, d, sizeof(c));
    store_fingerprint(f->store, "Atza|y", 6, b);
    assert_memory_not_equal(a, b, sizeof(a));
    fixture_close(f);
    assert_int_equal(fixture_open_at(f, fixture_path(f, "another.db")), 0);
    store_fingerprint(f->store, "Atza|x", 6, b);
    assert_memory_not_equal(a, b, sizeof(a));
}

/* --- queueing ------------------------------------------------------------------------------------------- */

struct order {
    int next;
    bool failed;
};

struct ordered {
    struct order *order;
    int number;
};

static void on_ordered(struct store_reply *reply, void *userdata)
{
    struct ordered *o = userdata;
    o->order->failed |= reply->r != 0 || o->order->next != o->number;
    o->order->next++;
}

static void commits_in_groups_and_in_order(void **state)
{
    enum { N = 100 };
    struct fixture *f = *state;
    struct order order = {.next = 0};
    struct ordered ordered[N];
    assert_int_equal(fixture_open(f), 0);
    test_vfs_slow_sync(30);
    unsigned syncs = test_vfs_count_syncs();
    for (int i = 0; i < N; i++) {
        ordered[i] = (struct ordered){&order, i};
        assert_int_equal(
            store_audit(f->store, new_record(AUDIT_TOKEN_DISCLOSED, "user:a"), on_ordered, &ordered[i], NULL),
            0);
    }
    while (order.next < N)
        (void)uv_run(&f->loop, UV_RUN_ONCE);
    assert_false(order.failed);
    assert_true(test_vfs_count_syncs() - syncs <= 6); /* a lone first one, the rest, and the WAL's header */
    test_vfs_slow_sync(0);
}

/* Sixteen who each ask again as soon as they are answered, some time apart. */
#define CLIENTS 16
#define ROUNDS 10

struct crowd {
    struct fixture *f;
    unsigned n_left, n_open;
};

static void ask_again(struct crowd *crowd);

static void on_crowd(struct store_reply *reply, void *userdata)
{
    struct crowd *crowd = userdata;
    assert_int_equal(reply->r, 0);
    crowd->n_open--;
    (void)usleep(50);
    ask_again(crowd);
}

static void ask_again(struct crowd *crowd)
{
    if (crowd->n_left == 0)
        return;
    crowd->n_left--;
    crowd->n_open++;
    assert_int_equal(
        store_audit(crowd->f->store, new_record(AUDIT_TOKEN_DENIED, "user:a"), on_crowd, crowd, NULL), 0);
}

/* The first who comes back gets no commit for himself. */
static void those_who_come_back_together_share_a_commit(void **state)
{
    struct fixture *f = *state;
    struct crowd crowd = {.f = f, .n_left = CLIENTS * ROUNDS};
    assert_int_equal(fixture_open(f), 0);
    test_vfs_slow_sync(100); /* a part of it is long, also where others take the processor */
    unsigned before = test_vfs_count_syncs();
    for (unsigned i = 0; i < CLIENTS; i++)
        ask_again(&crowd);
    while (crowd.n_open > 0)
        (void)uv_run(&f->loop, UV_RUN_ONCE);
    /* All but a few hold all: alone and fifteen, in turns, would be twice as many. */
    assert_in_range(test_vfs_count_syncs() - before, ROUNDS, ROUNDS + ROUNDS / 2);
}

static void one_failure_stays_alone(void **state)
{
    struct fixture *f = *state;
    int64_t grant;
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(add_grant(f, alice(), "Atzr|one", &grant), 0);
    test_vfs_slow_sync(20); /* so that the rest ends up in one batch */
    _cleanup_result_ struct result first = {.done = false}, bad = {.done = false}, last = {.done = false};
    assert_int_equal(store_audit(f->store, new_record(AUDIT_BROKER_STARTED, ""), NULL, NULL, NULL), 0);
    assert_int_equal(store_audit(f->store, new_record(AUDIT_BROKER_STARTED, ""), on_reply, &first, NULL), 0);
    assert_int_equal(store_refresh_finish(f->store, grant, 99, STORE_TOKEN_CURRENT, NULL,
                                          new_record(AUDIT_TOKEN_REFRESHED, "bad"), on_reply, &bad, NULL),
                     0);
    assert_int_equal(store_audit(f->store, new_record(AUDIT_BROKER_STARTED, ""), on_reply, &last, NULL), 0);
    await(f, &last);
    test_vfs_slow_sync(0);
    assert_int_equal(first.r, 0);
    assert_int_equal(bad.r, STORE_E_GONE);
    assert_int_equal(last.r, 0);
    assert_int_equal(number(f, "SELECT count(*) FROM audit WHERE app = 'bad'"), 0);
    assert_int_equal(number(f, "SELECT count(*) FROM audit WHERE event = 'broker-started'"), 3);
}

/* An operation that fails after it has written leaves nothing, and neither does a counter take others along.
 */
static void failure_undoes_its_own_rows(void **state)
{
    struct fixture *f = *state;
    int64_t grant, sequence;
    uint64_t generation;
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(audit(f, AUDIT_BROKER_STARTED, "user:alice", &sequence), 0);
    (void)number(f, "CREATE UNIQUE INDEX once ON audit (app)"); /* its record, written last, is refused */
    assert_int_equal(add_grant(f, alice(), "Atzr|one", &grant), -EBUSY);
    assert_int_equal(number(f, "SELECT (SELECT count(*) FROM grant) + (SELECT count(*) FROM owner)"), 0);
    (void)number(f, "DROP INDEX once");
    assert_int_equal(add_grant(f, alice(), "Atzr|one", &grant), 0);

    (void)number(f, "ALTER TABLE audit RENAME TO hidden");
    assert_int_equal(store_count_repeats(f->store, sequence, 5), 0);
    assert_int_equal(begin(f, grant, 1, STORE_TOKEN_CURRENT, "Atzr|one"), 0);
    assert_int_equal(finish(f, grant, 1, STORE_TOKEN_CURRENT, "Atzr|two", &generation), -EIO);
    (void)number(f, "ALTER TABLE hidden RENAME TO audit");
    assert_int_equal(finish(f, grant, 1, STORE_TOKEN_CURRENT, "Atzr|two", &generation), 0);
    reopen(f);
    assert_int_equal(number(f, "SELECT repeats FROM audit WHERE sequence = 2"), 5); /* not forgotten */
}

static void on_never(struct store_reply *reply _unused_, void *userdata)
{
    *(bool *)userdata = true;
}

static void dropped_slot_is_silent(void **state)
{
    struct fixture *f = *state;
    bool called = false;
    int64_t sequence;
    assert_int_equal(fixture_open(f), 0);
    struct store_op *op = NULL;
    assert_int_equal(store_audit(f->store, new_record(AUDIT_LOGIN_BEGUN, "x"), on_never, &called, &op), 0);
    store_op_drop(op);
    struct audit_filter all;
    audit_filter_init(&all);
    const struct store_page page = {.limit = 5};
    for (int i = 0; i < 9; i++) { /* some under way, some that wait */
        assert_int_equal(store_audit_query(f->store, &all, &page, 0, on_never, &called, &op), 0);
        store_op_drop(op);
    }
    assert_int_equal(store_audit_query(f->store, &all, &page, 0, on_never, &called, &op), 0);
    store_op_drop(op);
    assert_int_equal(audit(f, AUDIT_LOGIN_BEGUN, "y", &sequence), 0);
    assert_int_equal(sequence, BEFORE + 2); /* it happened all the same */
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_false(called);
}

static void close_drains(void **state)
{
    struct fixture *f = *state;
    struct result results[40] = {{.done = false}}, queries[8] = {{.done = false}};
    struct audit_filter all;
    const struct store_page page = {.limit = 5};
    audit_filter_init(&all);
    assert_int_equal(fixture_open(f), 0);
    test_vfs_slow_sync(5);
    for (size_t i = 0; i < ARRAY_SIZE(results); i++)
        assert_int_equal(
            store_audit(f->store, new_record(AUDIT_LOGIN_BEGUN, "x"), on_reply, &results[i], NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(queries); i++)
        assert_int_equal(store_audit_query(f->store, &all, &page, 0, on_reply, &queries[i], NULL), 0);
    store_close(TAKE_PTR(f->store)); /* and no turn of the loop */
    for (size_t i = 0; i < ARRAY_SIZE(results); i++)
        assert_true(results[i].done && results[i].r == 0);
    for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
        assert_true(queries[i].done && (queries[i].r == 0 || queries[i].r == -ESHUTDOWN));
        result_clear(&queries[i]);
    }
    test_vfs_slow_sync(0);
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(number(f, "SELECT count(*) FROM audit"), BEFORE + ARRAY_SIZE(results));
}

static void on_close_there(struct store_reply *reply, void *userdata)
{
    struct fixture *f = userdata;
    assert_int_equal(reply->r, 0);
    struct store *s = f->store;
    f->store = NULL;
    store_close(s);
}

static void on_count(struct store_reply *reply, void *userdata)
{
    *(int *)userdata += reply->r == 0;
}

static void closes_from_a_callback(void **state)
{
    struct fixture *f = *state;
    int n = 0;
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(store_audit(f->store, new_record(AUDIT_LOGIN_BEGUN, ""), on_close_there, f, NULL), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(store_audit(f->store, new_record(AUDIT_LOGIN_BEGUN, ""), on_count, &n, NULL), 0);
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_null(f->store);
    assert_int_equal(n, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(record_comes_back_whole),
        TEST(query_pages),
        TEST(repeats_ride_along),
        TEST(hashes_are_keyed),
        TEST(commits_in_groups_and_in_order),
        TEST(those_who_come_back_together_share_a_commit),
        TEST(one_failure_stays_alone),
        TEST(failure_undoes_its_own_rows),
        TEST(dropped_slot_is_silent),
        TEST(close_drains),
        TEST(closes_from_a_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
