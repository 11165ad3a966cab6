/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/appeared.h"
#include "broker/limits.h"

static void add_numbered(struct appeared *a, unsigned number)
{
    char name[32];
    (void)snprintf(name, sizeof(name), ":1.%u", number);
    appeared_add(a, name, 1000 + number);
}

static void each_name_has_its_time(void **state _unused_)
{
    struct appeared a = {0};
    assert_int_equal(appeared_usec(&a, ":1.1"), 0);
    for (unsigned i = 1; i <= 1000; i++)
        add_numbered(&a, i * 7919 % 1009);
    for (unsigned i = 1; i <= 1000; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), ":1.%u", i * 7919 % 1009);
        assert_int_equal(appeared_usec(&a, name), 1000 + i * 7919 % 1009);
    }
    assert_int_equal(appeared_usec(&a, ":1"), 0);
    assert_int_equal(appeared_usec(&a, ":1.10000"), 0);
    appeared_clear(&a);
    assert_int_equal(appeared_usec(&a, ":1.1"), 0);
}

static void who_has_left_is_forgotten(void **state _unused_)
{
    struct appeared a = {0};
    add_numbered(&a, 1);
    add_numbered(&a, 2);
    appeared_remove(&a, ":1.1");
    appeared_remove(&a, ":1.1");
    appeared_remove(&a, ":1.3");
    assert_int_equal(a.n, 1);
    assert_int_equal(appeared_usec(&a, ":1.1"), 0);
    assert_int_equal(appeared_usec(&a, ":1.2"), 1002);
    appeared_clear(&a);
    assert_int_equal(a.n, 0);
    assert_null(a.names);
}

/* The earlier time is the stricter one. */
static void a_name_appears_once(void **state _unused_)
{
    struct appeared a = {0};
    appeared_add(&a, ":1.1", 5);
    appeared_add(&a, ":1.1", 6);
    assert_int_equal(appeared_usec(&a, ":1.1"), 5);
    assert_int_equal(a.n, 1);
    appeared_clear(&a);
}

static void beyond_the_limit_is_not_known(void **state _unused_)
{
    struct appeared a = {0};
    for (unsigned i = 0; i < LIMIT_APPEARED + 10; i++)
        add_numbered(&a, i);
    assert_int_equal(a.n, LIMIT_APPEARED);
    assert_int_equal(appeared_usec(&a, ":1.0"), 1000);
    char name[32];
    (void)snprintf(name, sizeof(name), ":1.%d", LIMIT_APPEARED);
    assert_int_equal(appeared_usec(&a, name), 0);
    /* There is room again when somebody leaves. */
    appeared_remove(&a, ":1.0");
    appeared_add(&a, name, 7);
    assert_int_equal(appeared_usec(&a, name), 7);
    appeared_clear(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_name_has_its_time),
        cmocka_unit_test(who_has_left_is_forgotten),
        cmocka_unit_test(a_name_appears_once),
        cmocka_unit_test(beyond_the_limit_is_not_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
