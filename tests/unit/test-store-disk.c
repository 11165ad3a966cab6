/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/store-fixture.h"

#include "tests/unit/test-vfs.h"

#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

/* What a disk, a crash or an administrator can do to the store: writes that fail, power cuts, damaged files,
 * the wrong key. I3 and I4 stand on this: what was acknowledged is there afterwards, whatever happened. */

/* --- power cuts ----------------------------------------------------------------------------------------- */

struct acknowledged {
    struct fixture *f;
    int64_t n;
    bool lost;
};

static void on_acknowledged(struct store_reply *reply, void *userdata)
{
    struct acknowledged *a = userdata;
    assert_int_equal(reply->r, 0);
    a->n++;
    a->lost |= number_at(cut_power(a->f), "SELECT count(*) FROM audit") < a->n;
}

static void acknowledged_is_durable(void **state)
{
    struct fixture *f = *state;
    struct acknowledged a = {.f = f};
    assert_int_equal(fixture_open(f), 0);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(
            store_audit(f->store, new_record(AUDIT_TOKEN_DISCLOSED, "user:a"), on_acknowledged, &a, NULL), 0);
        if (i % 3 == 0)
            (void)uv_run(&f->loop, UV_RUN_ONCE);
    }
    while (a.n < 30)
        (void)uv_run(&f->loop, UV_RUN_ONCE);
    assert_false(a.lost);
}

/* Each step of a refresh, seen from the other side of a power cut right after its callback. */
static void refresh_is_durable(void **state)
{
    struct fixture *f = *state;
    int64_t grant, account;
    uint64_t generation;
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(add_grant(f, alice(), "Atzr|one", &grant), 0);
    const char *cut = cut_power(f);
    assert_int_equal(number_at(cut, "SELECT intent_sec > 0 AND generation = 1 FROM grant"), 1);
    assert_int_equal(finish(f, grant, 1, STORE_TOKEN_CURRENT, NULL, &generation), 0);
    cut = cut_power(f);
    assert_int_equal(number_at(cut, "SELECT intent_sec IS NULL FROM grant"), 1);
    assert_int_equal(add_account(f, grant, "main", 'c', &account), 0);
    cut = cut_power(f);
    assert_int_equal(number_at(cut, "SELECT count(*) FROM account"), 1);
    assert_int_equal(begin(f, grant, 1, STORE_TOKEN_CURRENT, "Atzr|one"), 0);
    cut = cut_power(f);
    assert_int_equal(number_at(cut, "SELECT intent_generation FROM grant"), 1);
    assert_int_equal(finish(f, grant, 1, STORE_TOKEN_CURRENT, "Atzr|two", &generation), 0);
    (void)cut_power(f);

    /* The store itself opens what is left, without another word. */
    fixture_close(f);
    test_vfs_reset();
    assert_int_equal(fixture_open_at(f, fixture_path(f, "cut.db")), 0);
    struct loaded l = load(f);
    assert_true(l.n_accounts == 1 && l.grant.generation == 2 && !l.grant.intent_open && l.grant.has_previous);
    assert_int_equal(begin(f, grant, 2, STORE_TOKEN_CURRENT, "Atzr|two"), 0);
    assert_int_equal(begin(f, grant, 2, STORE_TOKEN_PREVIOUS, "Atzr|one"), 0);
}

/* Enough to go through checkpoints, with a power cut after each of many. */
static void checkpoints_lose_nothing(void **state)
{
    struct fixture *f = *state;
    int64_t sequence = 0;
    assert_int_equal(fixture_open(f), 0);
    for (int i = 0; i < 40; i++) {
        for (int j = 0; j < 200; j++)
            assert_int_equal(
                store_audit(f->store, new_record(AUDIT_TOKEN_DENIED, "user:a"), NULL, NULL, NULL), 0);
        assert_int_equal(audit(f, AUDIT_TOKEN_DISCLOSED, "user:b", &sequence), 0);
        assert_true(number_at(cut_power(f), "SELECT max(sequence) FROM audit") >= sequence);
    }
    struct stat st;
    assert_int_equal(stat(fixture_path(f, "store.db-wal"), &st), 0);
    assert_true(st.st_size < 4 << 20); /* it does not grow for ever */
}

/* --- writes that fail ----------------------------------------------------------------------------------- */

