/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/store-fixture.h"

#include "broker/limits.h"
#include "broker/store-verify.h"
#include "tests/bench/long-trail.h"
#include "tests/unit/test-vfs.h"
#include "util/clock.h"

#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

/* Removing old records: as far as it is to go and no further (which is that: test-retention.c), in turns that
 * nothing waits for, and with a base that fits what is left at every instant. */

#define DAY 86400

/* --- a trail -------------------------------------------------------------------------------------------- */

/* A store with a trail that was written evenly over this time. */
static void seed(struct fixture *f, int n, int64_t from_ago_sec, int64_t to_ago_sec)
{
    char key[120];
    (void)snprintf(key, sizeof(key), "%s-audit.key", f->path);
    const struct long_trail trail = {
        .database = f->path,
        .key_file = key,
        .n = n,
        .from_sec = wall_sec() - from_ago_sec,
        .to_sec = wall_sec() - to_ago_sec,
        .n_per_epoch = 10,
    };
    assert_int_equal(fixture_open(f), 0);
    fixture_close(f);
    assert_int_equal(long_trail_write(&trail), 0);
    test_vfs_reset();
    assert_int_equal(fixture_open(f), 0);
    assert_null(store_trail_health(f->store));
}

/* A login that was renewed just now: with the newest records. */
static void prove_clock(struct fixture *f)
{
    int64_t grant;
    uint64_t generation;
    assert_int_equal(add_grant(f, alice(), "Atzr|one", &grant), 0);
    assert_int_equal(finish(f, grant, 1, STORE_TOKEN_CURRENT, NULL, &generation), 0);
}

/* At once: what differs from the bounds of before is looked at without delay. */
static void bound(struct fixture *f, int64_t keep_sec, int64_t max_bytes)
{
    const struct retention none = {.keep_sec = 0}, limits = {.keep_sec = keep_sec, .max_bytes = max_bytes};
    store_set_retention(f->store, &none);
    store_set_retention(f->store, &limits);
}

static bool is_at(struct fixture *f, const char *sql, int64_t value)
{
    (void)uv_run(&f->loop, UV_RUN_NOWAIT);
    return number(f, sql) == value;
}

#define await_number(f, sql, value)                                                                          \
    do {                                                                                                     \
        while (!is_at(f, sql, value))                                                                        \
            (void)usleep(1000);                                                                              \
    } while (0)

#define BASE "SELECT coalesce(max(sequence), 0) FROM audit_base"
#define FIRST "SELECT min(sequence) FROM audit"
#define COUNT "SELECT count(*) FROM audit"
#define PRUNED "SELECT count(*) FROM audit WHERE event = 'trail-pruned'"
#define LIVE_BYTES "SELECT (page_count - freelist_count) * 4096 FROM pragma_page_count, pragma_freelist_count"

