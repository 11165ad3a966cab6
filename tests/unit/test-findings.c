/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/findings.h"
#include "broker/limits.h"

static void test_texts_are_made_printable(void **state _unused_)
{
    _cleanup_findings_ struct findings f = {NULL, 0, false, 0};
    findings_add(&f, "files", "a\x1b[31mb", FINDING_PROBLEM, "do\nthis", "%s", "\xff");
    assert_int_equal(f.n, 1);
    assert_string_equal(f.items[0].check, "files");
    assert_string_equal(f.items[0].subject, "a?[31mb");
    assert_string_equal(f.items[0].fix, "do?this");
    assert_string_equal(f.items[0].text, "?");
    assert_string_equal(finding_level_name(f.items[0].level), "problem");
}

static void test_what_is_not_given_is_empty(void **state _unused_)
{
    _cleanup_findings_ struct findings f = {NULL, 0, false, 0};
    findings_add(&f, "key", NULL, FINDING_OK, NULL, "number %d", 7);
    assert_string_equal(f.items[0].subject, "");
    assert_string_equal(f.items[0].fix, "");
    assert_string_equal(f.items[0].text, "number 7");
}

static void test_bound(void **state _unused_)
{
    _cleanup_findings_ struct findings f = {NULL, 0, false, 0};
    for (unsigned i = 0; i < LIMIT_FINDINGS; i++)
        findings_add(&f, "app", NULL, FINDING_NOTE, NULL, "%u", i);
    assert_false(f.is_cut);
    findings_add(&f, "app", NULL, FINDING_NOTE, NULL, "one more");
    assert_true(f.is_cut);
    assert_int_equal(f.n, LIMIT_FINDINGS);
    assert_int_equal(f.error, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_are_made_printable),
        cmocka_unit_test(test_what_is_not_given_is_empty),
        cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
