/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "util/utf8.h"

#include <string.h>

#define TEXT(s) s, sizeof(s) - 1

static void test_valid(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        bool valid;
    } cases[] = {
        {TEXT(""), true},
        {TEXT("plain"), true},
        {TEXT("a\0b"), true},
        {TEXT("\xC3\xA9"), true},
        {TEXT("\xE2\x80\xA6"), true},
        {TEXT("\xF0\x9F\x8E\xB5"), true},
        {TEXT("\xF4\x8F\xBF\xBF"), true},
        {TEXT("\x80"), false},
        {TEXT("\xC3"), false},
        {TEXT("\xC3("), false},
        {TEXT("\xC0\xAF"), false},         /* overlong */
        {TEXT("\xE0\x80\xAF"), false},     /* overlong */
        {TEXT("\xF0\x80\x80\xAF"), false}, /* overlong */
        {TEXT("\xED\xA0\x80"), false},     /* surrogate */
        {TEXT("\xF4\x90\x80\x80"), false}, /* above U+10FFFF */
        {TEXT("\xE2\x80"), false},
        {TEXT("\xFF"), false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(utf8_is_valid(cases[i].bytes, cases[i].n), cases[i].valid);
}

static void test_cut(void **state)
{
    (void)state;
    const char text[] = "a\xC3\xA9\xF0\x9F\x8E\xB5z";
    const size_t expected[] = {0, 1, 1, 3, 3, 3, 3, 7, 8, 8};
    for (size_t max = 0; max < sizeof(expected) / sizeof(expected[0]); max++)
        assert_int_equal(utf8_cut(text, strlen(text), max), expected[max]);
}

static void test_scrub(void **state)
{
    (void)state;
    char good[] = "d\xC3\xA9j\xC3\xA0\n";
    utf8_scrub(good);
    assert_string_equal(good, "d\xC3\xA9j\xC3\xA0?");
    char bad[] = "a\xFF\x1B\xC3\xA9";
    utf8_scrub(bad);
    assert_string_equal(bad, "a????");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_scrub),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
