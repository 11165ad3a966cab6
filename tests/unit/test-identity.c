/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/identity.h"
#include "policy/table.h"

#include <string.h>

static const char catalogue_text[] = "[music]\ndescription = music\n";
static const char table_text[] =
    "[unit:radio.service]\nallow = music\n[flatpak:org.example.Player]\nallow = music\n"
    "[unit:alices.service]\nuser = alice\nallow = music\n";

static struct catalogue *catalogue;
static struct table *table;

#define ALICE 1000
#define SYSTEM 990

/* What a row does not set is "" or not so. */
static const struct {
    const char *title;
    struct identity facts;
    const char *app;
    enum subject_kind kind;
    enum subject_strength strength;
} cases[] = {
    {"a person", {.uid = ALICE, .user = "alice"}, "user:alice", SUBJECT_USER, STRENGTH_UID},
    {"a person without a name", {.uid = 20001}, "uid:20001", SUBJECT_USER, STRENGTH_UID},
    {"the greatest uid", {.uid = (uid_t)-2}, "uid:4294967294", SUBJECT_USER, STRENGTH_UID},
    {"root", {.uid = 0, .user = "root"}, "user:root", SUBJECT_USER, STRENGTH_UID},
    {"a program names nothing",
     {.uid = ALICE, .user = "alice", .exe = "/usr/bin/player"},
     "user:alice",
     SUBJECT_USER,
     STRENGTH_UID},

    {"a service of a system uid",
     {.uid = SYSTEM, .user = "musicd", .unit = "musicd.service"},
     "unit:musicd.service",
     SUBJECT_SYSTEM_UNIT,
     STRENGTH_UNIT},
    {"a service of root",
     {.uid = 0, .user = "root", .unit = "musicd.service"},
     "unit:musicd.service",
     SUBJECT_SYSTEM_UNIT,
     STRENGTH_UNIT},
    {"a service of a dynamic user",
     {.uid = 61184, .unit = "musicd.service"},
     "unit:musicd.service",
     SUBJECT_SYSTEM_UNIT,
     STRENGTH_UNIT},
    {"a person in a unit that the table does not know",
     {.uid = ALICE, .user = "alice", .unit = "cron.service"},
     "user:alice",
     SUBJECT_USER,
     STRENGTH_UID},
    {"a person in a unit that the table knows for system uids",
     {.uid = ALICE, .user = "alice", .unit = "radio.service"},
     "user:alice",
     SUBJECT_USER,
     STRENGTH_UID},
    {"a person in a unit that the table names for her",
     {.uid = ALICE, .user = "alice", .unit = "alices.service"},
     "unit:alices.service",
     SUBJECT_SYSTEM_UNIT,
     STRENGTH_UNIT},
    {"a person in a unit that the table names for another",
     {.uid = ALICE, .user = "bob", .unit = "alices.service"},
     "user:bob",
     SUBJECT_USER,
     STRENGTH_UID},
    {"a person in a sandbox in a unit that the table names for her",
     {.uid = ALICE, .user = "alice", .unit = "alices.service", .is_foreign = true},
     "unit:alices.service",
     SUBJECT_SYSTEM_UNIT,
     STRENGTH_UNIT},
    {"a person in a unit whose name begins like one that the table names",
     {.uid = ALICE, .user = "alice", .unit = "alices.service2"},
     "user:alice",
     SUBJECT_USER,
     STRENGTH_UID},

    {"a Flatpak",
     {.uid = ALICE, .user = "alice", .flatpak = "org.example.Player", .is_foreign = true},
     "flatpak:org.example.Player",
     SUBJECT_FLATPAK,
     STRENGTH_SANDBOX},
    {"a Flatpak that the table does not know",
     {.uid = ALICE, .user = "alice", .flatpak = "org.example.Other", .is_foreign = true},
     "flatpak:org.example.Other",
     SUBJECT_FLATPAK,
     STRENGTH_SANDBOX},
    {"a Flatpak's mark at the root of the host",
     {.uid = ALICE, .user = "alice", .flatpak = "org.example.Player"},
     "flatpak:org.example.Player",
     SUBJECT_FLATPAK,
     STRENGTH_SANDBOX},
    {"a Flatpak in a unit of a system uid",
     {.uid = SYSTEM, .unit = "kiosk.service", .flatpak = "org.example.Player", .is_foreign = true},
     "unit:kiosk.service",
     SUBJECT_SYSTEM_UNIT,
     STRENGTH_UNIT},
    {"a Flatpak in a unit of a person",
     {.uid = ALICE, .unit = "cron.service", .flatpak = "org.example.Player", .is_foreign = true},
     "flatpak:org.example.Player",
     SUBJECT_FLATPAK,
     STRENGTH_SANDBOX},

    {"an unknown sandbox",
     {.uid = ALICE, .user = "alice", .is_foreign = true},
     "unknown",
     SUBJECT_UNKNOWN,
     STRENGTH_ASSERTED},
    {"an unknown sandbox of root",
     {.uid = 0, .user = "root", .is_foreign = true},
     "unknown",
     SUBJECT_UNKNOWN,
     STRENGTH_ASSERTED},
    {"a service with a root of its own",
     {.uid = SYSTEM, .unit = "musicd.service", .is_foreign = true},
     "unit:musicd.service",
     SUBJECT_SYSTEM_UNIT,
     STRENGTH_UNIT},
    {"a container of a person below a unit",
     {.uid = ALICE, .user = "alice", .unit = "cron.service", .is_foreign = true},
     "unknown",
     SUBJECT_UNKNOWN,
     STRENGTH_ASSERTED},

    {"a snap",
     {.uid = ALICE, .user = "alice", .label = SNAP_LABEL_APP, .snap = "snap:player.app", .is_foreign = true},
     "snap:player.app",
     SUBJECT_SNAP,
     STRENGTH_LABEL},
    {"a snap's service",
     {.uid = 0, .label = SNAP_LABEL_APP, .snap = "snap:player.app", .unit = "snap.player.app.service"},
     "snap:player.app",
     SUBJECT_SNAP,
     STRENGTH_LABEL},
    {"a snap that says it is a Flatpak",
     {.uid = ALICE,
      .label = SNAP_LABEL_APP,
      .snap = "snap:player.app",
      .flatpak = "org.example.Player",
      .is_foreign = true},
     "snap:player.app",
     SUBJECT_SNAP,
     STRENGTH_LABEL},
    {"a snap that is not confined",
     {.uid = ALICE, .user = "alice", .label = SNAP_LABEL_UNUSABLE},
     "unknown",
     SUBJECT_UNKNOWN,
     STRENGTH_ASSERTED},
    {"a snap's hook in a unit of root",
     {.uid = 0, .user = "root", .label = SNAP_LABEL_UNUSABLE, .unit = "snapd.service"},
     "unknown",
     SUBJECT_UNKNOWN,
     STRENGTH_ASSERTED},
    {"a snap that is not confined and says it is a Flatpak",
     {.uid = ALICE, .label = SNAP_LABEL_UNUSABLE, .flatpak = "org.example.Player", .is_foreign = true},
     "unknown",
     SUBJECT_UNKNOWN,
     STRENGTH_ASSERTED},
};

