/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whose account a caller's words mean (I8). Several owners share one of the broker's lists, among them the
 * device and the uids that are multiples of ACCOUNT_LISTS: none of them may reach another's. */

#include "tests/unit/unit.h"

#include "broker/account.h"
#include "broker/broker.h"

#include <string.h>

#define ALICE (20 * ACCOUNT_LISTS)
#define BOB (21 * ACCOUNT_LISTS)
#define NOBODY (22 * ACCOUNT_LISTS)
#define OTHER_LIST (ALICE + 1)

struct row {
    uid_t uid; /* (uid_t)-1: the device */
    const char *id;
    bool is_default;
};

static const struct row rows[] = {
    {BOB, "main", true},           {ALICE, "main", false},    {ALICE, "main-2", true},
    {(uid_t)-1, "device", false},  {OTHER_LIST, "own", true}, {ALICE, "shared", false},
    {(uid_t)-1, "shared", false},  {BOB, "bobs", false},      {(uid_t)-1, "device-2", true},
    {OTHER_LIST, "main-9", false},
};

static int set_up(void **state)
{
    static const unsigned char customer[STORE_CUSTOMER_BYTES];
    struct broker *broker = calloc(1, sizeof(*broker));
    assert_non_null(broker);
    list_init(&broker->accounts);
    list_init(&broker->unproven);
    for (size_t i = 0; i < ARRAY_SIZE(broker->owned); i++)
        list_init(&broker->owned[i]);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct store_account stored = {.row = (int64_t)i + 1,
                                       .id = rows[i].id,
                                       .label = "",
                                       .owner = {.device = rows[i].uid == (uid_t)-1, .uid = rows[i].uid},
                                       .is_default = rows[i].is_default,
                                       .customer = customer};
        struct account *account;
        assert_int_equal(account_new(broker, &stored, &account), 0);
    }
    *state = broker;
    return 0;
}

static int tear_down(void **state)
{
    struct broker *broker = *state;
    accounts_free(broker);
    for (size_t i = 0; i < ARRAY_SIZE(broker->owned); i++)
        assert_true(list_is_empty(&broker->owned[i]));
    free(broker);
    return 0;
}

static void test_for_caller(void **state)
{
    static const struct {
        uid_t uid;
        const char *name;
        int64_t row; /* 0: none */
    } cases[] = {
        {ALICE, "main", 2},    {BOB, "main", 1},     {NOBODY, "main", 0},    {OTHER_LIST, "main", 0},
        {ALICE, "bobs", 0},    {BOB, "bobs", 8},     {ALICE, "device", 4},   {NOBODY, "device", 4},
        {ALICE, "shared", 6},  {BOB, "shared", 7},   {OTHER_LIST, "own", 5}, {ALICE, "own", 0},
        {ALICE, "nowhere", 0}, {ALICE, "", 3},       {BOB, "", 1},           {NOBODY, "", 9},
        {OTHER_LIST, "", 5},   {ALICE, "main-9", 0}, {(uid_t)-1, "main", 0}, {0, "main", 0},
        {(uid_t)-1, "", 9},    {0, "", 9},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct account *found = account_for_caller(*state, cases[i].uid, cases[i].name);
        assert_int_equal(found ? found->row : 0, cases[i].row);
    }
}

static void test_count(void **state)
{
    const struct owner alice = {.uid = ALICE}, device = {.device = true, .uid = (uid_t)-1};
    const struct owner renamed = {.uid = ALICE, .name = "another"}, nobody = {.uid = NOBODY};
    assert_int_equal(account_count_of(*state, &alice), 3);
    assert_int_equal(account_count_of(*state, &device), 3);
    assert_int_equal(account_count_of(*state, &renamed), 0);
    assert_int_equal(account_count_of(*state, &nobody), 0);
}

static void test_make_id(void **state)
{
    static const struct {
        uid_t uid;
        const char *id;
    } cases[] = {{ALICE, "main-3"}, {BOB, "main-2"}, {NOBODY, "main"}, {(uid_t)-1, "device-3"}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct owner owner = {.device = cases[i].uid == (uid_t)-1, .uid = cases[i].uid};
        char id[LWA_ACCOUNT_ID_BYTES_MAX + 1];
        assert_int_equal(account_make_id(*state, &owner, id), 0);
        assert_string_equal(id, cases[i].id);
    }
}

static void test_removed(void **state)
{
    account_remove(account_find(*state, BOB, "main"));
    assert_null(account_find(*state, BOB, "main"));
    assert_non_null(account_find(*state, ALICE, "main"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_for_caller, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_make_id, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_removed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
