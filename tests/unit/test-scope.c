/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "policy/scope.h"

#include <string.h>

static void test_tokens(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {
        {"profile", true}, {"music::library:read", true},
        {"!", true},       {"~", true},
        {"[]", true},      {"#", true},
        {"", false},       {" ", false},
        {"a b", false},    {"a\tb", false},
        {"a\"b", false},   {"a\\b", false},
        {"a\x7F", false},  {"a\xC3\xA9", false},
        {"a\x1F", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(scope_token_is_valid(cases[i].text), cases[i].valid);

    char text[SCOPE_BYTES_MAX + 2];
    memset(text, 'x', sizeof(text));
    text[SCOPE_BYTES_MAX + 1] = '\0';
    assert_false(scope_token_is_valid(text));
    text[SCOPE_BYTES_MAX] = '\0';
    assert_true(scope_token_is_valid(text));
}

static void test_members(void **state)
{
    (void)state;
    static const int members[] = {0, 1, 62, 63, 64, 127, 128, 200, 255};
    struct scope_set set = SCOPE_SET_EMPTY;
    assert_int_equal(scope_set_next(&set, 0), -1);
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        scope_set_add(&set, members[i]);
        assert_int_equal(scope_set_count(&set), i + 1);
    }
    size_t n = 0;
    for (int i = scope_set_next(&set, 0); i >= 0; i = scope_set_next(&set, i + 1))
        assert_int_equal(i, members[n++]);
    assert_int_equal(n, sizeof(members) / sizeof(members[0]));
    assert_int_equal(scope_set_next(&set, 256), -1);
    scope_set_remove(&set, 64);
    assert_false(scope_set_has(&set, 64));
    assert_int_equal(scope_set_next(&set, 64), 127);
}

static void test_algebra(void **state)
{
    (void)state;
    struct scope_set a = SCOPE_SET_EMPTY, b = SCOPE_SET_EMPTY;
    scope_set_add(&a, 3);
    scope_set_add(&a, 130);
    scope_set_add(&b, 130);
    scope_set_add(&b, 250);
    struct scope_set both = scope_set_union(a, b);
    assert_int_equal(scope_set_count(&both), 3);
    struct scope_set common = scope_set_intersection(a, b);
    assert_int_equal(scope_set_next(&common, 0), 130);
    assert_int_equal(scope_set_count(&common), 1);
    struct scope_set rest = scope_set_minus(a, b);
    assert_int_equal(scope_set_next(&rest, 0), 3);
    assert_true(scope_set_is_subset(a, both));
    assert_false(scope_set_is_subset(both, a));
    assert_true(scope_set_is_subset(SCOPE_SET_EMPTY, a));
    assert_true(scope_set_equal(scope_set_union(common, rest), a));
    assert_false(scope_set_equal(a, b));
    assert_true(scope_set_is_empty(scope_set_minus(a, a)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_algebra),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
