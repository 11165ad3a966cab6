/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/store-fixture.h"

#include "broker/store-matrix.h"

#include <sqlite3.h>
#include <string.h>

/* The sums of the trail, and what is no part of them. */

#define NOW_SEC 2000000000

struct sums {
    bool is_done;
    bool is_complete;
    char text[1024]; /* "kind uid app carried n|" each */
};

static void on_sums(struct store_reply *reply, void *userdata)
{
    static const char *const kinds[] = {"disclosed", "denied", "held"};
    struct sums *sums = userdata;
    assert_int_equal(reply->r, 0);
    sums->is_complete = reply->matrix->is_complete;
    for (size_t i = 0; i < reply->matrix->n; i++) {
        const struct store_matrix_entry *e = reply->matrix->entries[i];
        size_t n = strlen(sums->text);
        (void)snprintf(sums->text + n, sizeof(sums->text) - n, "%s %u %s %s %llu|", kinds[e->kind],
                       (unsigned)e->uid, e->app, e->carried, (unsigned long long)e->n);
    }
    sums->is_done = true;
}

static void expect_sums_of(struct fixture *f, uid_t owner_uid, const char *owner, const char *text,
                           bool is_complete)
{
    struct store_matrix_question question = {.now_sec = NOW_SEC, .owner_uid = owner_uid};
    (void)snprintf(question.owner, sizeof(question.owner), "%s", owner);
    struct sums sums = {.is_done = false};
    assert_int_equal(store_matrix_query(f->store, &question, 0, on_sums, &sums, NULL), 0);
    while (!sums.is_done)
        (void)uv_run(&f->loop, UV_RUN_ONCE);
    assert_string_equal(sums.text, text);
    assert_int_equal(sums.is_complete, is_complete);
}

static void expect_sums(struct fixture *f, const char *text, bool is_complete)
{
    expect_sums_of(f, (uid_t)-1, "", text, is_complete);
}

static int64_t disclose(struct fixture *f, uid_t uid, const char *app)
{
    _cleanup_result_ struct result result = {.done = false};
    struct audit_record *r = new_record(AUDIT_TOKEN_DISCLOSED, app);
    r->time_sec = NOW_SEC - 60;
    r->expires_sec = NOW_SEC + 60;
    r->uid = uid;
    r->asked = strdup("profile");
    r->carried = strdup("profile");
    assert_true(r->asked && r->carried);
    assert_int_equal(store_audit(f->store, r, on_reply, &result, NULL), 0);
    await(f, &result);
    assert_int_equal(result.r, 0);
    return result.row;
}

static void change(const struct fixture *f, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void sums_up(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_open(f), 0);
    (void)disclose(f, 1000, "user:alice");
    (void)disclose(f, 1000, "user:alice");
    (void)disclose(f, 1001, "user:bob");
    expect_sums(f,
                "disclosed 1000 user:alice profile 2|disclosed 1001 user:bob profile 1|"
                "held 1000 user:alice profile 2|held 1001 user:bob profile 1|",
                true);
}

/* A number that is no uid would be another user's, cut to the size of one. */
static void charges_no_user_with_what_is_no_uid(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_open(f), 0);
    (void)disclose(f, 1000, "user:alice");
    (void)disclose(f, 1001, "user:bob");
    change(f, "UPDATE audit SET uid = uid + 4294967296 WHERE uid = 1001");
    /* What cannot be read is left out, and that is said. */
    expect_sums(f, "disclosed 1000 user:alice profile 1|held 1000 user:alice profile 1|", false);
}

/* As in the other queries: whoever puts it back does not make it part of the trail again. */
static void leaves_out_what_was_removed(void **state)
{
    struct fixture *f = *state;
    char sql[128];
    assert_int_equal(fixture_open(f), 0);
    int64_t first = disclose(f, 1000, "user:alice");
    (void)disclose(f, 1001, "user:bob");
    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO audit_base VALUES (1, %lld, zeroblob(32), 1, 0, 1, 1, zeroblob(16))",
                   (long long)first);
    change(f, sql);
    expect_sums(f, "disclosed 1001 user:bob profile 1|held 1001 user:bob profile 1|", true);
}

/* A number is given anew when its user has left: he who has it now is not told what the other's apps did. */
static void is_of_an_owner_by_number_and_name(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_open(f), 0);
    (void)disclose(f, 1000, "flatpak:a");
    (void)disclose(f, 1000, "flatpak:b");
    change(f, "UPDATE audit SET owner_uid = 1000, owner = 'alice' WHERE app = 'flatpak:a'");
    change(f, "UPDATE audit SET owner_uid = 1000, owner = 'carol' WHERE app = 'flatpak:b'");
    expect_sums_of(f, 1000, "alice", "disclosed 1000 flatpak:a profile 1|held 1000 flatpak:a profile 1|",
                   true);
    expect_sums_of(f, 1000, "dave", "", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sums_up, fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(charges_no_user_with_what_is_no_uid, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(is_of_an_owner_by_number_and_name, fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(leaves_out_what_was_removed, fixture_set_up, fixture_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