/* Whatever instant it is of: what is gone is said to be gone, and all else is there. */
static void assert_fits(const char *path)
{
    assert_int_equal(number_at(path, "SELECT (" FIRST ") = (" BASE ") + 1"), 1);
    assert_int_equal(number_at(path, "SELECT (" COUNT
                                     ") + coalesce((SELECT removed FROM audit_base), 0) = max(sequence)"
                                     " FROM audit"),
                     1);
    assert_int_equal(number_at(path, "SELECT (" BASE ") = 0 OR (" PRUNED ") > 0"), 1);
    assert_int_equal(number_at(path, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
}

static void on_verified(struct store_reply *reply, void *userdata)
{
    int *n_damage = userdata;
    assert_int_equal(reply->r, 0);
    assert_true(reply->verify->removed_up_to > 0);
    *n_damage = (int)reply->verify->n_damage;
}

/* The verifier takes it for whole: with the present key, which has sealed what was removed. */
static void assert_verifies(struct fixture *f)
{
    const struct store_verify_request request = {.secret = NULL};
    int n_damage = -1;
    assert_int_equal(store_verify_query(f->store, 0, &request, on_verified, &n_damage, NULL), 0);
    while (n_damage < 0)
        (void)uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(n_damage, 0);
}

/* --- what goes ------------------------------------------------------------------------------------------ */

/* The last record that is older. */
static int64_t last_before(struct fixture *f, int64_t ago_sec)
{
    char sql[96];
    (void)snprintf(sql, sizeof(sql), "SELECT max(sequence) FROM audit WHERE time_sec < unixepoch() - %lld",
                   (long long)ago_sec);
    return number(f, sql);
}

static void goes_by_age(void **state)
{
    struct fixture *f = *state;
    seed(f, 800, 30 * DAY, DAY);
    prove_clock(f);
    int64_t target = last_before(f, 7 * DAY);
    assert_in_range(target, 500, 700);
    bound(f, 7 * DAY, 0);
    await_number(f, BASE, target);
    assert_int_equal(number(f, "SELECT time_sec < unixepoch() - 7 * 86400 FROM audit_base"), 1);
    assert_int_equal(number(f, PRUNED " AND detail LIKE 'up to %, by age'"), 1);
    assert_int_equal(number(f, PRUNED), 1);
    assert_fits(f->path);
    assert_verifies(f);

    /* The next run goes on from there, in the next life too. */
    reopen(f);
    assert_null(store_trail_health(f->store));
    target = last_before(f, 4 * DAY);
    bound(f, 4 * DAY, 0);
    await_number(f, BASE, target);
    assert_int_equal(number(f, "SELECT removed = sequence FROM audit_base"), 1);
    assert_fits(f->path);
}

/* Without a proof that the clock is right nothing is old. */
static void needs_a_clock(void **state)
{
    struct fixture *f = *state;
    int64_t sequence;
    seed(f, 200, 30 * DAY, DAY);
    (void)number(f, "UPDATE audit SET event = 'token-rejected' WHERE event = 'token-refreshed'");
    bound(f, 7 * DAY, 0);
    for (int i = 0; i < 50; i++) /* so often it could have looked */
        assert_int_equal(audit(f, AUDIT_BROKER_STARTED, "", &sequence), 0);
    assert_int_equal(number(f, BASE), 0);
    prove_clock(f);
    int64_t target = last_before(f, 7 * DAY);
    bound(f, 7 * DAY, 0);
    await_number(f, BASE, target);
}

static void await_size(struct fixture *f, int64_t bytes)
{
    while (number(f, LIVE_BYTES) > bytes)
        (void)usleep(1000);
}

static void goes_by_size(void **state)
{
    struct fixture *f = *state;
    seed(f, 8000, 30 * DAY, 2 * DAY);
    int64_t bytes = number(f, LIVE_BYTES), last = number(f, "SELECT max(sequence) FROM audit");
    int64_t pages = number(f, "PRAGMA page_count");
    bound(f, 0, bytes / 2);
    await_size(f, bytes / 2);
    assert_in_range(number(f, PRUNED " AND detail LIKE 'up to %, by size'"), 1, 4);
    assert_true(number(f, FIRST) < last);
    assert_true(number(f, LIVE_BYTES) > bytes / 3); /* no more than it has to */

    /* What is free is used again. */
    assert_true(number(f, "PRAGMA freelist_count") > 100);
    int64_t sequence;
    for (int i = 0; i < 2000; i++)
        assert_int_equal(store_audit(f->store, long_trail_record(i), NULL, NULL, NULL), 0);
    assert_int_equal(audit(f, AUDIT_BROKER_STARTED, "", &sequence), 0);
    assert_true(number(f, "PRAGMA page_count") <= pages + 20);
    assert_fits(f->path);
}

/* An idle store does not keep the loop alive: something has to be done for its news to come. */
static void await_held(struct fixture *f, bool is_held)
{
    int64_t sequence;
    while ((store_trail_health(f->store) != NULL) != is_held)
        assert_int_equal(audit(f, AUDIT_BROKER_STARTED, "", &sequence), 0);
}

static void young_ones_stay(void **state)
{
    struct fixture *f = *state;
    seed(f, 3000, DAY, 600);
    bound(f, 0, 4096);
    await_held(f, true);
    while (number(f, BASE) < last_before(f, LIMIT_TRAIL_YOUNG_SEC + 120))
        (void)usleep(1000);
    bound(f, 0, INT64_C(1) << 40);
    await_held(f, false);
    assert_in_range(number(f, "SELECT unixepoch() - min(time_sec) FROM audit"), LIMIT_TRAIL_YOUNG_SEC - 60,
                    LIMIT_TRAIL_YOUNG_SEC + 240);
    assert_fits(f->path);
}

static void present_epoch_stays(void **state)
{
    struct fixture *f = *state;
    int64_t sequence;
    seed(f, 95, 2 * DAY, DAY);
    for (int i = 0; i < 20; i++)
        assert_int_equal(audit(f, AUDIT_BROKER_STARTED, "", &sequence), 0);
    (void)number(f,
                 "UPDATE audit SET time_sec = unixepoch() - 86400, boot_id = zeroblob(16), expires_sec = 0");
    int64_t target =
        number(f, "SELECT max(sequence) FROM audit WHERE epoch < (SELECT max(epoch) FROM audit)");
    assert_in_range(target, 90, sequence - 19);
    bound(f, 0, 4096);
    await_held(f, true);
    await_number(f, BASE, target);
    assert_fits(f->path);
}

/* --- what it costs -------------------------------------------------------------------------------------- */

/* What arrives goes before the next removal, however much is to be removed. */
static void nothing_waits(void **state)
{
    struct fixture *f = *state;
    int64_t sequence;
    seed(f, 6000, 30 * DAY, DAY);
    prove_clock(f);
    int64_t target = last_before(f, 7 * DAY);
    test_vfs_slow_sync(3);
    bound(f, 7 * DAY, 0);
    await_number(f, "SELECT (" BASE ") > 0", 1);
    unsigned n_most = 0;
    for (int i = 0; i < 40; i++) {
        unsigned before = test_vfs_count_syncs();
        assert_int_equal(audit(f, AUDIT_TOKEN_DENIED, "user:a", &sequence), 0);
        unsigned n = test_vfs_count_syncs() - before;
        n_most = n > n_most ? n : n_most;
    }
    assert_true(number(f, BASE) < target); /* it did go on beside it */
    /* A removal, its checkpoint, the new begin of the WAL, the commit, and what follows before we look. */
    assert_true(n_most <= 8);
    test_vfs_slow_sync(0);
    await_number(f, BASE, target);
}

/* Nor does the WAL grow for it, while a reader keeps it from being emptied. */
static void wal_is_bounded(void **state)
{
    struct fixture *f = *state;
    sqlite3 *reader;
    struct stat st;
    seed(f, 15000, 30 * DAY, DAY);
    prove_clock(f);
    int64_t target = last_before(f, 7 * DAY);
    assert_int_equal(sqlite3_open_v2(f->path, &reader, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM meta", NULL, NULL, NULL), SQLITE_OK);
    bound(f, 7 * DAY, 0);
    await_number(f, "SELECT (" BASE ") > 100", 1);
    int64_t base = -1;
    while (number(f, BASE) != base) { /* until it waits for the reader */
        base = number(f, BASE);
        (void)usleep(50000);
    }
    assert_true(base < target);
    assert_int_equal(stat(fixture_path(f, "store.db-wal"), &st), 0);
    assert_true(st.st_size < 3 * STORE_WAL_PAGES * 4120);
    assert_int_equal(sqlite3_exec(reader, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(reader);
    await_number(f, BASE, target);
    assert_int_equal(stat(fixture_path(f, "store.db-wal"), &st), 0);
    assert_true(st.st_size < 3 * STORE_WAL_PAGES * 4120);
}

/* --- what can happen ------------------------------------------------------------------------------------ */

static void power_can_fail(void **state)
{
    struct fixture *f = *state;
    seed(f, 1500, 30 * DAY, DAY);
    prove_clock(f);
    int64_t target = last_before(f, 7 * DAY);
    bound(f, 7 * DAY, 0);
    int64_t base = 0, n_seen = 0;
    while (base < target) {
        const char *cut = cut_power(f);
        int64_t now = number_at(cut, BASE);
        n_seen += now > base && now < target;
        base = now;
        assert_fits(cut);
        if (n_seen == 5)
            break;
    }
    assert_true(n_seen > 2);
    fixture_close(f);

    /* The next start goes on where it was. */
    test_vfs_reset();
    assert_int_equal(fixture_open_at(f, fixture_path(f, "cut.db")), 0);
    bound(f, 7 * DAY, 0);
    while (number_at(fixture_path(f, "cut.db"), BASE) != target)
        (void)usleep(1000);
    assert_fits(fixture_path(f, "cut.db"));
}

/* True: the n-th write was reached. */
static bool fail_once(struct fixture *f, unsigned n, int code, bool sticky)
{
    int64_t sequence;
    (void)unlink(f->path);
    seed(f, 9, 30 * DAY, DAY);
    prove_clock(f);
    int64_t target = last_before(f, 7 * DAY);
    unsigned before = test_vfs_count_writes() + test_vfs_count_syncs();
    test_vfs_fail_at(n, code, sticky);
    bound(f, 7 * DAY, 0);
    while (test_vfs_count_writes() + test_vfs_count_syncs() - before < n && number(f, BASE) < target)
        (void)usleep(500);
    bool reached = test_vfs_count_writes() + test_vfs_count_syncs() - before >= n;
    assert_fits(cut_power(f));
    test_vfs_fail_at(0, 0, false);

    /* It goes on by itself when there is room again, and so does what it disturbed. */
    while (audit(f, AUDIT_BROKER_STARTED, "after", &sequence) != 0)
        ;
    while (store_health(f->store))
        assert_int_equal(audit(f, AUDIT_BROKER_STARTED, "after", &sequence), 0);
    bound(f, 7 * DAY - 1, 0);
    await_number(f, BASE, target);
    fixture_close(f);
    assert_fits(f->path);
    test_vfs_reset();
    return reached;
}

static void every_write_can_fail(void **state)
{
    struct fixture *f = *state;
    static const struct {
        int code;
        bool sticky;
    } cases[] = {{SQLITE_FULL, true}, {SQLITE_IOERR_WRITE, false}, {SQLITE_IOERR_FSYNC, true}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        unsigned n = 1;
        while (fail_once(f, n, cases[i].code, cases[i].sticky))
            assert_true((n += i == 0 ? 1 : 5) < 2000); /* others differ in little: not at each */
        assert_true(n > 15);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(goes_by_age),     TEST(needs_a_clock),       TEST(goes_by_size),
        TEST(young_ones_stay), TEST(present_epoch_stays), TEST(nothing_waits),
        TEST(wal_is_bounded),  TEST(power_can_fail),      TEST(every_write_can_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
