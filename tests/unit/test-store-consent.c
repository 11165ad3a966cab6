/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/store-fixture.h"

#include "broker/limits.h"
#include "tests/unit/test-vfs.h"

#include <sqlite3.h>
#include <string.h>

/* The rows of remembered answers: what each change leaves, also behind a power cut or a failing disk. */

static int64_t new_account(struct fixture *f, const char *id)
{
    int64_t grant, account;
    assert_int_equal(add_grant(f, alice(), "Atzr|one", &grant), 0);
    assert_int_equal(add_account(f, grant, id, id[0], &account), 0);
    return account;
}

static int change(struct fixture *f, const struct store_consent_change *c, enum audit_event event)
{
    _cleanup_result_ struct result result = {.done = false};
    assert_int_equal(
        store_change_consents(f->store, c, new_record(event, c->of.app), on_reply, &result, NULL), 0);
    await(f, &result);
    return result.r;
}

static struct store_consent_change give(int64_t account, const char *answer, const char *lasts,
                                        const char *scopes)
{
    return (struct store_consent_change){.of = {.account = account,
                                                .app = "flatpak:org.example.Player",
                                                .answer = answer,
                                                .lasts = lasts,
                                                .given_sec = 1800000000,
                                                .until_sec = strcmp(lasts, "until") == 0 ? 1900000000 : 0,
                                                .how = "command",
                                                .by_uid = 1000,
                                                .by_name = "alice"},
                                         .gives = scopes};
}

static int use(struct fixture *f, int64_t account, const char *scopes, int64_t *ret_row)
{
    _cleanup_result_ struct result result = {.done = false};
    assert_int_equal(store_use_consents(f->store, account, "flatpak:org.example.Player", scopes,
                                        new_record(AUDIT_TOKEN_DISCLOSED, "used"), on_reply, &result, NULL),
                     0);
    await(f, &result);
    *ret_row = result.row;
    return result.r;
}

static int expire(struct fixture *f, int64_t account, int64_t now_sec)
{
    _cleanup_result_ struct result result = {.done = false};
    assert_int_equal(store_expire_consents(f->store, account, "flatpak:org.example.Player", now_sec,
                                           new_record(AUDIT_CONSENT_EXPIRED, "p"), on_reply, &result, NULL),
                     0);
    await(f, &result);
    return result.r;
}

static int64_t rows(const struct fixture *f, const char *where)
{
    char sql[320];
    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM consent WHERE %s", where);
    return number(f, sql);
}

static void answers_are_replaced(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_open(f), 0);
    int64_t account = new_account(f, "main"), other = new_account(f, "other");

    struct store_consent_change c = give(account, "allow", "logout", "a b");
    assert_int_equal(change(f, &c, AUDIT_CONSENT_GIVEN), 0);
    c = give(other, "allow", "logout", "a");
    assert_int_equal(change(f, &c, AUDIT_CONSENT_GIVEN), 0);
    assert_int_equal(rows(f, "answer = 'allow' AND lasts = 'logout' AND given_sec = 1800000000 AND"
                             " until_sec = 0 AND how = 'command' AND by_uid = 1000 AND by_name = 'alice'"),
                     3);

    c = give(account, "deny", "until", "b c");
    assert_int_equal(change(f, &c, AUDIT_CONSENT_REFUSED), 0);
    assert_int_equal(rows(f, "account = 1 AND scope = 'a' AND answer = 'allow'"), 1);
    assert_int_equal(rows(f, "account = 1 AND scope IN ('b', 'c') AND answer = 'deny' AND until_sec > 0"), 2);
    assert_int_equal(rows(f, "account = 1"), 3);

    /* Dropped by whole names, of the one answer and the one account. */
    c = give(account, "deny", "logout", NULL);
    c.drops_allow.names = "aa b a:b c";
    assert_int_equal(change(f, &c, AUDIT_CONSENT_REVOKED), STORE_E_GONE);
    c.drops_allow.names = "aa a";
    assert_int_equal(change(f, &c, AUDIT_CONSENT_REVOKED), 0);
    assert_int_equal(rows(f, "account = 1 AND answer = 'deny'"), 2);
    assert_int_equal(rows(f, "account = 2"), 1);
    assert_int_equal(rows(f, "1"), 3);

    /* A denial of every scope: nothing is allowed beside it, and names do not reach it. */
    c = give(account, "deny", "logout", "");
    assert_int_equal(change(f, &c, AUDIT_CONSENT_REFUSED), 0);
    c = give(account, "allow", "logout", "a");
    assert_int_equal(change(f, &c, AUDIT_CONSENT_GIVEN), -EEXIST);
    c.gives = NULL;
    c.drops_deny.names = "b";
    assert_int_equal(change(f, &c, AUDIT_CONSENT_REVOKED), 0);
    assert_int_equal(rows(f, "account = 1 AND scope IN ('', 'c')"), 2);
    c.of.app = "";
    c.drops_allow.all = c.drops_deny.all = true;
    assert_int_equal(change(f, &c, AUDIT_CONSENT_REVOKED), 0);
    assert_int_equal(rows(f, "account = 1"), 0);
    assert_int_equal(rows(f, "1"), 1);

    c = give(99, "allow", "logout", "a");
    assert_int_equal(change(f, &c, AUDIT_CONSENT_GIVEN), STORE_E_GONE);
    /* What did not happen has no record. */
    assert_int_equal(number(f, "SELECT count(*) FROM audit WHERE event LIKE 'consent-%'"), 7);
}