enum { N_OPS = 6 };

struct script {
    int64_t grant, doomed;
    struct result results[N_OPS];
    char apps[N_OPS][8]; /* names the operation's record */
};

/* One of each kind, queued at once or one by one. Each writes a record of its own. */
static void submit(struct fixture *f, struct script *s, int i)
{
    struct store_grant grant = {.owner = bob(), .endpoint = "https://e", .client_id = "c"};
    struct result *result = &s->results[i];
    (void)snprintf(s->apps[i], sizeof(s->apps[i]), "op%d", i);
    struct audit_record *record = new_record(AUDIT_TOKEN_REFRESHED, s->apps[i]);
    int r = -1;
    switch (i) {
    case 0:
        r = store_add_grant(f->store, &grant, new_token("Atzr|bob"), record, on_reply, result, NULL);
        break;
    case 1:
        audit_record_free(record); /* has none */
        r = store_refresh_begin(f->store, s->grant, 1, STORE_TOKEN_CURRENT, on_reply, result, NULL);
        break;
    case 2:
        r = store_refresh_finish(f->store, s->grant, 1, STORE_TOKEN_CURRENT, new_token("Atzr|two"), record,
                                 on_reply, result, NULL);
        break;
    case 3:
        r = store_remove_grant(f->store, s->doomed, record, on_reply, result, NULL);
        break;
    default:
        r = store_audit(f->store, record, on_reply, result, NULL);
    }
    assert_int_equal(r, 0);
}

