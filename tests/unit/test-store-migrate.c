/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/store-fixture.h"
#include "tests/unit/test-vfs.h"

#include <sqlite3.h>
#include <string.h>

/* A database of an earlier version is brought forward with all that is in it, whole or not at all. */

/* As version 1 made it, word for word: never to be changed. */
static const char version_1[] =
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE owner ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, uid INTEGER NOT NULL, name TEXT NOT NULL,"
    " key BLOB NOT NULL, UNIQUE (uid, name)) STRICT;"
    "CREATE TABLE account ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, owner INTEGER NOT NULL REFERENCES owner (id),"
    " name TEXT NOT NULL, label TEXT NOT NULL, is_default INTEGER NOT NULL, created_sec INTEGER NOT NULL,"
    " customer BLOB NOT NULL, UNIQUE (owner, name)) STRICT;"
    "CREATE TABLE grant ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, owner INTEGER NOT NULL REFERENCES owner (id),"
    " account INTEGER REFERENCES account (id), target TEXT NOT NULL, label TEXT NOT NULL,"
    " endpoint TEXT NOT NULL, client_id TEXT NOT NULL, flow TEXT NOT NULL, may_carry TEXT NOT NULL,"
    " carries TEXT NOT NULL, claimed INTEGER NOT NULL, generation INTEGER NOT NULL, token BLOB NOT NULL,"
    " previous BLOB, dead INTEGER NOT NULL DEFAULT 0, dead_reason TEXT NOT NULL DEFAULT '',"
    " intent_sec INTEGER, intent_generation INTEGER, created_sec INTEGER NOT NULL,"
    " refreshed_sec INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX grant_by_owner ON grant (owner);"
    "CREATE INDEX grant_by_account ON grant (account);"
    "CREATE TABLE audit ("
    " sequence INTEGER PRIMARY KEY AUTOINCREMENT, time_sec INTEGER NOT NULL, event TEXT NOT NULL,"
    " uid INTEGER, app TEXT NOT NULL, kind TEXT NOT NULL, strength TEXT NOT NULL, account TEXT NOT NULL,"
    " owner TEXT NOT NULL, owner_uid INTEGER, asked TEXT NOT NULL, carried TEXT NOT NULL,"
    " verdict TEXT NOT NULL, decided_by TEXT NOT NULL, detail TEXT NOT NULL, grant_row INTEGER NOT NULL,"
    " expires_sec INTEGER NOT NULL, repeats INTEGER NOT NULL DEFAULT 0, fingerprint BLOB,"
    " previous_hash BLOB, hash BLOB) STRICT;"
    "CREATE INDEX audit_by_app ON audit (app) WHERE app <> '';"
    "CREATE INDEX audit_by_owner ON audit (owner_uid) WHERE owner_uid IS NOT NULL;";

/* The columns that version 1 had. */
static const struct {
    const char *table, *columns;
} contents[] = {
    {"meta", "name, value"},
    {"owner", "id, uid, name, key"},
    {"account", "id, owner, name, label, is_default, created_sec, customer"},
    {"grant", "id, owner, account, target, label, endpoint, client_id, flow, may_carry, carries, claimed,"
              " generation, token, previous, dead, dead_reason, intent_sec, intent_generation, created_sec,"
              " refreshed_sec"},
    {"audit",
     "sequence, time_sec, event, uid, app, kind, strength, account, owner, owner_uid, asked, carried,"
     " verdict, decided_by, detail, grant_row, expires_sec, repeats, fingerprint"},
};