static void once_is_used_once(void **state)
{
    struct fixture *f = *state;
    int64_t row;
    assert_int_equal(fixture_open(f), 0);
    int64_t account = new_account(f, "main");
    struct store_consent_change c = give(account, "allow", "once", "a b");
    assert_int_equal(change(f, &c, AUDIT_CONSENT_GIVEN), 0);
    assert_int_equal(use(f, account, "a", &row), 0);
    assert_int_equal(number(f, "SELECT max(sequence) FROM audit"), row);
    assert_int_equal(use(f, account, "a", &row), STORE_E_GONE);
    assert_int_equal(use(f, account, "a b", &row), STORE_E_GONE); /* both or neither */
    assert_int_equal(rows(f, "scope = 'b'"), 1);
    assert_int_equal(number(f, "SELECT count(*) FROM audit WHERE app = 'used'"), 1);

    c = give(account, "allow", "logout", "b");
    assert_int_equal(change(f, &c, AUDIT_CONSENT_GIVEN), 0);
    assert_int_equal(use(f, account, "b", &row), STORE_E_GONE); /* it lasts now */
    assert_int_equal(rows(f, "scope = 'b'"), 1);
}

static void what_ran_out_goes(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_open(f), 0);
    int64_t account = new_account(f, "main");
    struct store_consent_change c = give(account, "allow", "until", "a");
    assert_int_equal(change(f, &c, AUDIT_CONSENT_GIVEN), 0);
    c = give(account, "allow", "logout", "b");
    assert_int_equal(change(f, &c, AUDIT_CONSENT_GIVEN), 0);
    assert_int_equal(expire(f, account, 1899999999), STORE_E_GONE);
    assert_int_equal(expire(f, account, 1900000000), 0);
    assert_int_equal(rows(f, "scope = 'b'"), 1);
    assert_int_equal(rows(f, "1"), 1);
}

static void goes_with_the_account(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_open(f), 0);
    int64_t account = new_account(f, "main"), other = new_account(f, "other");
    struct store_consent_change c = give(account, "allow", "logout", "a");
    assert_int_equal(change(f, &c, AUDIT_CONSENT_GIVEN), 0);
    c.of.account = other;
    assert_int_equal(change(f, &c, AUDIT_CONSENT_GIVEN), 0);
    _cleanup_result_ struct result result = {.done = false};
    assert_int_equal(store_remove_account(f->store, account, new_record(AUDIT_ACCOUNT_REMOVED, "user:alice"),
                                          on_reply, &result, NULL),
                     0);
    await(f, &result);
    assert_int_equal(result.r, 0);
    assert_int_equal(rows(f, "account = 2"), 1);
    assert_int_equal(rows(f, "1"), 1);
}

