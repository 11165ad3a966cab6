/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/trail.h"

#include "broker/audit-verify.h"
#include "tests/unit/test-vfs.h"
#include "util/clock.h"

#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

/* The chain of the trail while the store runs: records, epochs, setups, and what fails. */

static void add(struct fixture *f, const char *app)
{
    int64_t sequence;
    assert_int_equal(audit(f, AUDIT_TOKEN_DISCLOSED, app, &sequence), 0);
}

/* Turns the loop until the database holds so many records of the event. */
static void await_records(struct fixture *f, const char *event, int64_t n)
{
    char sql[96];
    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM audit WHERE event = '%s'", event);
    while (number(f, sql) < n) {
        (void)uv_run(&f->loop, UV_RUN_NOWAIT);
        (void)usleep(1000);
    }
}

static void sleep_epochs(const struct fixture *f, unsigned n)
{
    (void)usleep((useconds_t)(n * f->epoch_usec));
}

/* The first key, which the file has until the first epoch ends. */
static void open_with_key(struct fixture *f, uint64_t epoch_usec, struct audit_chain_key *ret)
{
    assert_int_equal(fixture_open(f), 0);
    trail_key(f, ret);
    fixture_close(f);
    f->epoch_usec = epoch_usec;
    assert_int_equal(fixture_open(f), 0);
}

/* --- records ----------------------------------------------------------------------------------------- */

static void every_record_is_chained(void **state)
{
    struct fixture *f = *state;
    _cleanup_chain_key_ struct audit_chain_key first;
    _cleanup_trail_ struct trail trail;
    int64_t grant, account;
    uint64_t generation;
    open_with_key(f, 0, &first);
    for (int i = 0; i < 40; i++)
        assert_int_equal(store_audit(f->store, new_record(AUDIT_TOKEN_DENIED, "user:b"), NULL, NULL, NULL),
                         0);
    assert_int_equal(add_grant(f, alice(), "Atzr|one", &grant), 0);
    assert_int_equal(finish(f, grant, 1, STORE_TOKEN_CURRENT, "Atzr|two", &generation), 0);
    assert_int_equal(add_account(f, grant, "main", 'c', &account), 0);
    reopen(f);
    add(f, "user:a");
    trail_read(f->path, &trail);
    trail_assert_whole(&trail, &first);
    assert_int_equal(trail.n, 1 + 40 + 1 + 1 + 3 + 1); /* the key, ..., an account of three records */
    assert_int_equal(trail.records[0]->event, AUDIT_TRAIL_KEY_CREATED);
    assert_memory_equal(trail.records[0]->detail, "first ", 6);
    assert_null(store_trail_health(f->store));
}

/* What is undone gives no number away, and nothing is linked to it. */
static void undone_operation_leaves_no_trace(void **state)
{
    struct fixture *f = *state;
    _cleanup_chain_key_ struct audit_chain_key first;
    _cleanup_trail_ struct trail trail;
    int64_t grant;
    open_with_key(f, 0, &first);
    assert_int_equal(add_grant(f, alice(), "Atzr|one", &grant), 0);
    (void)number(f, "CREATE UNIQUE INDEX once ON audit (app) WHERE app = 'bad'"); /* its second record */
    test_vfs_slow_sync(20); /* so that the rest ends up in one batch */
    _cleanup_result_ struct result bad = {.done = false}, last = {.done = false};
    for (int i = 0; i < 3; i++)
        assert_int_equal(store_audit(f->store, new_record(AUDIT_TOKEN_DENIED, "a"), NULL, NULL, NULL), 0);
    struct store_link link = {.grant = grant, .id = "x", .label = "x"};
    assert_int_equal(
        store_link(f->store, &link, new_record(AUDIT_LOGIN_FINISHED, "bad"), on_reply, &bad, NULL), 0);
    assert_int_equal(store_audit(f->store, new_record(AUDIT_TOKEN_DENIED, "b"), on_reply, &last, NULL), 0);
    await(f, &last);
    test_vfs_slow_sync(0);
    assert_true(bad.r == -EBUSY && last.r == 0 && last.row == 6);
    trail_read(f->path, &trail);
    trail_assert_whole(&trail, &first);
}