static void each_ladder(void **state _unused_)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (int pinned = 0; pinned < 2; pinned++) {
            struct identity id = cases[i].facts;
            id.is_pinned = pinned;
            identity_name(&id, table);
            if (strcmp(id.app, cases[i].app) != 0 || id.kind != cases[i].kind ||
                id.strength != cases[i].strength)
                fail_msg("%s: %s, %s, %s", cases[i].title, id.app, identity_kind_name(&id),
                         identity_strength_name(&id));
            assert_int_equal(identity_subject(&id).is_pinned, pinned);

            /* Facts stay, so that it can be named again, and comes out the same. */
            assert_string_equal(id.unit, cases[i].facts.unit);
            assert_string_equal(id.flatpak, cases[i].facts.flatpak);
            struct identity again = id;
            identity_name(&again, table);
            assert_memory_equal(&again, &id, sizeof(id));
        }
    }
}

static void sandboxes_are_told(void **state _unused_)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct identity id = cases[i].facts;
        identity_name(&id, table);
        bool is_own = !cases[i].facts.flatpak[0] &&
                      (cases[i].kind == SUBJECT_USER || cases[i].kind == SUBJECT_SYSTEM_UNIT);
        assert_int_equal(identity_is_sandboxed(&id), !is_own);
    }
}

static void longest_names_fit(void **state _unused_)
{
    struct identity id = {.uid = 0, .is_foreign = true};
    memset(id.flatpak, 'a', sizeof(id.flatpak) - 1);
    identity_name(&id, table);
    assert_int_equal(strlen(id.app), strlen("flatpak:") + sizeof(id.flatpak) - 1);
    memset(id.unit, 'b', sizeof(id.unit) - 1);
    identity_name(&id, table);
    assert_int_equal(strlen(id.app), strlen("unit:") + sizeof(id.unit) - 1);
}

static int set_up(void **state _unused_)
{
    struct ini_problem problem;
    int r = catalogue_new(NULL, &catalogue);
    if (r == 0)
        r = catalogue_add_text(catalogue, catalogue_text, strlen(catalogue_text), true, &problem);
    if (r == 0)
        r = catalogue_seal(catalogue, &problem);
    if (r == 0)
        r = table_new(&table);
    return r == 0 ? table_add_file(table, catalogue, "t", table_text, strlen(table_text)) : r;
}

static int tear_down(void **state _unused_)
{
    table_free(table);
    catalogue_free(catalogue);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_ladder),
        cmocka_unit_test(sandboxes_are_told),
        cmocka_unit_test(longest_names_fit),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