static void assert_kept(const char *path, const struct script *s, bool and_not_more)
{
    for (int i = 0; i < N_OPS; i++) {
        char sql[80];
        (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM audit WHERE app = '%s'", s->apps[i]);
        bool there = i == 1 || number_at(path, sql) == 1;
        if (s->results[i].r == 0)
            assert_true(there);
        else if (and_not_more && i != 1)
            assert_false(there);
    }
    int64_t generation = s->results[2].r == 0 ? 2 : 1;
    char sql[64];
    (void)snprintf(sql, sizeof(sql), "SELECT generation FROM grant WHERE id = %d", (int)s->grant);
    if (and_not_more || generation == 2)
        assert_int_equal(number_at(path, sql), generation);
}

/* True: the n-th write was reached. */
static bool fail_once(struct fixture *f, unsigned n, int code, bool sticky, bool at_once)
{
    struct script s = {.grant = 0};
    int64_t sequence;
    (void)unlink(f->path);
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(add_grant(f, alice(), "Atzr|one", &s.grant), 0);
    assert_int_equal(add_grant(f, alice(), "Atzr|doomed", &s.doomed), 0);

    unsigned before = test_vfs_count_writes() + test_vfs_count_syncs();
    test_vfs_fail_at(n, code, sticky);
    for (int i = 0; i < N_OPS; i++) {
        submit(f, &s, i);
        if (!at_once)
            await(f, &s.results[i]);
    }
    for (int i = 0; i < N_OPS; i++) {
        await(f, &s.results[i]);
        int r = s.results[i].r;
        assert_true(r == 0 || r == (code == SQLITE_FULL ? -ENOSPC : -EIO));
        /* Begun: the token to send. Not stored: the new one, back to whoever has to try again. */
        bool is_new = i == 0 || i == 2;
        assert_int_equal(s.results[i].token != NULL, (i == 1 && r == 0) || (is_new && r < 0));
    }
    bool reached = test_vfs_count_writes() + test_vfs_count_syncs() - before >= n;
    assert_kept(cut_power(f), &s, false);

    test_vfs_fail_at(0, 0, false); /* there is room again: it goes on by itself */
    assert_int_equal(audit(f, AUDIT_BROKER_STARTED, "after", &sequence), 0);
    uint64_t generation = s.results[2].r == 0 ? 2 : 1;
    assert_int_equal(
        begin(f, s.grant, generation, STORE_TOKEN_CURRENT, generation == 2 ? "Atzr|two" : "Atzr|one"), 0);
    fixture_close(f);
    assert_kept(f->path, &s, true);
    assert_int_equal(fixture_open(f), 0); /* undamaged */
    fixture_close(f);
    for (int i = 0; i < N_OPS; i++)
        result_clear(&s.results[i]);
    test_vfs_reset();
    return reached;
}

static void every_write_can_fail(void **state)
{
    struct fixture *f = *state;
    static const struct {
        int code;
        bool sticky, at_once;
    } cases[] = {
        {SQLITE_FULL, true, false},
        {SQLITE_FULL, false, true},
        {SQLITE_IOERR_WRITE, false, false},
        {SQLITE_IOERR_FSYNC, true, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        unsigned n = 1;
        while (fail_once(f, n, cases[i].code, cases[i].sticky, cases[i].at_once))
            assert_true(++n < 300);
        assert_true(n > 8); /* it did go through them */
    }
}

static void every_write_of_the_first_start_can_fail(void **state)
{
    struct fixture *f = *state;
    unsigned n = 1;
    int r;
    for (;; n++) {
        test_vfs_fail_at(n, SQLITE_FULL, true);
        r = fixture_open(f);
        test_vfs_fail_at(0, 0, false);
        if (r == 0)
            break;
        assert_int_equal(r, -ENOSPC);
        assert_int_equal(fixture_open(f), 0); /* the next start is a first start again */
        fixture_close(f);
        (void)unlink(f->path);
        test_vfs_reset();
    }
    assert_true(n > 10);
}

/* --- files that are not as they should be --------------------------------------------------------------- */

#define N_FILES 7

struct snapshot {
    bool exists[N_FILES];
    unsigned char *bytes[N_FILES];
    size_t n[N_FILES];
};

static struct snapshot take_snapshot(const struct fixture *f)
{
    static const char *const names[N_FILES] = {"store.db",     "store.db-wal",     "store.db-shm",
                                               "store.db.new", "store.db.new-wal", "store.db-journal",
                                               "master"};
    struct snapshot s;
    for (int i = 0; i < N_FILES; i++) {
        const char *path = fixture_path(f, names[i]);
        s.exists[i] = access(path, F_OK) == 0;
        s.n[i] = read_file(path, &s.bytes[i]);
    }
    return s;
}

static void snapshot_free(struct snapshot *s)
{
    for (int i = 0; i < N_FILES; i++)
        free(s->bytes[i]);
}

static void assert_open_leaves_all(struct fixture *f, int expected)
{
    test_vfs_reset();
    _cleanup_(snapshot_free) struct snapshot before = take_snapshot(f);
    assert_int_equal(fixture_open(f), expected);
    assert_null(f->store);
    _cleanup_(snapshot_free) struct snapshot after = take_snapshot(f);
    for (int i = 0; i < N_FILES; i++) {
        assert_int_equal(before.exists[i], after.exists[i]);
        assert_int_equal(before.n[i], after.n[i]);
        assert_memory_equal(before.bytes[i], after.bytes[i], before.n[i]);
    }
    assert_int_equal(test_vfs_count_writes(), 0);
}

/* A good database, and with `wal` as a crash leaves it: with all of the logins in the WAL only. */
static void make_database(struct fixture *f, bool wal)
{
    int64_t grant;
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(add_grant(f, alice(), "Atzr|one", &grant), 0);
    unsigned char *db = NULL, *log = NULL;
    size_t n_db = read_file(f->path, &db);
    size_t n_log = read_file(fixture_path(f, "store.db-wal"), &log);
    assert_true(n_log > 0);
    fixture_close(f);
    if (wal) {
        write_file(f->path, db, n_db);
        write_file(fixture_path(f, "store.db-wal"), log, n_log);
    }
    free(db);
    free(log);
}

static void remove_database(const struct fixture *f)
{
    (void)unlink(f->path);
    (void)unlink(fixture_path(f, "store.db-wal"));
    (void)unlink(fixture_path(f, "store.db-shm"));
    (void)unlink(f->key);
}

static void damage(const struct fixture *f, size_t offset, const void *bytes, size_t n)
{
    FILE *out = fopen(f->path, "r+e");
    assert_non_null(out);
    assert_int_equal(fseek(out, (long)offset, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, n, out), n);
    assert_int_equal(fclose(out), 0);
}

static void no_database(const struct fixture *f)
{
    write_file(f->path, "this was no database, and never will be\n", 40);
}

static void damaged_page(const struct fixture *f)
{
    static const unsigned char noise[600] = {0x55, 0xaa, 0x55};
    damage(f, 2 * 4096, noise, sizeof(noise));
}

static void damaged_header(const struct fixture *f)
{
    damage(f, 0, "SQLITE", 6);
}

static void cut_short(const struct fixture *f)
{
    assert_int_equal(truncate(f->path, 3 * 4096 + 100), 0);
}

static void emptied(const struct fixture *f)
{
    assert_int_equal(truncate(f->path, 0), 0);
}

static void removed(const struct fixture *f)
{
    assert_int_equal(unlink(f->path), 0);
}

static void of_another_program(const struct fixture *f)
{
    static const unsigned char id[4] = {1, 2, 3, 4};
    damage(f, 68, id, sizeof(id));
}

static void of_a_later_version(const struct fixture *f)
{
    static const unsigned char version[4] = {0, 0, 0, 99};
    damage(f, 60, version, sizeof(version));
}

static void without_key(const struct fixture *f)
{
    assert_int_equal(unlink(f->key), 0);
}

static void with_another_key(const struct fixture *f)
{
    write_file(f->key, "0123456789abcdef0123456789abcdef", 32);
}

static void with_an_open_key(const struct fixture *f)
{
    assert_int_equal(chmod(f->key, 0444), 0);
}

static void with_a_short_key(const struct fixture *f)
{
    write_file(f->key, "0123456789abcdef", 16);
}

static void with_an_altered_seal(const struct fixture *f)
{
    unsigned char *bytes;
    size_t n = read_file(f->path, &bytes);
    static const char name[] = "index-key";
    unsigned char *at = memmem(bytes, n, name, strlen(name));
    assert_non_null(at);
    at[strlen(name) + 30] ^= 1;
    write_file(f->path, bytes, n);
    free(bytes);
}

static void bad_files_are_left_alone(void **state)
{
    struct fixture *f = *state;
    static const struct {
        void (*spoil)(const struct fixture *f);
        bool wal;
        int outcome;
    } cases[] = {
        {no_database, false, STORE_E_CORRUPT},
        {damaged_page, false, STORE_E_CORRUPT},
        {damaged_header, false, STORE_E_CORRUPT},
        {cut_short, false, STORE_E_CORRUPT},
        {no_database, true, STORE_E_CORRUPT},
        {emptied, true, STORE_E_CORRUPT},
        {removed, true, STORE_E_CORRUPT},
        {of_another_program, false, STORE_E_CORRUPT},
        {of_a_later_version, false, STORE_E_TOO_NEW},
        {without_key, false, STORE_E_NO_KEY},
        {without_key, true, STORE_E_NO_KEY},
        {with_another_key, false, STORE_E_OTHER_KEY},
        {with_another_key, true, STORE_E_OTHER_KEY},
        {with_an_altered_seal, false, STORE_E_OTHER_KEY},
        {with_an_open_key, false, STORE_E_BAD_KEY},
        {with_a_short_key, true, STORE_E_BAD_KEY},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        make_database(f, cases[i].wal);
        cases[i].spoil(f);
        assert_open_leaves_all(f, cases[i].outcome);
        remove_database(f);
    }
}

static void crash_image_opens(void **state)
{
    struct fixture *f = *state;
    make_database(f, true);
    test_vfs_reset();
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(load(f).n_grants, 1);
    assert_int_equal(begin(f, 1, 1, STORE_TOKEN_CURRENT, "Atzr|one"), 0);
}

static void first_start(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    fixture_close(f);

    /* An existing key is adopted by a new database. */
    _cleanup_free_ unsigned char *key = NULL, *again = NULL;
    assert_int_equal(read_file(f->key, &key), 32);
    (void)unlink(f->path);
    write_file(f->path, "", 0);
    test_vfs_reset();
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(read_file(f->key, &again), 32);
    assert_memory_equal(key, again, 32);
    fixture_close(f);

    struct store_options options = {.path = "/proc/nowhere/store.db", .key_source = {.file = f->key}};
    assert_true(store_open(&f->loop, &options, &f->store) < 0);
    options.path = f->folder;
    assert_true(store_open(&f->loop, &options, &f->store) < 0);
    assert_null(f->store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(acknowledged_is_durable),
        TEST(refresh_is_durable),
        TEST(checkpoints_lose_nothing),
        TEST(every_write_can_fail),
        TEST(every_write_of_the_first_start_can_fail),
        TEST(bad_files_are_left_alone),
        TEST(crash_image_opens),
        TEST(first_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