/* Whatever write fails, once or from then on: what was reported as done is there, and the chain is whole. */
static void every_write_can_fail(void **state)
{
    enum { N = 12, WRITES = 120 };
    struct fixture *f = *state;
    _cleanup_chain_key_ struct audit_chain_key first;
    _cleanup_trail_ struct trail trail;
    open_with_key(f, 3 * USEC_PER_MSEC, &first);
    int64_t n_done = 0, n_failed = 0;
    for (unsigned i = 1; i <= WRITES; i++) {
        struct result results[N] = {{.done = false}};
        test_vfs_fail_at(i / 4 + 1, i % 2 ? SQLITE_FULL : SQLITE_IOERR_FSYNC, i % 3 == 0);
        for (size_t k = 0; k < N; k++)
            assert_int_equal(
                store_audit(f->store, new_record(AUDIT_TOKEN_DISCLOSED, "a"), on_reply, &results[k], NULL),
                0);
        await(f, &results[N - 1]);
        test_vfs_fail_at(0, 0, false);
        for (size_t k = 0; k < N; k++) {
            n_done += results[k].r == 0 ? 1 : 0;
            n_failed += results[k].r == 0 ? 0 : 1;
            if (results[k].r == 0)
                assert_int_equal(results[k].row > 0, 1);
        }
    }
    assert_true(n_done > N && n_failed > N);
    add(f, "user:z");
    trail_read(f->path, &trail);
    trail_assert_whole(&trail, &first);
    assert_true((int64_t)trail_count(&trail, AUDIT_TOKEN_DISCLOSED) >= n_done + 1);
    assert_int_equal(trail_count(&trail, AUDIT_TRAIL_DAMAGED), 0);
    reopen(f);
    assert_null(store_trail_health(f->store));
}

/* Somebody else's record in the place of the next one. */
static void foreign_record_is_damage(void **state)
{
    struct fixture *f = *state;
    int64_t sequence;
    _cleanup_trail_ struct trail trail;
    assert_int_equal(fixture_open(f), 0);
    add(f, "user:a");
    (void)number(f, "INSERT INTO audit SELECT 3, time_sec, event, uid, 'user:evil', kind, strength, account,"
                    " owner, owner_uid, asked, carried, verdict, decided_by, detail, grant_row, expires_sec,"
                    " repeats, fingerprint, hash, chain, unit, program, boot_usec, boot_id, request, epoch,"
                    " seal, repeats_epoch, repeats_seal FROM audit WHERE sequence = 2");
    assert_int_equal(number(f, "SELECT count(*) FROM audit"), 3);
    assert_int_equal(audit(f, AUDIT_TOKEN_DISCLOSED, "user:a", &sequence), -EBUSY);
    add(f, "user:b");
    trail_read(f->path, &trail);
    assert_string_equal(trail_detail(&trail, AUDIT_TRAIL_DAMAGED), "altered at 3");
    assert_int_equal(trail.records[trail.n - 1]->sequence, 5);
    assert_non_null(store_trail_health(f->store));
}

/* --- epochs ------------------------------------------------------------------------------------------ */

static void epoch_ends_and_key_moves_on(void **state)
{
    struct fixture *f = *state;
    _cleanup_chain_key_ struct audit_chain_key first, now;
    _cleanup_trail_ struct trail trail;
    open_with_key(f, 0, &first);
    assert_true(folder_holds(f, secret_bytes(first.key), secret_size(first.key)));
    fixture_close(f);
    f->epoch_usec = 20 * USEC_PER_MSEC;
    assert_int_equal(fixture_open(f), 0);
    await_records(f, "trail-sealed", 1); /* by itself: the epoch has a record */
    while (folder_holds(f, secret_bytes(first.key), secret_size(first.key)))
        (void)usleep(1000);
    for (int64_t n = 2; n <= 4; n++) {
        add(f, "user:a");
        await_records(f, "trail-sealed", n);
    }
    fixture_close(f);
    trail_key(f, &now);
    assert_int_equal(now.epoch, 5);
    assert_int_equal(now.first_epoch, 1);
    trail_read(f->path, &trail);
    trail_assert_whole(&trail, &first);
    assert_int_equal(trail.records[trail.n - 1]->epoch, 4);
}

