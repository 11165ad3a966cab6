/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/pkce.h"

#include <string.h>

/* RFC 7636, appendix B. */
static void test_vector(void **state _unused_)
{
    static const char verifier[] = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    _cleanup_(secret_freep) struct secret *s = NULL;
    char challenge[PKCE_TEXT_BYTES + 1];
    assert_int_equal(secret_new(verifier, strlen(verifier), &s), 0);
    pkce_challenge(s, challenge);
    assert_string_equal(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

static void test_new_texts(void **state _unused_)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    _cleanup_(secret_freep) struct secret *one = NULL;
    _cleanup_(secret_freep) struct secret *other = NULL;
    assert_int_equal(pkce_new_text(&one), 0);
    assert_int_equal(pkce_new_text(&other), 0);
    assert_int_equal(secret_size(one), 43); /* RFC 7636 asks for 43 to 128 */
    assert_false(secret_equal(one, other));
    const char *bytes = secret_bytes(one);
    for (size_t i = 0; i < 43; i++)
        assert_non_null(memchr(unreserved, bytes[i], strlen(unreserved)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vector),
        cmocka_unit_test(test_new_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
