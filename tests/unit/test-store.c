/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/store-fixture.h"

#include "tests/unit/test-vfs.h"

#include <sqlite3.h>
#include <string.h>

/* What the operations mean. What a disk can do to them is in test-store-disk.c. */

static void reopen(struct fixture *f)
{
    fixture_close(f);
    assert_int_equal(fixture_open(f), 0);
}

/* Looks into the database beside the store. */
static int64_t number(const struct fixture *f, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    int code = sqlite3_step(stmt);
    assert_true(code == SQLITE_ROW || code == SQLITE_DONE);
    int64_t n = code == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : -1;
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return n;
}

static void life_of_a_grant(void **state)
{
    struct fixture *f = *state;
    int64_t grant, account;
    uint64_t generation;
    assert_int_equal(fixture_open(f), 0);

    assert_int_equal(add_grant(f, alice(), "Atzr|one", &grant), 0);
    struct loaded l = load(f);
    assert_int_equal(l.n_accounts, 0);
    assert_int_equal(l.n_grants, 1);
    assert_true(l.grant.intent_open && l.grant.account == 0 && l.grant.owner.uid == 1000);
    assert_string_equal(l.carries, "music::library");

    /* The proving refresh ends without a rotation. */
    assert_int_equal(finish(f, grant, 1, STORE_TOKEN_CURRENT, NULL, &generation), 0);
    assert_int_equal(generation, 1);
    assert_int_equal(add_account(f, grant, "main", 'c', &account), 0);
    l = load(f);
    assert_int_equal(l.n_accounts, 1);
    assert_true(l.account.row == account && l.account.is_default && l.grant.account == account);
    assert_false(l.grant.intent_open || l.grant.has_previous || l.grant.is_dead);
    assert_true(l.grant.refreshed_sec > 0 && l.grant.created_sec > 0);
    assert_string_equal(l.account_id, "main");
    assert_string_equal(l.owner_name, "alice");

    /* The same token again is no rotation, another one is. */
    assert_int_equal(begin(f, grant, 1, STORE_TOKEN_CURRENT, "Atzr|one"), 0);
    assert_int_equal(begin(f, grant, 1, STORE_TOKEN_PREVIOUS, ""), -ENOENT);
    assert_int_equal(finish(f, grant, 1, STORE_TOKEN_CURRENT, "Atzr|one", &generation), 0);
    assert_int_equal(generation, 1);
    assert_int_equal(finish(f, grant, 1, STORE_TOKEN_CURRENT, "Atzr|two", &generation), 0);
    assert_int_equal(generation, 2);
    assert_true(load(f).grant.has_previous);
    assert_int_equal(begin(f, grant, 2, STORE_TOKEN_CURRENT, "Atzr|two"), 0);
    assert_int_equal(begin(f, grant, 2, STORE_TOKEN_PREVIOUS, "Atzr|one"), 0);

    assert_int_equal(end(f, grant, 2, STORE_REFRESH_DEAD), 0);
    l = load(f);
    assert_true(l.grant.is_dead && l.grant.has_previous && !l.grant.intent_open);
    assert_string_equal(l.reason, "invalid-grant");
    assert_int_equal(begin(f, grant, 2, STORE_TOKEN_CURRENT, ""), STORE_E_GONE);
    assert_int_equal(end(f, grant, 2, STORE_REFRESH_DEAD), STORE_E_GONE);
    assert_int_equal(number(f, "SELECT length(token) FROM grant"), 8 + 40); /* kept (I6) */

    _cleanup_result_ struct result result = {.done = false};
    assert_int_equal(store_remove_account(f->store, account, new_record(AUDIT_ACCOUNT_REMOVED, "user:alice"),
                                          on_reply, &result, NULL),
                     0);
    await(f, &result);
    assert_int_equal(result.r, 0);
    l = load(f);
    assert_int_equal(l.n_accounts + l.n_grants, 0);
    assert_int_equal(number(f, "SELECT count(*) FROM owner"), 0);
    assert_int_equal(begin(f, grant, 2, STORE_TOKEN_CURRENT, ""), STORE_E_GONE);
}