static void idle_trail_does_not_wake(void **state)
{
    struct fixture *f = *state;
    f->epoch_usec = 5 * USEC_PER_MSEC;
    assert_int_equal(fixture_open(f), 0);
    await_records(f, "trail-sealed", 1);
    int64_t n = number(f, "SELECT count(*) FROM audit");
    unsigned writes = test_vfs_count_writes();
    sleep_epochs(f, 20);
    assert_int_equal(number(f, "SELECT count(*) FROM audit"), n);
    assert_int_equal(test_vfs_count_writes(), writes);
}

/* Waits until the status says so. */
static void await_health(struct fixture *f, const char *words)
{
    for (;;) {
        const char *health = store_trail_health(f->store);
        if (words ? health && strstr(health, words) : !health)
            return;
        add(f, "user:a"); /* a loop that waits for nothing looks at nothing */
        (void)usleep(5000);
    }
}

/* The trail goes on without it, it is said, and the file is written as soon as that is possible. */
static void key_file_can_be_written_later(void **state)
{
    struct fixture *f = *state;
    _cleanup_chain_key_ struct audit_chain_key first, now;
    _cleanup_trail_ struct trail trail;
    open_with_key(f, 20 * USEC_PER_MSEC, &first);
    /* The file is gone, and where a new one would be made something is in the way. */
    assert_int_equal(mkdir(fixture_path(f, KEY_FILE ".new"), 0700), 0);
    assert_int_equal(unlink(fixture_path(f, KEY_FILE)), 0);
    add(f, "user:a");
    await_health(f, "key");
    int64_t ends = number(f, "SELECT count(*) FROM audit WHERE event = 'trail-sealed'");
    add(f, "user:b");
    await_records(f, "trail-sealed", ends + 1);
    assert_int_equal(access(fixture_path(f, KEY_FILE), F_OK), -1);
    assert_int_equal(rmdir(fixture_path(f, KEY_FILE ".new")), 0);
    await_health(f, NULL);
    reopen(f);
    assert_null(store_trail_health(f->store));
    fixture_close(f);
    trail_key(f, &now);
    assert_int_equal(now.first_epoch, 1);
    trail_read(f->path, &trail);
    trail_assert_whole(&trail, &first);
    assert_int_equal(trail_count(&trail, AUDIT_TRAIL_DAMAGED), 0);
}

/* A start in the middle of an epoch does not make it longer. */
static void epoch_goes_on_over_a_start(void **state)
{
    struct fixture *f = *state;
    f->epoch_usec = 3600 * USEC_PER_SEC;
    assert_int_equal(fixture_open(f), 0);
    add(f, "user:a");
    fixture_close(f);
    /* An hour and some ago, by the clock of the records. */
    (void)number(f, "UPDATE audit SET time_sec = time_sec - 3700");
    assert_int_equal(fixture_open(f), 0);
    await_records(f, "trail-sealed", 1);
    add(f, "user:b");
    reopen(f);
    add(f, "user:c");
    assert_int_equal(number(f, "SELECT count(*) FROM audit WHERE event = 'trail-sealed'"), 1);
}

/* --- who is told ------------------------------------------------------------------------------------- */

struct told {
    int64_t last;
    unsigned n, n_sealed;
    bool failed;
};

static void on_told(const struct audit_record *record, void *userdata)
{
    struct told *told = userdata;
    told->failed |= !record->has_hash || record->epoch == 0 || record->time_sec == 0;
    told->failed |= record->sequence != told->last + 1;
    told->last = record->sequence;
    told->n++;
    told->n_sealed += record->event == AUDIT_TRAIL_SEALED ? 1 : 0;
}

static void all_records_are_told_in_order(void **state)
{
    struct fixture *f = *state;
    struct told told = {.n = 0};
    f->epoch_usec = 2 * USEC_PER_MSEC;
    assert_int_equal(fixture_open(f), 0);
    store_on_record(f->store, on_told, &told);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(store_audit(f->store, new_record(AUDIT_TOKEN_DENIED, "a"), NULL, NULL, NULL), 0);
        (void)usleep(i % 10 == 0 ? 1000 : 0);
    }
    add(f, "user:b");
    fixture_close(f);
    assert_false(told.failed);
    assert_int_equal(told.n, number(f, "SELECT count(*) FROM audit"));
    assert_true(told.n_sealed >= 2);
    /* Not even by a microsecond does the time run backwards. */
    assert_int_equal(number(f, "SELECT count(*) FROM audit a JOIN audit b ON b.sequence = a.sequence + 1"
                               " WHERE b.boot_usec < a.boot_usec OR b.time_sec < a.time_sec"),
                     0);
}

