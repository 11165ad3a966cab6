/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Labels as the documentation of snapd and AppArmor has them. The machines that run these tests have no
 * AppArmor, so that nothing but this reader is tested of Snap. */

#include "tests/unit/unit.h"

#include "broker/snap-label.h"

#include <string.h>

#define LABEL(text) text, sizeof(text)
#define TEN "aaaaaaaaaa"
#define FORTY TEN TEN TEN TEN

static const struct {
    const char *label;
    size_t n; /* with the NUL */
    enum snap_label result;
    const char *app;
} cases[] = {
    {LABEL("snap.player.app (enforce)"), SNAP_LABEL_APP, "snap:player.app"},
    {LABEL("snap.player.player (enforce)"), SNAP_LABEL_APP, "snap:player.player"},
    {LABEL("snap.my-player2.App-2 (enforce)"), SNAP_LABEL_APP, "snap:my-player2.App-2"},
    {LABEL("snap.player_work1.app (enforce)"), SNAP_LABEL_APP, "snap:player_work1.app"},
    {LABEL("snap." FORTY ".app (enforce)"), SNAP_LABEL_APP, "snap:" FORTY ".app"},
    {LABEL("snap.player_" TEN ".app (enforce)"), SNAP_LABEL_APP, "snap:player_" TEN ".app"},

    /* of no snap */
    {LABEL("unconfined"), SNAP_LABEL_NONE, NULL},
    {LABEL("/usr/bin/player (enforce)"), SNAP_LABEL_NONE, NULL},
    {LABEL("docker-default (enforce)"), SNAP_LABEL_NONE, NULL},
    {LABEL("/snap/snapd/1/usr/lib/snapd/snap-confine (enforce)"), SNAP_LABEL_NONE, NULL},
    {LABEL("snap-update-ns.player (enforce)"), SNAP_LABEL_NONE, NULL},
    {LABEL("mysnap.player.app (enforce)"), SNAP_LABEL_NONE, NULL},
    {LABEL("system_u:system_r:init_t:s0"), SNAP_LABEL_NONE, NULL},

    /* not enforced, or not said to be */
    {LABEL("snap.player.app (complain)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player.app (kill)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player.app (unconfined)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player.app (mixed)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player.app"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player.app(enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player.app  (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player.app (enforce) "), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player.app (enforce)\n"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player.app (enforce) (complain)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player.app (complain) (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player.app (ENFORCE)"), SNAP_LABEL_UNUSABLE, NULL},

    /* stacked, or of a namespace */
    {LABEL("snap.player.app//&unconfined (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("unconfined//&snap.player.app (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player.app//&snap.other.app (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.lxd.daemon//&:lxd-c_<var-snap-lxd>:snap.player.app (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL(":lxd-c:snap.player.app (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL(":lxd-c://snap.player.app (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player.app//child (enforce)"), SNAP_LABEL_UNUSABLE, NULL},

    /* not an app's */
    {LABEL("snap.player.hook.configure (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player. (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap..app (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap. (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.(enforce)"), SNAP_LABEL_UNUSABLE, NULL},

    /* names that snapd does not give */
    {LABEL("snap.Player.app (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.-player.app (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player-.app (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.pl--ayer.app (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.123.app (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap." FORTY "a.app (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player_.app (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap._work.app (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player_Work.app (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player_" TEN "a.app (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player_a_b.app (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player.app-  (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player.-app (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player.a_p (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player.a p (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player.a]p (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player.\xc3\xa4pp (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player.app\x01 (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player." FORTY FORTY FORTY "aaaaaaaaa (enforce)"), SNAP_LABEL_UNUSABLE, NULL},

    /* not as the bus writes it */
    {"snap.player.app (enforce)", sizeof("snap.player.app (enforce)") - 1, SNAP_LABEL_UNUSABLE, NULL},
    {"unconfined", sizeof("unconfined") - 1, SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("snap.player.app (enforce)\0"), SNAP_LABEL_UNUSABLE, NULL},
    {LABEL("unconfined\0snap.player.app (enforce)"), SNAP_LABEL_UNUSABLE, NULL},
    {"", 1, SNAP_LABEL_UNUSABLE, NULL},
    {"", 0, SNAP_LABEL_UNUSABLE, NULL},
};

static void each_label(void **state _unused_)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char app[SNAP_APP_SIZE] = "untouched";
        enum snap_label result = snap_label_read((const unsigned char *)cases[i].label, cases[i].n, app);
        if (result != cases[i].result)
            fail_msg("\"%s\": %d", cases[i].label, (int)result);
        assert_string_equal(app, cases[i].app ? cases[i].app : "untouched");
    }
}

static void huge_label_is_not_read(void **state _unused_)
{
    unsigned char label[8192];
    char app[SNAP_APP_SIZE];
    memset(label, 'a', sizeof(label));
    label[sizeof(label) - 1] = '\0';
    assert_int_equal(snap_label_read(label, sizeof(label), app), SNAP_LABEL_UNUSABLE);
}

/* Every prefix of a good label, and every label with one byte of it changed, is no app's name or another one
 * of the same form: what comes out never has a character that a table or a rule would read in another way. */
static void damaged_labels(void **state _unused_)
{
    static const char good[] = "snap.player_x.app (enforce)";
    for (size_t at = 0; at < sizeof(good); at++)
        for (unsigned byte = 0; byte < 256; byte++) {
            unsigned char label[sizeof(good)];
            char app[SNAP_APP_SIZE] = "";
            memcpy(label, good, sizeof(good));
            label[at] = (unsigned char)byte;
            assert_true(snap_label_read((const unsigned char *)good, at, app) != SNAP_LABEL_APP);
            if (snap_label_read(label, sizeof(label), app) != SNAP_LABEL_APP)
                continue;
            assert_int_equal(strlen(app), strlen("snap:player_x.app"));
            assert_int_equal(
                strspn(app + 5, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."),
                strlen(app) - 5);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_label),
        cmocka_unit_test(huge_label_is_not_read),
        cmocka_unit_test(damaged_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