/* The previous token saved the login: it is the current one again. */
static void previous_token_takes_over(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *rotated;
        const char *current;
        const char *previous; /* NULL: none */
    } cases[] = {
        {NULL, "Atzr|one", NULL},
        {"Atzr|one", "Atzr|one", NULL},
        {"Atzr|three", "Atzr|three", "Atzr|one"},
    };
    assert_int_equal(fixture_open(f), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t grant;
        uint64_t generation;
        assert_int_equal(add_grant(f, alice(), "Atzr|one", &grant), 0);
        assert_int_equal(finish(f, grant, 1, STORE_TOKEN_CURRENT, "Atzr|two", &generation), 0);
        assert_int_equal(begin(f, grant, 2, STORE_TOKEN_PREVIOUS, "Atzr|one"), 0);
        assert_int_equal(finish(f, grant, 2, STORE_TOKEN_PREVIOUS, cases[i].rotated, &generation), 0);
        assert_int_equal(generation, 3);
        reopen(f);
        assert_int_equal(begin(f, grant, 3, STORE_TOKEN_CURRENT, cases[i].current), 0);
        assert_int_equal(begin(f, grant, 3, STORE_TOKEN_PREVIOUS, cases[i].previous),
                         cases[i].previous ? 0 : -ENOENT);
    }
}

static void stale_generation_is_gone(void **state)
{
    struct fixture *f = *state;
    int64_t grant;
    uint64_t generation = 0;
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(add_grant(f, alice(), "Atzr|one", &grant), 0);
    assert_int_equal(finish(f, grant, 1, STORE_TOKEN_CURRENT, "Atzr|two", &generation), 0);
    int64_t n = number(f, "SELECT count(*) FROM audit");

    assert_int_equal(begin(f, grant, 1, STORE_TOKEN_CURRENT, ""), STORE_E_GONE);
    assert_int_equal(finish(f, grant, 1, STORE_TOKEN_CURRENT, "Atzr|late", &generation), STORE_E_GONE);
    assert_int_equal(finish(f, grant, 3, STORE_TOKEN_CURRENT, "Atzr|early", &generation), STORE_E_GONE);
    assert_int_equal(end(f, grant, 1, STORE_REFRESH_DEAD), STORE_E_GONE);
    assert_int_equal(end(f, grant, 1, STORE_REFRESH_RETRY), STORE_E_GONE);
    assert_int_equal(end(f, grant, 1, STORE_REFRESH_AMBIGUOUS), STORE_E_GONE);
    assert_int_equal(end(f, grant + 1, 1, STORE_REFRESH_AMBIGUOUS), STORE_E_GONE);

    assert_int_equal(begin(f, grant, 2, STORE_TOKEN_CURRENT, "Atzr|two"), 0);
    assert_int_equal(number(f, "SELECT count(*) FROM audit"), n); /* what did not happen leaves no record */
}

/* Only an answer closes the intent (I4), through a restart, too. */
static void intent_survives(void **state)
{
    struct fixture *f = *state;
    static const struct {
        enum store_refresh_end end;
        bool open;
    } cases[] = {{STORE_REFRESH_RETRY, false}, {STORE_REFRESH_AMBIGUOUS, true}, {STORE_REFRESH_DEAD, false}};
    assert_int_equal(fixture_open(f), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t grant;
        uint64_t generation;
        assert_int_equal(add_grant(f, alice(), "Atzr|one", &grant), 0);
        reopen(f);
        assert_true(load(f).grant.intent_open);
        assert_int_equal(finish(f, grant, 1, STORE_TOKEN_CURRENT, NULL, &generation), 0);
        reopen(f);
        assert_false(load(f).grant.intent_open);
        assert_int_equal(begin(f, grant, 1, STORE_TOKEN_CURRENT, "Atzr|one"), 0);
        reopen(f);
        assert_true(load(f).grant.intent_open);
        assert_int_equal(end(f, grant, 1, cases[i].end), 0);
        reopen(f);
        assert_int_equal(load(f).grant.intent_open, cases[i].open);
    }
}

static void owners_are_separate(void **state)
{
    struct fixture *f = *state;
    int64_t a, b, d, main_account, other;
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(add_grant(f, alice(), "Atzr|alice", &a), 0);
    assert_int_equal(add_grant(f, bob(), "Atzr|bob", &b), 0);
    assert_int_equal(add_grant(f, the_device(), "Atzr|device", &d), 0);
    assert_int_equal(number(f, "SELECT count(DISTINCT key) FROM owner"), 3);
    assert_int_equal(add_account(f, a, "main", 'c', &main_account), 0);
    assert_int_equal(add_account(f, b, "main", 'c', &other), 0); /* the id is the owner's own */
    assert_int_equal(add_account(f, d, "main", 'c', &other), 0);
    assert_true(load(f).account.owner.device);

    /* A grant goes to no account of another owner or another customer. */
    struct store_link link = {.grant = b, .account_row = main_account};
    memset(link.customer, 'c', sizeof(link.customer));
    _cleanup_result_ struct result result = {.done = false}, second = {.done = false};
    assert_int_equal(store_link(f->store, &link, NULL, on_reply, &result, NULL), 0);
    link.grant = a;
    link.customer[31] = 'd';
    assert_int_equal(store_link(f->store, &link, NULL, on_reply, &second, NULL), 0);
    await(f, &result);
    await(f, &second);
    assert_int_equal(result.r, -EPERM);
    assert_int_equal(second.r, -EPERM);
}

