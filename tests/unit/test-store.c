/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/store-fixture.h"

#include <sqlite3.h>
#include <string.h>

/* What the operations mean. The trail and the queue are in test-store-queue.c; what a disk can do to them is
 * in test-store-disk.c. */

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(life_of_a_grant), TEST(previous_token_takes_over), TEST(stale_generation_is_gone),
        TEST(intent_survives), TEST(owners_are_separate),       TEST(link_supersedes),
        TEST(account_changes), TEST(files_hold_no_token),       TEST(tampering_shows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
