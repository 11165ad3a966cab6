/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The table of why a login ended: whole, and fit for a person. */

#include "tests/unit/unit.h"

#include "broker/login-reason.h"

#include <ctype.h>
#include <string.h>

static bool is_word(const char *s)
{
    return *s && s[strspn(s, "abcdefghijklmnopqrstuvwxyz-")] == '\0';
}

static void test_every_reason(void **state _unused_)
{
    for (unsigned i = LOGIN_R_LINKED + 1; i < LOGIN_REASON_COUNT; i++) {
        const struct login_reason_info *info = login_reason_get(i);
        if (!info->word || !is_word(info->word))
            fail_msg("reason %u has no word", i);
        bool is_failed = strcmp(info->outcome, "failed") == 0;
        if (is_failed != (info->error != BUS_OK))
            fail_msg("%s: a failure has an error, and nothing else has", info->word);
        bool is_silent = strcmp(info->outcome, "cancelled") == 0;
        if (is_silent != !info->message)
            fail_msg("%s: all but who cancelled are told why", info->word);
        for (unsigned k = LOGIN_R_LINKED + 1; k < i; k++)
            assert_string_not_equal(login_reason_get(k)->word, info->word);
    }
}

/* A sentence says what to do next, and names no internals. */
static void test_sentences(void **state _unused_)
{
    static const char *const verbs[] = {"Log in", "log in", "An administrator must look at", "Bring another",
                                        "Set the one"};
    for (unsigned i = LOGIN_R_LINKED + 1; i < LOGIN_REASON_COUNT; i++) {
        const char *text = login_reason_get(i)->message;
        if (!text)
            continue;
        bool says_what_to_do = false;
        for (size_t k = 0; k < ARRAY_SIZE(verbs); k++)
            says_what_to_do = says_what_to_do || strstr(text, verbs[k]);
        size_t n = strlen(text);
        if (!says_what_to_do || !isupper((unsigned char)text[0]) || text[n - 1] != '.' || n > 240)
            fail_msg("%s", text);
        for (size_t k = 0; k < n; k++)
            if (text[k] < 0x20 || text[k] > 0x7e)
                fail_msg("byte %02x in: %s", (unsigned char)text[k], text);
        assert_null(strstr(text, "invalid_"));
        assert_null(strstr(text, "grant_type"));
    }
}

static void test_of_outcomes(void **state _unused_)
{
    static const struct {
        enum lwa_outcome outcome;
        const char *word;
    } cases[] = {
        {LWA_E_EXPIRED, "expired"},
        {LWA_E_DENIED, "denied"},
        {LWA_E_INVALID_GRANT, "region-or-client"},
        {LWA_E_CLIENT, "client"},
        {LWA_E_CLIENT_TYPE, "client-type"},
        {LWA_E_SCOPE, "scope"},
        {LWA_E_INVALID_TOKEN, "request"},
        {LWA_E_REQUEST, "request"},
        {LWA_E_TRANSIENT, "provider"},
        {LWA_E_OFFLINE, "offline"},
        {LWA_E_PORTAL, "captive-portal"},
        {LWA_E_CLOCK, "clock"},
        {LWA_E_AMBIGUOUS, "lost-answer"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_string_equal(login_reason_get(login_reason_of(cases[i].outcome))->word, cases[i].word);
}

static void test_of_redirects(void **state _unused_)
{
    static const char *const cases[][2] = {
        {"access_denied", "denied"},
        {"invalid_scope", "scope"},
        {"unauthorized_client", "client"},
        {"server_error", "provider"},
        {"temporarily_unavailable", "provider"},
        {"invalid_request", "request"},
        {"access_denied ", "request"},
        {"%s%n", "request"},
        {"", "request"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_string_equal(login_reason_get(login_reason_of_redirect(cases[i][0]))->word, cases[i][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_reason),
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_of_outcomes),
        cmocka_unit_test(test_of_redirects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