/* --- setup ------------------------------------------------------------------------------------------- */

static void set_up(struct fixture *f, struct audit_chain_key *ret)
{
    _cleanup_result_ struct result result = {.done = false};
    assert_int_equal(store_setup_audit(f->store, new_record(AUDIT_TRAIL_KEY_CREATED, "user:root"), on_reply,
                                       &result, NULL),
                     0);
    await(f, &result);
    assert_int_equal(result.r, 0);
    *ret = (struct audit_chain_key){
        .epoch = result.epoch, .first_epoch = result.epoch, .key = TAKE_PTR(result.token)};
}

/* The verifier's rules, with a key and without. */
static void assert_verified(const struct trail *trail, const struct audit_chain_key *key, uint64_t n_proven)
{
    _cleanup_(audit_verify_freep) struct audit_verify *v = NULL;
    const struct audit_verify_options options = {.key = key, .findings_max = 1};
    struct audit_verify_report report;
    assert_int_equal(audit_verify_new(&options, &v), 0);
    for (size_t i = 0; i < trail->n; i++)
        assert_int_equal(audit_verify_add(v, trail->records[i]), 0);
    assert_int_equal(audit_verify_finish(v, &report), 0);
    if (report.n_damage > 0)
        fail_msg("%s", report.findings[0].text);
    assert_int_equal(report.n_proven, n_proven);
}

static void setup_hands_out_what_is_not_kept(void **state)
{
    struct fixture *f = *state;
    _cleanup_chain_key_ struct audit_chain_key first, secret, now;
    _cleanup_trail_ struct trail trail, rest = {.n = 0};
    open_with_key(f, 0, &first);
    add(f, "user:a");
    set_up(f, &secret);
    assert_int_equal(secret.epoch, 2);
    assert_int_equal(secret_size(secret.key), AUDIT_CHAIN_KEY_BYTES);
    assert_false(folder_holds(f, secret_bytes(secret.key), AUDIT_CHAIN_KEY_BYTES));
    assert_false(folder_holds(f, secret_bytes(first.key), AUDIT_CHAIN_KEY_BYTES));
    add(f, "user:b");
    fixture_close(f);
    trail_key(f, &now);
    assert_true(now.epoch == 3 && now.first_epoch == 2);

    trail_read(f->path, &trail);
    static const enum audit_event events[] = {AUDIT_TRAIL_KEY_CREATED, AUDIT_TOKEN_DISCLOSED,
                                              AUDIT_TRAIL_SEALED,      AUDIT_TRAIL_KEY_CREATED,
                                              AUDIT_TRAIL_SEALED,      AUDIT_TOKEN_DISCLOSED};
    static const uint64_t epochs[] = {1, 1, 1, 2, 2, 3};
    assert_int_equal(trail.n, ARRAY_SIZE(events));
    for (size_t i = 0; i < trail.n; i++)
        assert_true(trail.records[i]->event == events[i] && trail.records[i]->epoch == epochs[i]);
    assert_memory_equal(trail.records[3]->detail, "setup ", 6);
    assert_string_equal(trail.records[2]->detail, trail.records[3]->detail); /* vouches for the new key */
    assert_string_equal(trail.records[3]->app, "user:root");
    assert_verified(&trail, NULL, 0);
    assert_verified(&trail, &first, 3);
    assert_verified(&trail, &secret, 3);
    assert_verified(&trail, &now, 1);
    /* The old secret proves the first three, the new one the others. */
    rest = (struct trail){.records = trail.records, .n = 3};
    trail_assert_whole(&rest, &first);
    rest = (struct trail){.records = NULL};
    struct audit_chain_key key = {.key = NULL};
    assert_int_equal(audit_chain_key_copy(&secret, &key), 0);
    for (size_t i = 3; i < trail.n; i++) {
        unsigned char seal[AUDIT_SEAL_BYTES];
        if (key.epoch < trail.records[i]->epoch)
            assert_int_equal(audit_chain_key_evolve(&key), 0);
        audit_chain_seal(&key, trail.records[i]->hash, seal);
        assert_memory_equal(seal, trail.records[i]->seal, sizeof(seal));
    }
    audit_chain_key_clear(&key);
}