static void link_supersedes(void **state)
{
    struct fixture *f = *state;
    int64_t old, of_bob, grant, account;
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(add_grant(f, alice(), "Atzr|old", &old), 0);
    assert_int_equal(add_account(f, old, "main", 'c', &account), 0);
    assert_int_equal(add_grant(f, bob(), "Atzr|bob", &of_bob), 0);
    assert_int_equal(add_grant(f, alice(), "Atzr|new", &grant), 0);

    int64_t rows[] = {old, of_bob, grant};
    struct store_link link = {.grant = grant, .account_row = account, .superseded = rows, .n_superseded = 3};
    memset(link.customer, 'c', sizeof(link.customer));
    _cleanup_result_ struct result result = {.done = false};
    assert_int_equal(store_link(f->store, &link, NULL, on_reply, &result, NULL), 0);
    rows[0] = rows[2] = 0; /* the call has copied them */
    await(f, &result);
    assert_int_equal(result.r, 0);
    assert_int_equal(result.row, account);
    assert_int_equal(begin(f, old, 1, STORE_TOKEN_CURRENT, ""), STORE_E_GONE);
    assert_int_equal(begin(f, of_bob, 1, STORE_TOKEN_CURRENT, "Atzr|bob"), 0);
    assert_int_equal(begin(f, grant, 1, STORE_TOKEN_CURRENT, "Atzr|new"), 0);

    _cleanup_result_ struct result none = {.done = false};
    link = (struct store_link){.grant = 999, .id = "x"};
    assert_int_equal(store_link(f->store, &link, NULL, on_reply, &none, NULL), 0);
    await(f, &none);
    assert_int_equal(none.r, STORE_E_GONE);
}

static void account_changes(void **state)
{
    struct fixture *f = *state;
    int64_t a, b, first, second;
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(add_grant(f, alice(), "Atzr|a", &a), 0);
    assert_int_equal(add_grant(f, alice(), "Atzr|b", &b), 0);
    assert_int_equal(add_account(f, a, "main", 'c', &first), 0);
    assert_int_equal(add_account(f, b, "main", 'd', &second), -EEXIST);
    assert_int_equal(add_account(f, b, "main-2", 'd', &second), 0);
    assert_int_equal(number(f, "SELECT sum(is_default) FROM account"), 1);

    _cleanup_result_ struct result changed = {.done = false}, gone = {.done = false};
    assert_int_equal(store_change_account(f->store, first, NULL, true, NULL, on_reply, &changed, NULL), 0);
    assert_int_equal(store_change_account(f->store, second, "Kitchen", false, NULL, NULL, NULL, NULL), 0);
    assert_int_equal(store_change_account(f->store, 99, "x", true, NULL, on_reply, &gone, NULL), 0);
    await(f, &gone);
    assert_true(changed.done && changed.r == 0);
    assert_int_equal(gone.r, STORE_E_GONE);
    struct loaded l = load(f);
    assert_false(l.account.is_default);
    assert_string_equal(l.label, "Kitchen");
    assert_int_equal(number(f, "SELECT id FROM account WHERE is_default"), first);
}

static void blob_of(const struct fixture *f, const char *sql, unsigned char blob[64], size_t *ret_n)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    *ret_n = (size_t)sqlite3_column_bytes(stmt, 0);
    assert_true(*ret_n <= 64);
    memcpy(blob, sqlite3_column_blob(stmt, 0), *ret_n);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
}

