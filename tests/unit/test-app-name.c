/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/cgroup-unit.h"
#include "broker/flatpak-info.h"
#include "broker/snap-label.h"
#include "policy/app-name.h"
#include "util/cleanup.h"

#include <stdlib.h>
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
        if (app_name_is_valid(cases[i].app) != cases[i].is_valid)
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

static uint64_t random_state = 88172645463325252;

static unsigned draw(unsigned n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 33) % n;
}

static bool is_snap_by_label(const char *name)
{
    char label[512], app[SNAP_APP_SIZE];
    int n = snprintf(label, sizeof(label), "snap.%s (enforce)", name);
    return snap_label_read((const unsigned char *)label, (size_t)n + 1, app) == SNAP_LABEL_APP &&
           strcmp(app + strlen("snap:"), name) == 0;
}

/* What forms the names of running apps accepts the very names that a section may have. */
static void test_agrees_with_who_names_apps(void **state)
{
    (void)state;
    static const char *const pieces[] = {"a", "Z",  "0",        "-",       "_",  ".",    "b-c", "org.x",
                                         "@", "\\", ".service", ".socket", "::", ".app", " ",   "/"};
    unsigned n_valid[3] = {0, 0, 0};
    for (unsigned i = 0; i < 300000; i++) {
        char app[128], name[100] = "";
        unsigned n = 1 + draw(6);
        for (unsigned k = 0, end = 0; k < n; k++)
            end += (unsigned)snprintf(name + end, sizeof(name) - end, "%s", pieces[draw(ARRAY_SIZE(pieces))]);
        static const char *const prefixes[] = {"flatpak:", "unit:", "snap:"};
        const bool by_others[] = {flatpak_id_is_valid(name), cgroup_unit_is_valid(name),
                                  is_snap_by_label(name)};
        for (unsigned kind = 0; kind < 3; kind++) {
            (void)snprintf(app, sizeof(app), "%s%s", prefixes[kind], name);
            if (app_name_is_valid(app) != by_others[kind])
                fail_msg("%s", app);
            n_valid[kind] += by_others[kind] ? 1 : 0;
        }
    }
    for (unsigned kind = 0; kind < 3; kind++)
        assert_true(n_valid[kind] > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_users),
        cmocka_unit_test(test_agrees_with_who_names_apps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