static void run(sqlite3 *db, const char *sql)
{
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static void remove_database(const struct fixture *f)
{
    (void)unlink(fixture_path(f, "store.db-wal"));
    (void)unlink(fixture_path(f, "store.db-shm"));
    (void)unlink(fixture_path(f, "store.db-audit.key"));
    (void)unlink(f->path);
}

/* One login of alice's, in a file that the broker of version 1 could have left. */
static void make_version_1(struct fixture *f)
{
    int64_t grant, account;
    uint64_t generation;
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(add_grant(f, alice(), "Atzr|one", &grant), 0);
    assert_int_equal(finish(f, grant, 1, STORE_TOKEN_CURRENT, "Atzr|two", &generation), 0);
    assert_int_equal(add_account(f, grant, "main", 'c', &account), 0);
    fixture_close(f);

    sqlite3 *db;
    char sql[1024];
    const char *old = fixture_path(f, "old.db");
    (void)unlink(old);
    assert_int_equal(sqlite3_open(old, &db), SQLITE_OK);
    run(db, "PRAGMA journal_mode=WAL");
    run(db, version_1);
    (void)snprintf(sql, sizeof(sql), "ATTACH '%s' AS new", f->path);
    run(db, sql);
    for (size_t i = 0; i < ARRAY_SIZE(contents); i++) {
        (void)snprintf(sql, sizeof(sql), "INSERT INTO main.%s (%s) SELECT %s FROM new.%s", contents[i].table,
                       contents[i].columns, contents[i].columns, contents[i].table);
        run(db, sql);
    }
    run(db, "DETACH new");
    run(db, "DELETE FROM audit WHERE event NOT LIKE 'login-%' AND event NOT LIKE 'token-%'"); /* newer */
    run(db, "PRAGMA user_version=1;PRAGMA application_id=1280786754");                        /* "LWAB" */
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    remove_database(f);
    assert_int_equal(rename(fixture_path(f, "old.db"), f->path), 0);
    test_vfs_reset();
}

static void assert_all_there(struct fixture *f)
{
    struct loaded l = load(f);
    assert_true(l.n_accounts == 1 && l.n_grants == 1 && l.grant.account == l.account.row);
    assert_string_equal(l.account_id, "main");
    assert_int_equal(number(f, "PRAGMA user_version"), 3);
    assert_int_equal(number(f, "SELECT count(*) FROM consent"), 0);
    assert_int_equal(number(f, "SELECT count(*) FROM audit WHERE event LIKE 'login-%'"), 2);
    assert_int_equal(number(f, "SELECT count(*) FROM audit WHERE chain <> '' OR unit <> '' OR program <> ''"),
                     0);
    assert_int_equal(begin(f, l.grant.row, 2, STORE_TOKEN_CURRENT, "Atzr|two"), 0);
    assert_int_equal(begin(f, l.grant.row, 2, STORE_TOKEN_PREVIOUS, "Atzr|one"), 0);
}

static void version_1_is_brought_forward(void **state)
{
    struct fixture *f = *state;
    make_version_1(f);
    assert_int_equal(number(f, "PRAGMA user_version"), 1);
    assert_int_equal(fixture_open(f), 0);
    assert_all_there(f);

    /* Records of before and of now are one trail. */
    int64_t sequence;
    assert_int_equal(audit(f, AUDIT_CONSENT_GIVEN, "user:musicd", &sequence), 0);
    _cleanup_result_ struct result result = {.done = false};
    query(f, NULL, (struct store_page){.limit = 10}, &result);
    await(f, &result);
    assert_true(result.r == 0 && result.n_records == 5);
    assert_string_equal(result.records[0]->chain, "");
    assert_true(result.records[2]->epoch == 0 && !result.records[2]->has_hash);
    assert_int_equal(result.records[3]->event, AUDIT_TRAIL_KEY_CREATED);
    assert_int_equal(result.records[4]->event, AUDIT_CONSENT_GIVEN);
    assert_true(result.records[4]->epoch == 1 && result.records[4]->has_hash);

    reopen(f); /* a second time there is nothing to do */
    assert_all_there(f);
}

/* Whatever fails, the next start finds a whole database of the one version or the other. */
static void every_write_can_fail(void **state)
{
    struct fixture *f = *state;
    unsigned n = 1;
    for (;; n++) {
        make_version_1(f);
        test_vfs_fail_at(n, SQLITE_FULL, true);
        int r = fixture_open(f);
        test_vfs_fail_at(0, 0, false);
        if (r == 0)
            break;
        assert_int_equal(r, -ENOSPC);
        assert_int_equal(fixture_open(f), 0);
        assert_all_there(f);
        fixture_close(f);
        remove_database(f);
        test_vfs_reset();
    }
    assert_true(n > 2);
    assert_all_there(f);
}

/* Then the tables are checked one by one, those that there are. */
static void long_trail_is_brought_forward(void **state)
{
    struct fixture *f = *state;
    sqlite3 *db;
    make_version_1(f);
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    run(db, "UPDATE audit SET fingerprint = zeroblob(70000000) WHERE sequence = 1");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_int_equal(fixture_open(f), 0);
    assert_all_there(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(version_1_is_brought_forward),
        TEST(long_trail_is_brought_forward),
        TEST(every_write_can_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
