/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/audit.h"

#include <string.h>

static void names_round_trip(void **state _unused_)
{
    for (int i = 0; i < AUDIT_EVENT_COUNT; i++) {
        const char *name = audit_event_name((enum audit_event)i);
        assert_non_null(name);
        assert_int_equal(audit_event_from_name(name), i);
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
    }
    assert_int_equal(audit_event_from_name("token"), -1);
    assert_int_equal(audit_event_from_name(""), -1);
}

/* These are in databases out there. */
static void names_stay(void **state _unused_)
{
    assert_string_equal(audit_event_name(AUDIT_TOKEN_DISCLOSED), "token-disclosed");
    assert_string_equal(audit_event_name(AUDIT_GRANT_INTERRUPTED), "grant-interrupted");
    assert_string_equal(audit_event_name(AUDIT_LOGIN_FINISHED), "login-finished");
}

static void is_empty_when_new(void **state _unused_)
{
    _cleanup_(audit_record_freep) struct audit_record *r = audit_record_new(AUDIT_TOKEN_DENIED);
    assert_non_null(r);
    assert_int_equal(r->event, AUDIT_TOKEN_DENIED);
    assert_true(r->uid == (uid_t)-1 && r->owner_uid == (uid_t)-1);
    assert_null(r->app);
    assert_false(r->has_fingerprint);
    audit_record_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_round_trip),
        cmocka_unit_test(names_stay),
        cmocka_unit_test(is_empty_when_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
