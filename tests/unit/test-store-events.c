/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/store-fixture.h"

#include <string.h>

/* Operations of several records: which, in which order, and all or none of them. */

/* What store_on_record() told, as "event account grant detail|" each. */
struct told {
    char text[1024];
    int64_t last; /* sequence */
};

static const char *or_none(const char *text)
{
    return text ? text : "";
}

static void on_record(const struct audit_record *r, void *userdata)
{
    struct told *told = userdata;
    size_t n = strlen(told->text);
    assert_true(r->sequence > told->last);
    told->last = r->sequence;
    assert_string_equal(r->app, "user:alice");
    assert_string_equal(r->request, "call-1");
    assert_true(r->time_sec > 0 && r->boot_usec > 0);
    (void)snprintf(told->text + n, sizeof(told->text) - n, "%s %s %lld %s%s%s|", audit_event_name(r->event),
                   or_none(r->account), (long long)r->grant, or_none(r->carried),
                   r->carried && r->detail ? " " : "", or_none(r->detail));
}

static void expect_told(struct told *told, const char *text)
{
    assert_string_equal(told->text, text);
    told->text[0] = '\0';
}

static struct audit_record *record_of(enum audit_event event, const char *account)
{
    struct audit_record *r = new_record(event, "user:alice");
    r->account = strdup(account);
    r->request = strdup("call-1");
    assert_true(r->account && r->request);
    return r;
}

static int64_t grant_of(struct fixture *f, const char *token)
{
    int64_t row = 0;
    assert_int_equal(add_grant(f, alice(), token, &row), 0);
    return row;
}

static int link_grant(struct fixture *f, struct store_link *link, const char *account, int64_t *ret_row)
{
    _cleanup_result_ struct result result = {.done = false};
    memset(link->customer, 'c', sizeof(link->customer));
    assert_int_equal(
        store_link(f->store, link, record_of(AUDIT_LOGIN_FINISHED, account), on_reply, &result, NULL), 0);
    await(f, &result);
    *ret_row = result.row;
    return result.r;
}

static void of_a_login(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_open(f), 0);
    int64_t first = grant_of(f, "Atzr|one"), second = grant_of(f, "Atzr|two"), account;
    struct told told = {.last = 0};
    store_on_record(f->store, on_record, &told);

    struct store_link link = {.grant = first, .id = "main", .label = "Main", .is_default = true};
    assert_int_equal(link_grant(f, &link, "main", &account), 0);
    assert_int_equal(first, 1);
    expect_told(&told,
                "account-added main 0 default|grant-added main 1 music::library|login-finished main 1 |");

    /* The second supersedes the first, and a row that is not the account's. */
    const int64_t old[] = {first, 999};
    link = (struct store_link){
        .grant = second, .account_row = account, .superseded = old, .n_superseded = ARRAY_SIZE(old)};
    assert_int_equal(link_grant(f, &link, "main", &account), 0);
    expect_told(&told, "grant-added main 2 music::library|grant-removed main 1 music::library superseded|"
                       "login-finished main 2 |");
}

static void of_a_removal(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_open(f), 0);
    int64_t first = grant_of(f, "Atzr|one"), second = grant_of(f, "Atzr|two"), account, other;
    struct store_link link = {.grant = first, .id = "main", .label = "Main", .is_default = true};
    assert_int_equal(link_grant(f, &link, "main", &account), 0);
    link = (struct store_link){.grant = second, .account_row = account};
    assert_int_equal(link_grant(f, &link, "main", &account), 0);
    link = (struct store_link){.grant = grant_of(f, "Atzr|three"), .id = "main-2", .label = "Main"};
    assert_int_equal(link_grant(f, &link, "main-2", &other), 0);

    struct told told = {.last = 0};
    store_on_record(f->store, on_record, &told);
    _cleanup_result_ struct result result = {.done = false};
    assert_int_equal(store_remove_account(f->store, account, record_of(AUDIT_ACCOUNT_REMOVED, "main"),
                                          on_reply, &result, NULL),
                     0);
    await(f, &result);
    expect_told(&told, "grant-removed main 1 music::library account-removed|"
                       "grant-removed main 2 music::library account-removed|"
                       "account-changed main-2 0 default|account-removed main 0 |");
}

static void on_record_once(const struct audit_record *r _unused_, void *userdata)
{
    struct fixture *f = userdata;
    store_on_record(f->store, NULL, NULL);
}

