/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tries things in a child that has confined itself as a program does. A call that is let through fails for
 * its arguments, or does no harm: what is seen to fail here is the filter. After unit.h. */

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKED = 0, FAILED = 100, NOT_CONFINED = 101, KILLED = 1000 };

#define NOBODY 65534

/* KILLED, or what `try` returned, to 255. */
static inline int run_after(int (*confine)(void), int (*try)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        if (geteuid() == 0 &&
            (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)) /* what confines itself is not root */
            _exit(NOT_CONFINED);
        _exit(confine() < 0 ? NOT_CONFINED : try());
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        return KILLED;
    assert_true(WIFEXITED(status));
    assert_int_not_equal(WEXITSTATUS(status), NOT_CONFINED);
    return WEXITSTATUS(status);
}
