/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "policy/app-name.h"
#include "util/cleanup.h"

#include <string.h>

#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static const struct {
    const char *app;
    bool is_valid;
} cases[] = {
    {"user:alice", true},
    {"user:a.b_c-D9", true},
    {"user:", false},
    {"user:al ice", false},
    {"user:al/ice", false},
    {"user:\xC3\xA4", false},
    {"user:a" TEN TEN TEN TEN TEN TEN "12", true},
    {"user:a" TEN TEN TEN TEN TEN TEN "123", false},
    {"uid:0", true},
    {"uid:20001", true},
    {"uid:4294967294", true},
    {"uid:4294967295", false},
    {"uid:99999999999", false},
    {"uid:007", false},
    {"uid:-1", false},
    {"uid:x", false},
    {"uid:", false},
    {"unit:musicd.service", true},
    {"unit:a@b\\x2d.service", true},
    {"unit:musicd", false},
    {"unit:.service", false},
    {"unit:@x.service", false},
    {"unit:a b.service", false},
    {"unit:x.timer", false},
    {"unit:x.slice", false},
    {"unit:" HUNDRED HUNDRED TEN TEN TEN TEN "1234567.service", true},
    {"unit:" HUNDRED HUNDRED TEN TEN TEN TEN "12345678.service", false},
    {"flatpak:org.example.Player", true},
    {"flatpak:org.example.Play-er_9", true},
    {"flatpak:org.ex-ample.Player", false},
    {"flatpak:org.example", false},
    {"flatpak:org..Player", false},
    {"flatpak:org.example.9", false},
    {"flatpak:org.example.", false},
    {"snap:player.app", true},
    {"snap:player_work.app", true},
    {"snap:a-1.APP-x", true},
    {"snap:player", false},
    {"snap:player.", false},
    {"snap:.app", false},
    {"snap:Player.app", false},
    {"snap:123.app", false},
    {"snap:a--b.app", false},
    {"snap:player_.app", false},
    {"snap:player_01234567890.app", false},
    {"snap:player.app.hook", false},
    {"exe:/usr/bin/player", false},
    {"unknown", false},
    {"", false},
    {"USER:alice", false},
    {" user:alice", false},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if ((app_kind_from_name(cases[i].app) >= 0) != cases[i].is_valid)
            fail_msg("%s", cases[i].app);
}

static void test_users(void **state)
{
    (void)state;
    assert_true(app_user_is_valid("alice"));
    assert_true(app_user_is_valid("1000"));
    assert_true(app_user_is_valid("1st"));
    assert_false(app_user_is_valid("01000")); /* digits are a number, which no user has in this form */
    assert_false(app_user_is_valid("4294967295"));
    assert_false(app_user_is_valid(""));
    assert_false(app_user_is_valid("a*"));
}

static void test_kinds(void **state)
{
    (void)state;
    assert_int_equal(app_kind_from_name("user:alice"), SUBJECT_USER);
    assert_int_equal(app_kind_from_name("uid:20001"), SUBJECT_USER);
    assert_int_equal(app_kind_from_name("unit:musicd.service"), SUBJECT_SYSTEM_UNIT);
    assert_int_equal(app_kind_from_name("flatpak:org.example.Player"), SUBJECT_FLATPAK);
    assert_int_equal(app_kind_from_name("snap:player.app"), SUBJECT_SNAP);
    assert_int_equal(app_kind_from_name("unknown"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_users),
        cmocka_unit_test(test_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
