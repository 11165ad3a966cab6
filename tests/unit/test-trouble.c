/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/trouble.h"
#include "util/cleanup.h"

#include <ctype.h>
#include <string.h>

static void tells_apart(void **state _unused_)
{
    static const struct {
        struct lwa_answer answer;
        bool is_clock_wrong;
        enum trouble trouble;
    } cases[] = {
        {{.outcome = LWA_OK, .status = 200, .is_json = true}, false, TROUBLE_NONE},
        {{.outcome = LWA_E_OFFLINE, .failure = HTTP_E_CONNECT}, false, TROUBLE_OFFLINE},
        {{.outcome = LWA_E_OFFLINE, .failure = HTTP_E_RESOLVE}, false, TROUBLE_DNS},
        {{.outcome = LWA_E_OFFLINE, .failure = HTTP_E_RESOLVE}, true, TROUBLE_DNS},
        {{.outcome = LWA_E_OFFLINE, .failure = HTTP_E_TLS}, false, TROUBLE_TLS},
        {{.outcome = LWA_E_OFFLINE, .failure = HTTP_E_TLS}, true, TROUBLE_CLOCK},
        {{.outcome = LWA_E_CLOCK, .failure = HTTP_E_TLS_TIME}, false, TROUBLE_CLOCK},
        {{.outcome = LWA_E_TRANSIENT, .failure = HTTP_E_INTERNAL}, false, TROUBLE_RESOURCES},
        {{.outcome = LWA_E_TRANSIENT, .status = 500, .is_json = true}, false, TROUBLE_SERVER_ERROR},
        {{.outcome = LWA_E_TRANSIENT, .status = 502}, false, TROUBLE_SERVER_ERROR},
        {{.outcome = LWA_E_TRANSIENT, .status = 429}, false, TROUBLE_THROTTLED},
        {{.outcome = LWA_E_PORTAL, .status = 302}, false, TROUBLE_CAPTIVE_PORTAL},
        {{.outcome = LWA_E_AMBIGUOUS, .status = 200}, false, TROUBLE_CAPTIVE_PORTAL},
        {{.outcome = LWA_E_AMBIGUOUS, .status = 200, .is_json = true}, false, TROUBLE_AMBIGUOUS},
        {{.outcome = LWA_E_AMBIGUOUS, .failure = HTTP_E_LOST}, false, TROUBLE_AMBIGUOUS},
        {{.outcome = LWA_E_AMBIGUOUS, .failure = HTTP_E_TOO_LARGE}, false, TROUBLE_AMBIGUOUS},
        {{.outcome = LWA_E_CLIENT, .status = 401, .is_json = true}, false, TROUBLE_MISCONFIGURED},
        {{.outcome = LWA_E_CLIENT_TYPE, .status = 400, .is_json = true}, false, TROUBLE_MISCONFIGURED},
        {{.outcome = LWA_E_REQUEST, .status = 400, .is_json = true}, false, TROUBLE_MISCONFIGURED},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(trouble_of(&cases[i].answer, !cases[i].is_clock_wrong), cases[i].trouble);
}

static void has_words_for_all(void **state _unused_)
{
    assert_string_equal(trouble_name(TROUBLE_NONE), "");
    for (int trouble = TROUBLE_NONE; trouble < TROUBLE_COUNT; trouble++) {
        for (int is_set = 0; is_set < 2; is_set++) {
            const char *text = trouble_text(trouble, is_set);
            assert_true(isupper((unsigned char)text[0]));
            assert_true(isalpha((unsigned char)text[strlen(text) - 1]) || text[strlen(text) - 1] == ')');
        }
        for (int other = TROUBLE_NONE; other < trouble; other++)
            assert_string_not_equal(trouble_name(trouble), trouble_name(other));
    }
}

/* One whose clock is good must not be sent to look at it only. */
static void names_both_reasons(void **state _unused_)
{
    assert_non_null(strstr(trouble_text(TROUBLE_CLOCK, true), "has run out"));
    assert_non_null(strstr(trouble_text(TROUBLE_CLOCK, true), "clock"));
    assert_null(strstr(trouble_text(TROUBLE_CLOCK, false), "has run out"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_apart),
        cmocka_unit_test(has_words_for_all),
        cmocka_unit_test(names_both_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