/* A setup whose transaction fails, at any write: as if it had not been, or all of it. */
static void setup_can_fail_at_each_write(void **state)
{
    struct fixture *f = *state;
    _cleanup_chain_key_ struct audit_chain_key first;
    open_with_key(f, 0, &first);
    unsigned n = 1;
    for (bool is_done = false; !is_done; n++) {
        _cleanup_result_ struct result result = {.done = false};
        _cleanup_trail_ struct trail trail = {.n = 0};
        test_vfs_fail_at(n, n % 2 ? SQLITE_FULL : SQLITE_IOERR_FSYNC, true);
        assert_int_equal(store_setup_audit(f->store, new_record(AUDIT_TRAIL_KEY_CREATED, "user:root"),
                                           on_reply, &result, NULL),
                         0);
        await(f, &result);
        test_vfs_fail_at(0, 0, false);
        is_done = result.r == 0;
        assert_true(is_done == (result.token != NULL));
        if (is_done)
            break;
        add(f, "user:a");
        trail_read(f->path, &trail);
        trail_assert_whole(&trail, &first); /* sealed with the key of before */
    }
    assert_true(n > 3);
    reopen(f);
    assert_null(store_trail_health(f->store));
}

/* --- the view ---------------------------------------------------------------------------------------- */

static void view_is_of_one_instant(void **state)
{
    struct fixture *f = *state;
    _cleanup_chain_key_ struct audit_chain_key first;
    open_with_key(f, 2 * USEC_PER_MSEC, &first);
    for (int i = 0; i < 200; i++) {
        struct store_chain_view view;
        _cleanup_chain_key_ struct audit_chain_key key;
        char sql[96];
        add(f, "user:a");
        assert_int_equal(store_chain_view(f->store, &view), 0);
        (void)snprintf(sql, sizeof(sql),
                       "SELECT epoch + (event = 'trail-sealed') FROM audit WHERE sequence = %lld",
                       (long long)view.head.sequence);
        assert_int_equal(number(f, sql), view.key.epoch);
        assert_int_equal(audit_chain_key_copy(&first, &key), 0);
        while (key.epoch < view.key.epoch)
            assert_int_equal(audit_chain_key_evolve(&key), 0);
        assert_true(secret_equal(key.key, view.key.key));
        store_chain_view_clear(&view);
    }
}

static void repeats_are_sealed(void **state)
{
    struct fixture *f = *state;
    _cleanup_chain_key_ struct audit_chain_key first;
    _cleanup_trail_ struct trail trail;
    unsigned char seal[AUDIT_SEAL_BYTES];
    open_with_key(f, 0, &first);
    add(f, "user:a");
    assert_int_equal(store_count_repeats(f->store, 2, 7), 0);
    add(f, "user:b");
    trail_read(f->path, &trail);
    trail_assert_whole(&trail, &first);
    assert_int_equal(trail.records[1]->repeats, 7);
    assert_int_equal(trail.records[1]->repeats_epoch, 1);
    audit_chain_seal_repeats(&first, 2, 7, seal);
    assert_memory_equal(seal, trail.records[1]->repeats_seal, sizeof(seal));
    assert_int_equal(trail.records[2]->repeats_epoch, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_record_is_chained),
        TEST(undone_operation_leaves_no_trace),
        TEST(every_write_can_fail),
        TEST(foreign_record_is_damage),
        TEST(epoch_ends_and_key_moves_on),
        TEST(key_file_can_be_written_later),
        TEST(idle_trail_does_not_wake),
        TEST(epoch_goes_on_over_a_start),
        TEST(all_records_are_told_in_order),
        TEST(setup_hands_out_what_is_not_kept),
        TEST(setup_can_fail_at_each_write),
        TEST(view_is_of_one_instant),
        TEST(repeats_are_sealed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
