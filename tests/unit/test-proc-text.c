/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/proc-text.h"
#include "util/clock.h"
#include "util/file.h"

#include <string.h>

#define REST "4 (x) S 1 4 4 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 "

static void test_status(void **state _unused_)
{
    static const struct {
        const char *text;
        int result;
        uid_t uid;
        char state;
    } cases[] = {
        {"Name:\tx\nState:\tS (sleeping)\nUid:\t1\t2\t3\t4\n", 0, 2, 'S'},
        {"Name:\tUid:\\n\nState:\tZ (zombie)\nUid:\t0\t4294967294\t0\t0\nGid:\t1\t1\t1\t1\n", 0, 4294967294,
         'Z'},
        {"", PROC_TEXT_E_MALFORMED, 0, 0},
        {"State:\tS\n", PROC_TEXT_E_MALFORMED, 0, 0},
        {"Uid:\t1\t2\t3\t4\n", PROC_TEXT_E_MALFORMED, 0, 0},
        {"State:\tS\nUid:\t1\t2\t3\t4", PROC_TEXT_E_MALFORMED, 0, 0}, /* cut off */
        {"State:\tS\nUid:\t1\t2\n", PROC_TEXT_E_MALFORMED, 0, 0},
        {"State:\tS\nUid:\t1\n", PROC_TEXT_E_MALFORMED, 0, 0},
        {"State:\tS\nUid:\t\n", PROC_TEXT_E_MALFORMED, 0, 0},
        {"State:\tS\nUid:\t1\t-2\t3\t4\n", PROC_TEXT_E_MALFORMED, 0, 0},
        {"State:\tS\nUid:\t1\t4294967295\t3\t4\n", PROC_TEXT_E_MALFORMED, 0, 0},
        {"State:\tS\nUid:\t1\t18446744073709551617\t3\t4\n", PROC_TEXT_E_MALFORMED, 0, 0},
        {"State:\tS\nUid:\t1\t2\t3\t4\nUid:\t1\t0\t3\t4\n", PROC_TEXT_E_MALFORMED, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uid_t uid = 77;
        char found = 'x';
        if (proc_text_status(cases[i].text, strlen(cases[i].text), &uid, &found) != cases[i].result)
            fail_msg("%s", cases[i].text);
        assert_int_equal(uid, cases[i].result == 0 ? cases[i].uid : 77);
        assert_int_equal(found, cases[i].result == 0 ? cases[i].state : 'x');
    }
}

static void test_start(void **state _unused_)
{
    static const struct {
        const char *text;
        int result;
        uint64_t ticks;
    } cases[] = {
        {REST "123456 9000 1 2\n", 0, 123456},
        {"4 (x) S 1 2 3 4 5 6 7) S 1 4 4 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 99 9000\n", 0, 99},
        {"4 (a\nb ) S 1) R 1 4 4 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98 9000\n", 0, 98},
        {REST "18446744073709551615 1\n", 0, UINT64_MAX},
        {REST "18446744073709551616 1\n", PROC_TEXT_E_MALFORMED, 0},
        {REST "99", PROC_TEXT_E_MALFORMED, 0},
        {REST "-9 1\n", PROC_TEXT_E_MALFORMED, 0},
        {REST, PROC_TEXT_E_MALFORMED, 0},
        {"4 (x)", PROC_TEXT_E_MALFORMED, 0},
        {"4 x S 1 2 3", PROC_TEXT_E_MALFORMED, 0},
        {"", PROC_TEXT_E_MALFORMED, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t ticks = 77;
        if (proc_text_start(cases[i].text, strlen(cases[i].text), &ticks) != cases[i].result)
            fail_msg("%s", cases[i].text);
        assert_int_equal(ticks, cases[i].result == 0 ? cases[i].ticks : 77);
    }
}

static void test_pidfd(void **state _unused_)
{
    static const struct {
        const char *text;
        int result;
        pid_t pid;
    } cases[] = {
        {"pos:\t0\nflags:\t02000002\nmnt_id:\t15\nPid:\t42\nNSpid:\t42\n", 0, 42},
        {"Pid:\t-1\nNSpid:\t-1\n", 0, -1},
        {"pos:\t0\n", PROC_TEXT_E_MALFORMED, 0},
        {"Pid:\t42x\n", PROC_TEXT_E_MALFORMED, 0},
        {"Pid:\t42", PROC_TEXT_E_MALFORMED, 0},
        {"Pid:\t-2\n", PROC_TEXT_E_MALFORMED, 0},
        {"Pid:\t4294967338\n", PROC_TEXT_E_MALFORMED, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        pid_t pid = 77;
        if (proc_text_pidfd(cases[i].text, strlen(cases[i].text), &pid) != cases[i].result)
            fail_msg("%s", cases[i].text);
        assert_int_equal(pid, cases[i].result == 0 ? cases[i].pid : 77);
    }
}

/* What this kernel writes of this process. */
static void test_kernel(void **state _unused_)
{
    char text[8192];
    uid_t uid = (uid_t)-1;
    char letter = '\0';
    uint64_t ticks = 0;
    FILE *file = fopen("/proc/self/status", "re");
    assert_non_null(file);
    size_t n = fread(text, 1, sizeof(text), file);
    (void)fclose(file);
    assert_int_equal(proc_text_status(text, n, &uid, &letter), 0);
    assert_int_equal(uid, geteuid());
    assert_int_equal(letter, 'R');
    file = fopen("/proc/self/stat", "re");
    assert_non_null(file);
    n = fread(text, 1, sizeof(text), file);
    (void)fclose(file);
    assert_int_equal(proc_text_start(text, n, &ticks), 0);
    uint64_t per_sec = (uint64_t)sysconf(_SC_CLK_TCK);
    assert_in_range(ticks, 1, boottime_usec() * per_sec / USEC_PER_SEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_pidfd),
        cmocka_unit_test(test_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