/* I2, and the promise of removal: no plain token in any file, and nothing sealed of a removed one. */
static void files_hold_no_token(void **state)
{
    struct fixture *f = *state;
    int64_t grant, other;
    uint64_t generation;
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(add_grant(f, bob(), "Atzr|bobs-token", &other), 0);
    assert_int_equal(add_grant(f, alice(), "Atzr|plain-one", &grant), 0);
    unsigned char first[64], second[64], key[80];
    size_t n_first, n_second, n_key;
    blob_of(f, "SELECT token FROM grant ORDER BY id DESC", first, &n_first);
    assert_int_equal(finish(f, grant, 1, STORE_TOKEN_CURRENT, "Atzr|plain-two", &generation), 0);
    blob_of(f, "SELECT token FROM grant ORDER BY id DESC", second, &n_second);
    sqlite3 *db;
    assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT key FROM owner WHERE uid=1000", -1, &stmt, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    n_key = (size_t)sqlite3_column_bytes(stmt, 0);
    assert_int_equal(n_key, 72);
    memcpy(key, sqlite3_column_blob(stmt, 0), n_key);
    sqlite3_finalize(stmt);
    sqlite3_close(db);

    assert_false(folder_holds(f, "plain-one", 9));
    assert_false(folder_holds(f, "plain-two", 9));
    assert_false(folder_holds(f, "bobs-token", 10));
    assert_true(folder_holds(f, second, n_second));
    assert_true(folder_holds(f, key, n_key));

    _cleanup_result_ struct result result = {.done = false};
    assert_int_equal(store_remove_grant(f->store, grant, NULL, on_reply, &result, NULL), 0);
    await(f, &result);
    assert_int_equal(result.r, 0);
    int64_t sequence; /* the checkpoint is made after the answer; one more answer means that it is done */
    assert_int_equal(audit(f, AUDIT_BROKER_STARTED, "", &sequence), 0);
    assert_false(folder_holds(f, first, n_first));
    assert_false(folder_holds(f, second, n_second));
    assert_false(folder_holds(f, key, n_key));
    assert_int_equal(number(f, "SELECT count(*) FROM owner"), 1);
    assert_int_equal(begin(f, other, 1, STORE_TOKEN_CURRENT, "Atzr|bobs-token"), 0);
}

/* A blob that was moved or rolled back inside the database does not open. */
static void tampering_shows(void **state)
{
    struct fixture *f = *state;
    static const char *const tampers[] = {
        "UPDATE grant SET token = (SELECT token FROM grant WHERE id = 2) WHERE id = 1",
        "UPDATE grant SET token = previous WHERE id = 1",
        "UPDATE grant SET endpoint = 'https://evil.example/' WHERE id = 1",
        "UPDATE grant SET client_id = 'client-2' WHERE id = 1",
        "UPDATE owner SET uid = 1001 WHERE uid = 1000",
        "UPDATE owner SET name = 'alicf' WHERE uid = 1000",
        "UPDATE grant SET owner = 2 WHERE id = 1",
        "UPDATE owner SET key = (SELECT key FROM owner WHERE id = 2) WHERE id = 1",
        "UPDATE grant SET token = x'00' WHERE id = 1",
    };
    int64_t grant, of_bob;
    uint64_t generation;
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(add_grant(f, alice(), "Atzr|one", &grant), 0);
    assert_int_equal(add_grant(f, alice(), "Atzr|two", &of_bob), 0);
    assert_int_equal(add_grant(f, bob(), "Atzr|bob", &of_bob), 0);
    assert_int_equal(finish(f, grant, 1, STORE_TOKEN_CURRENT, "Atzr|new", &generation), 0);
    fixture_close(f);
    _cleanup_free_ unsigned char *good = NULL;
    size_t n = read_file(f->path, &good);
    for (size_t i = 0; i < ARRAY_SIZE(tampers); i++) {
        write_file(f->path, good, n);
        (void)number(f, tampers[i]);
        assert_int_equal(fixture_open(f), 0);
        assert_int_equal(begin(f, grant, 2, STORE_TOKEN_CURRENT, ""), -EBADMSG);
        fixture_close(f);
    }
    /* The old state of the row under a generation that is claimed anew. */
    write_file(f->path, good, n);
    (void)number(f, "UPDATE grant SET generation = 7 WHERE id = 1");
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(begin(f, grant, 7, STORE_TOKEN_CURRENT, ""), -EBADMSG);
    assert_int_equal(begin(f, grant, 7, STORE_TOKEN_PREVIOUS, ""), -EBADMSG);
}

/* --- audit ---------------------------------------------------------------------------------------------- */

