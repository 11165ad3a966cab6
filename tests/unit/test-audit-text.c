/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/audit-text.h"

#include <string.h>

#define ZEROS "00000000000000000000000000000000"
#define HASH ZEROS "000000000000000000000000000000ff"

static void places(void **state _unused_)
{
    static const struct {
        const char *text;
        int64_t sequence; /* 0: it is none */
    } cases[] = {
        {"1:" HASH, 1},
        {"999999999999999999:" HASH, INT64_C(999999999999999999)},
        {"", 0},
        {"1", 0},
        {"1:", 0},
        {":" HASH, 0},
        {"0:" HASH, 0},
        {"01:" HASH, 0},
        {"+1:" HASH, 0},
        {"-1:" HASH, 0},
        {" 1:" HASH, 0},
        {"1 :" HASH, 0},
        {"1:" HASH "0", 0},
        {"1:" HASH "\n", 0},
        {"1:" ZEROS "000000000000000000000000000000f", 0},
        {"1:" ZEROS "000000000000000000000000000000FF", 0},
        {"1:" ZEROS "000000000000000000000000000000fg", 0},
        {"9999999999999999999:" HASH, 0},
        {"18446744073709551617:" HASH, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct audit_head head = {.sequence = -7};
        char text[AUDIT_HEAD_TEXT_SIZE];
        bool is_one = audit_head_parse(cases[i].text, &head);
        if (is_one != (cases[i].sequence != 0))
            fail_msg("%s", cases[i].text);
        assert_int_equal(head.sequence, is_one ? cases[i].sequence : -7);
        if (!is_one)
            continue;
        assert_int_equal(head.hash[0], 0);
        assert_int_equal(head.hash[AUDIT_HASH_BYTES - 1], 0xff);
        audit_head_format(&head, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void largest_and_none(void **state _unused_)
{
    struct audit_head head = {.sequence = INT64_MAX};
    char text[AUDIT_HEAD_TEXT_SIZE];
    audit_head_format(&head, text);
    assert_string_equal(text, "9223372036854775807:" ZEROS ZEROS);
    head.sequence = 0;
    audit_head_format(&head, text);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places),
        cmocka_unit_test(largest_and_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