static void room_is_bounded(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_open(f), 0);
    int64_t account = new_account(f, "main");
    static char scopes[LIMIT_CONSENTS_PER_APP + 1][8];
    char names[sizeof(scopes)] = "";
    struct store_consent_change c = give(account, "allow", "logout", names);
    for (size_t i = 0; i < LIMIT_CONSENTS_PER_APP; i++) {
        char *end = names + strlen(names);
        (void)snprintf(end, sizeof(names) - (size_t)(end - names), "s%zu ", i);
    }
    assert_int_equal(change(f, &c, AUDIT_CONSENT_GIVEN), 0);
    assert_int_equal(change(f, &c, AUDIT_CONSENT_GIVEN), 0); /* in their own places */
    c.gives = "more";
    assert_int_equal(change(f, &c, AUDIT_CONSENT_GIVEN), -EUSERS);
    assert_int_equal(rows(f, "1"), LIMIT_CONSENTS_PER_APP);

    char app[32];
    for (int i = 1; i < LIMIT_CONSENTS_PER_ACCOUNT / LIMIT_CONSENTS_PER_APP; i++) {
        (void)snprintf(app, sizeof(app), "user:u%d", i);
        c.of.app = app;
        c.gives = names;
        assert_int_equal(change(f, &c, AUDIT_CONSENT_GIVEN), 0);
    }
    c.of.app = "user:last";
    c.gives = "a";
    assert_int_equal(change(f, &c, AUDIT_CONSENT_GIVEN), -EUSERS);
    assert_int_equal(rows(f, "1"), LIMIT_CONSENTS_PER_ACCOUNT);

    /* Denials still fit, for a while. */
    c = give(account, "deny", "logout", "");
    assert_int_equal(change(f, &c, AUDIT_CONSENT_REFUSED), 0);
    c.of.app = "user:last";
    c.gives = names; /* 256 */
    assert_int_equal(change(f, &c, AUDIT_CONSENT_REFUSED), -EUSERS);
    *strrchr(names, 's') = '\0';
    assert_int_equal(change(f, &c, AUDIT_CONSENT_REFUSED), 0);
    assert_int_equal(rows(f, "1"), LIMIT_CONSENTS_PER_ACCOUNT + LIMIT_CONSENTS_BEYOND);
}

/* --- what a disk can do --------------------------------------------------------------------------------- */

/* Seen from the other side of a power cut right after each callback. */
static void changes_are_durable(void **state)
{
    struct fixture *f = *state;
    int64_t row;
    assert_int_equal(fixture_open(f), 0);
    int64_t account = new_account(f, "main");
    struct store_consent_change c = give(account, "allow", "once", "a");
    assert_int_equal(change(f, &c, AUDIT_CONSENT_GIVEN), 0);
    assert_int_equal(number_at(cut_power(f), "SELECT count(*) FROM consent WHERE lasts = 'once'"), 1);
    assert_int_equal(use(f, account, "a", &row), 0);
    const char *cut = cut_power(f);
    assert_int_equal(number_at(cut, "SELECT count(*) FROM consent"), 0);
    assert_int_equal(number_at(cut, "SELECT count(*) FROM audit WHERE app = 'used'"), 1);
    c = give(account, "deny", "logout", "");
    assert_int_equal(change(f, &c, AUDIT_CONSENT_REFUSED), 0);
    assert_int_equal(number_at(cut_power(f), "SELECT count(*) FROM consent WHERE answer = 'deny'"), 1);
}

/* Whatever write fails: there is a record of a disclosure if and only if the consent is gone. */
static bool fail_use(struct fixture *f, unsigned n, int code)
{
    int64_t row;
    (void)unlink(f->path);
    assert_int_equal(fixture_open(f), 0);
    int64_t account = new_account(f, "main");
    struct store_consent_change c = give(account, "allow", "once", "a b");
    assert_int_equal(change(f, &c, AUDIT_CONSENT_GIVEN), 0);
    unsigned before = test_vfs_count_writes() + test_vfs_count_syncs();
    test_vfs_fail_at(n, code, false);
    int r = use(f, account, "a b", &row);
    bool reached = test_vfs_count_writes() + test_vfs_count_syncs() - before >= n;
    test_vfs_fail_at(0, 0, false);

    static const char is_whole[] =
        "SELECT (SELECT count(*) FROM consent) = 2 * (1 - (SELECT count(*) FROM audit WHERE app = 'used'))";
    assert_int_equal(number_at(cut_power(f), is_whole), 1);
    fixture_close(f);
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(number(f, is_whole), 1);
    if (r == 0)
        assert_int_equal(rows(f, "1"), 0);
    fixture_close(f);
    test_vfs_reset();
    return reached;
}

static void every_write_of_a_use_can_fail(void **state)
{
    static const int codes[] = {SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC};
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        unsigned n = 1;
        while (fail_use(*state, n, codes[i]))
            assert_true(++n < 100);
        assert_true(n > 2);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_are_replaced),          TEST(once_is_used_once), TEST(what_ran_out_goes),
        TEST(goes_with_the_account),         TEST(room_is_bounded),   TEST(changes_are_durable),
        TEST(every_write_of_a_use_can_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