/* Of several records of an operation it has heard the first. */
static void ends_listening_when_told(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_open(f), 0);
    int64_t account;
    struct store_link link = {.grant = grant_of(f, "Atzr|one"), .id = "main", .label = "Main"};
    store_on_record(f->store, on_record_once, f);
    assert_int_equal(link_grant(f, &link, "main", &account), 0);
}

/* An operation that fails leaves none of its records, and tells of none. */
static void none_of_what_failed(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_open(f), 0);
    int64_t first = grant_of(f, "Atzr|one"), second = grant_of(f, "Atzr|two"), account, other;
    struct store_link link = {.grant = first, .id = "main", .label = "Main", .is_default = true};
    assert_int_equal(link_grant(f, &link, "main", &account), 0);
    int64_t n = number(f, "SELECT count(*) FROM audit");

    struct told told = {.last = 0};
    store_on_record(f->store, on_record, &told);
    link = (struct store_link){.grant = second, .id = "main", .label = "Main"};
    assert_int_equal(link_grant(f, &link, "main", &other), -EEXIST);
    expect_told(&told, "");
    assert_int_equal(number(f, "SELECT count(*) FROM audit"), n);
}

/* An operation that nobody records makes no records of its own either. */
static void none_without_a_record(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_open(f), 0);
    int64_t n, grant = grant_of(f, "Atzr|one");
    n = number(f, "SELECT count(*) FROM audit");
    _cleanup_result_ struct result result = {.done = false};
    struct store_link link = {.grant = grant, .id = "main", .label = "Main"};
    assert_int_equal(store_link(f->store, &link, NULL, on_reply, &result, NULL), 0);
    await(f, &result);
    assert_int_equal(result.r, 0);
    assert_int_equal(number(f, "SELECT count(*) FROM audit"), n);
}

/* In every one of them, also those that the store makes. */
static void boot_id_is_written(void **state)
{
    struct fixture *f = *state;
    int64_t account;
    assert_int_equal(fixture_open(f), 0);
    struct store_link link = {.grant = grant_of(f, "Atzr|one"), .id = "main", .label = "Main"};
    assert_int_equal(link_grant(f, &link, "main", &account), 0);
    assert_int_equal(number(f, "SELECT count(DISTINCT boot_id) FROM audit"), 1);
    assert_int_equal(number(f, "SELECT count(*) FROM audit WHERE length(boot_id) <> 16"
                               " OR boot_id = zeroblob(16) OR boot_usec = 0"),
                     0);
}

/* What the last run left: only one that said that it stopped has not crashed. */
static void crashes(void **state)
{
    static const struct {
        enum audit_event events[4];
        size_t n;
        int64_t last;
    } runs[] = {
        {{0}, 0, 0},
        {{AUDIT_BROKER_STARTED}, 1, 1},
        {{AUDIT_BROKER_STARTED, AUDIT_TOKEN_DENIED}, 2, 2},
        {{AUDIT_BROKER_STARTED, AUDIT_BROKER_STOPPED}, 2, 0},
        {{AUDIT_BROKER_STOPPED, AUDIT_BROKER_STARTED}, 2, 2},
        {{AUDIT_BROKER_CRASHED}, 1, 1},
        {{AUDIT_BROKER_STOPPED, AUDIT_TRAIL_SEALED}, 2, 0},
        {{AUDIT_BROKER_STARTED, AUDIT_TRAIL_SEALED}, 2, 1},
        {{AUDIT_TRAIL_KEY_CREATED}, 1, 0},                  /* the first start */
        {{AUDIT_TOKEN_DENIED, AUDIT_TRAIL_PRUNED}, 2, 1},   /* that it started was pruned */
        {{AUDIT_BROKER_STOPPED, AUDIT_LOGIN_FAILED}, 2, 0}, /* written while it stopped */
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
        int64_t sequence = 0, last = -1, first = 0;
        (void)unlink(f->path);
        (void)unlink(f->key);
        assert_int_equal(fixture_open(f), 0);
        for (size_t k = 0; k < runs[i].n; k++) {
            assert_int_equal(audit(f, runs[i].events[k], "", &sequence), 0);
            first = k == 0 ? sequence : first;
        }
        assert_int_equal(store_find_crash(f->store, &last), 0);
        assert_int_equal(last, runs[i].last ? first + runs[i].last - 1 : 0);
        fixture_close(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(crashes, fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(of_a_login, fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(of_a_removal, fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(ends_listening_when_told, fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(none_of_what_failed, fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(none_without_a_record, fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(boot_id_is_written, fixture_set_up, fixture_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