static void query(struct fixture *f, int64_t after, unsigned limit, bool newest, uid_t uid,
                  struct result *ret)
{
    assert_int_equal(store_audit_query(f->store, after, limit, newest, uid, on_reply, ret, NULL), 0);
    await(f, ret);
    assert_int_equal(ret->r, 0);
}

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
    r->grant = 5;
    r->expires_sec = 1800000000;
    r->has_fingerprint = true;
    store_fingerprint(f->store, "Atza|x", 6, r->fingerprint);
    unsigned char print[AUDIT_FINGERPRINT_BYTES];
    memcpy(print, r->fingerprint, sizeof(print));
    _cleanup_result_ struct result written = {.done = false}, result = {.done = false};
    assert_int_equal(store_audit(f->store, r, on_reply, &written, NULL), 0);
    await(f, &written);
    assert_int_equal(written.row, 1);

    query(f, 0, 10, false, (uid_t)-1, &result);
    assert_int_equal(result.n_records, 1);
    const struct audit_record *got = result.records[0];
    assert_true(got->sequence == 1 && got->event == AUDIT_TOKEN_DISCLOSED && got->time_sec > 1600000000);
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
    assert_int_equal(sequence, 11);

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
        {0, 3, true, (uid_t)-1, 3, 9, 11, 0},      {10, 3, true, (uid_t)-1, 1, 11, 11, 0},
        {0, 2, false, 1001, 2, 2, 4, 4},           {4, 5, false, 1001, 3, 6, 10, 0},
        {0, 2, true, 1001, 2, 8, 10, 0},           {0, 9, false, 1000, 2, 3, 7, 0},
        {0, 9, false, 4242, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_result_ struct result result = {.done = false};
        query(f, cases[i].after, cases[i].limit, cases[i].newest, cases[i].uid, &result);
        assert_int_equal(result.n_records, cases[i].n);
        assert_int_equal(result.next, cases[i].next);
        if (result.n_records > 0) {
            assert_int_equal(result.records[0]->sequence, cases[i].first);
            assert_int_equal(result.records[result.n_records - 1]->sequence, cases[i].last);
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
    assert_int_equal(number(f, "SELECT repeats FROM audit WHERE sequence = 1"), 1000);
    assert_true(test_vfs_count_syncs() <= syncs + 2);

    /* Many different ones, none lost when the store closes. */
    for (int64_t i = 0; i < 200; i++)
        assert_int_equal(store_audit(f->store, new_record(AUDIT_TOKEN_DISCLOSED, ""), NULL, NULL, NULL), 0);
    assert_int_equal(audit(f, AUDIT_TOKEN_DISCLOSED, "user:b", &second), 0);
    for (int64_t i = second; i > 2; i--)
        assert_int_equal(store_count_repeats(f->store, i, (uint64_t)i), 0);
    reopen(f);
    assert_int_equal(number(f, "SELECT count(*) FROM audit WHERE repeats <> sequence AND sequence > 2"), 0);
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
    assert_int_equal(add_grant(f, alice(), "Atzr|one", &grant), -EEXIST);
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
    assert_int_equal(number(f, "SELECT repeats FROM audit WHERE sequence = 1"), 5); /* not forgotten */
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
    assert_int_equal(store_audit_query(f->store, 0, 5, false, (uid_t)-1, on_never, &called, &op), 0);
    store_op_drop(op);
    assert_int_equal(audit(f, AUDIT_LOGIN_BEGUN, "y", &sequence), 0);
    assert_int_equal(sequence, 2); /* it happened all the same */
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_false(called);
}

static void close_drains(void **state)
{
    struct fixture *f = *state;
    struct result results[40] = {{.done = false}}, queries[8] = {{.done = false}};
    assert_int_equal(fixture_open(f), 0);
    test_vfs_slow_sync(5);
    for (size_t i = 0; i < ARRAY_SIZE(results); i++)
        assert_int_equal(
            store_audit(f->store, new_record(AUDIT_LOGIN_BEGUN, "x"), on_reply, &results[i], NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(queries); i++)
        assert_int_equal(store_audit_query(f->store, 0, 5, false, (uid_t)-1, on_reply, &queries[i], NULL), 0);
    store_close(TAKE_PTR(f->store)); /* and no turn of the loop */
    for (size_t i = 0; i < ARRAY_SIZE(results); i++)
        assert_true(results[i].done && results[i].r == 0);
    for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
        assert_true(queries[i].done && queries[i].r == 0);
        result_clear(&queries[i]);
    }
    test_vfs_slow_sync(0);
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(number(f, "SELECT count(*) FROM audit"), ARRAY_SIZE(results));
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
        TEST(life_of_a_grant),
        TEST(previous_token_takes_over),
        TEST(stale_generation_is_gone),
        TEST(intent_survives),
        TEST(owners_are_separate),
        TEST(link_supersedes),
        TEST(account_changes),
        TEST(files_hold_no_token),
        TEST(tampering_shows),
        TEST(record_comes_back_whole),
        TEST(query_pages),
        TEST(repeats_ride_along),
        TEST(hashes_are_keyed),
        TEST(commits_in_groups_and_in_order),
        TEST(one_failure_stays_alone),
        TEST(failure_undoes_its_own_rows),
        TEST(dropped_slot_is_silent),
        TEST(close_drains),
        TEST(closes_from_a_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
