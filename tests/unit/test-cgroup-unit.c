/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/cgroup-unit.h"
#include "policy/app-name.h"

#include <string.h>

#define V2(path) "0::" path "\n"
#define V1(path) "3:name=systemd:" path "\n"
#define OTHERS "12:cpu,cpuacct:/x\n2:memory:/system.slice/other.service\n"
#define UNIT "/system.slice/musicd.service"

static void test_found(void **state _unused_)
{
    static const struct {
        const char *text;
        const char *unit;
    } cases[] = {
        {V2(UNIT), "musicd.service"},
        {V1(UNIT), "musicd.service"},
        {OTHERS V1(UNIT), "musicd.service"},
        {OTHERS V1(UNIT) "1:cpuset:/a:b\n" V2(UNIT), "musicd.service"},
        /* Hybrid: systemd's own counts, unless nobody is in it. */
        {V1(UNIT) V2("/system.slice/other.service"), "musicd.service"},
        {V2("/system.slice/other.service") V1(UNIT), "musicd.service"},
        {V1("/user.slice/user-1.slice/session-1.scope") V2(UNIT), ""},
        {V1("/") V2(UNIT), "musicd.service"},
        /* Below units and slices. */
        {V2(UNIT "/worker/system.slice/other.service"), "musicd.service"},
        {V2("/system.slice/system-getty.slice/getty@tty1.service"), "getty@tty1.service"},
        {V2("/system.slice/a.slice/a-b.slice/x.scope"), "x.scope"},
        {V2("/system.slice/dbus.socket"), "dbus.socket"},
        {V2("/system.slice/home-x\\x2dy.mount"), "home-x\\x2dy.mount"},
        /* Escaped. */
        {V2("/system.slice/_cpu.service"), "cpu.service"},
        {V2("/system.slice/__x.service"), "_x.service"},
        {V2("/system.slice/_cpu.slice/_tasks.service"), "tasks.service"},
        /* Seen from within a cgroup namespace. */
        {V2("/.." UNIT), "musicd.service"},
        {V1("/../../.." UNIT), "musicd.service"},
        {V2("/../musicd.service"), ""},
        {V2("/.."), ""},
        /* In none. */
        {"", ""},
        {OTHERS, ""},
        {V2("/"), ""},
        {V2("/init.scope"), ""},
        {V2("/system.slice"), ""},
        {V2("/system.slice/a.slice"), ""},
        {V2("/system.slice/folder/musicd.service"), ""},
        {V2("/system.slice/.service"), ""},
        {V2("/system.slice/@.service"), ""},
        {V2("/system.slice/mu sicd.service"), ""},
        {V2("/system.slice/musicd.device"), ""},
        {V2("/system.slice.service/musicd.service"), ""},
        {V2("/_system.slice/musicd.service"), ""},
        {V2("/system.slicex/musicd.service"), ""},
        {V2("/machine.slice/x.scope"), ""},
        {V2("/user.slice/user-1000.slice/user@1000.service/app.slice/x.service"), ""},
        {V2("/user.slice/user-1000.slice/user@1000.service" UNIT), ""},
        {"1:name=other:" UNIT "\n", ""},
        {"1:name=systemd2:" UNIT "\n", ""},
        {"5::" UNIT "\n", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char unit[CGROUP_UNIT_SIZE] = "x";
        if (cgroup_unit_parse(cases[i].text, strlen(cases[i].text), unit) != 0)
            fail_msg("refused: %s", cases[i].text);
        if (strcmp(unit, cases[i].unit) != 0)
            fail_msg("%s: %s", cases[i].text, unit);
    }
}

static void test_malformed(void **state _unused_)
{
    static const char *const texts[] = {
        "0::" UNIT, /* cut off */
        "0:" UNIT "\n",
        UNIT "\n",
        "\n",
        "x::" UNIT "\n",
        "::" UNIT "\n",
        V2("system.slice/musicd.service"),
        V2(""),
        V2(UNIT) V2(UNIT),
        V1(UNIT) V1("/"),
        V2(UNIT " (deleted)"),
        V1("/ (deleted)") V2(UNIT),
        V2("//system.slice/musicd.service"),
        V2(UNIT "/"),
        V2(UNIT "/../other.service"),
        V2("/x/.." UNIT),
        V2("/./" UNIT),
        V2("/../.." UNIT "/.."),
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        char unit[CGROUP_UNIT_SIZE] = "x";
        if (cgroup_unit_parse(texts[i], strlen(texts[i]), unit) != CGROUP_UNIT_E_MALFORMED)
            fail_msg("taken: %s", texts[i]);
        assert_string_equal(unit, "x");
    }
    static const char nul[] = "0::/system.slice/a.service\0.service\n";
    char unit[CGROUP_UNIT_SIZE];
    assert_int_equal(cgroup_unit_parse(nul, sizeof(nul) - 1, unit), CGROUP_UNIT_E_MALFORMED);
}

static void test_length(void **state _unused_)
{
    for (size_t n = 254; n <= 257; n++) {
        char name[300], text[400], unit[CGROUP_UNIT_SIZE];
        memset(name, 'a', n - 8);
        memcpy(name + n - 8, ".service", sizeof(".service"));
        assert_int_equal(app_unit_is_valid(name), n <= 255);
        int size = snprintf(text, sizeof(text), "0::/system.slice/%s\n", name);
        assert_int_equal(cgroup_unit_parse(text, (size_t)size, unit), 0);
        assert_string_equal(unit, n <= 255 ? name : "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
