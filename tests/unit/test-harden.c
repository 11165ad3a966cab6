/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "autoconf.h"
#include "broker/harden.h"

#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* What is given up is given up for good, so each test is a child: 0, or the line that failed. */

extern char **environ;

#define EXPECT(condition)                                                                                    \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            return __LINE__ & 0xff;                                                                          \
    } while (0)

static void run_in_child(int (*test)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(test());
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static size_t count_environment(void)
{
    size_t n = 0;
    for (char **p = environ; p && *p; p++)
        n++;
    return n;
}

static int clear_environment(void)
{
    static const char *const steering[] = {"LD_PRELOAD",
                                           "PATH",
                                           "https_proxy",
                                           "SSL_CERT_FILE",
                                           "SQLITE_TMPDIR",
                                           "OPENSSL_CONF",
                                           "DBUS_SYSTEM_BUS_ADDRESS"};
    for (size_t i = 0; i < ARRAY_SIZE(steering); i++)
        EXPECT(setenv(steering[i], "/nowhere", 1) == 0);
    EXPECT(setenv("NOTIFY_SOCKET", "@socket", 1) == 0 && setenv("CREDENTIALS_DIRECTORY", "/run/c", 1) == 0);
    EXPECT(harden_environment() == 0);
    EXPECT(count_environment() == 2);
    EXPECT(strcmp(getenv("NOTIFY_SOCKET"), "@socket") == 0);
    EXPECT(strcmp(getenv("CREDENTIALS_DIRECTORY"), "/run/c") == 0);
    return 0;
}

static int leave_nothing(void)
{
    clearenv();
    EXPECT(setenv("ANYTHING", "1", 1) == 0);
    EXPECT(harden_environment() == 0);
    EXPECT(count_environment() == 0);
    return 0;
}

static int close_process(void)
{
    struct rlimit core;
    EXPECT(harden_process() == 0);
    EXPECT(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0 && core.rlim_max == 0);
    EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    EXPECT(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == LWA_SANITIZE);
    return 0;
}

static void environment_is_cleared(void **state _unused_)
{
    run_in_child(clear_environment);
    run_in_child(leave_nothing);
}

static void process_is_closed(void **state _unused_)
{
    run_in_child(close_process);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(environment_is_cleared),
        cmocka_unit_test(process_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
