/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "client/library/fork-guard.h"
#include "client/library/lwa-client.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* The status of a child that runs this. */
static int in_child(int (*run)(void *userdata), void *userdata)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(run(userdata));
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int is_child(void *guard)
{
    return fork_guard_is_child(guard);
}

static int is_grandchild(void *guard)
{
    return fork_guard_is_child(guard) && in_child(is_child, guard);
}

static int is_guarded(void *userdata _unused_)
{
    struct fork_guard *guard = NULL;
    if (fork_guard_new(&guard) < 0)
        return 0;
    int r = !fork_guard_is_child(guard) && in_child(is_child, guard) && in_child(is_grandchild, guard) &&
            !fork_guard_is_child(guard);
    fork_guard_free(guard);
    return r;
}

static void test_guard(void **state _unused_)
{
    assert_true(is_guarded(NULL));
}

/* A kernel that does not wipe pages: the guard must not take its child for itself. */
static int forbid_wiping(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MADV_WIPEONFORK, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
                   prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0
               ? -errno
               : 0;
}

static int is_guarded_on_an_old_kernel(void *userdata)
{
    char page[1] = {0};
    if (forbid_wiping() < 0 || madvise(page, 1, MADV_WIPEONFORK) == 0 || errno != EINVAL)
        return 0;
    return is_guarded(userdata);
}

static void test_guard_on_an_old_kernel(void **state _unused_)
{
    assert_true(in_child(is_guarded_on_an_old_kernel, NULL));
}

/* --- the handle ---------------------------------------------------------------------------------------- */

/* The bit of what went wrong. */
static int use(void *userdata)
{
    struct lwa_client *client = userdata;
    int wrong = 0;
    wrong |= (lwa_client_dispatch(client) != -ECHILD) << 0;
    wrong |= !lwa_error_is(lwa_client_get_error(client), "Forked") << 1;
    wrong |= (lwa_client_get_timeout(client) != -1) << 2;
    int fd = lwa_client_get_fd(client);
    lwa_client_free(client);
    wrong |= (close(fd) == 0) << 3;
    return wrong;
}

static void test_handle_in_a_child(void **state _unused_)
{
    struct lwa_client *client = NULL;
    assert_int_equal(lwa_client_new(&client), 0);
    assert_int_equal(in_child(use, client), 0);
    assert_int_equal(lwa_client_dispatch(client), 0);
    assert_null(lwa_client_get_error(client));
    assert_null(lwa_client_free(client));
    assert_null(lwa_client_free(NULL));
}

/* --- no handle ----------------------------------------------------------------------------------------- */

/* What cannot fail takes NULL; and a loop that waits for what it answers waits for nothing. */
static void test_no_handle(void **state _unused_)
{
    assert_int_equal(lwa_client_get_fd(NULL), -1);
    assert_int_equal(lwa_client_get_events(NULL), POLLIN);
    assert_int_equal(lwa_client_get_timeout(NULL), -1);
    assert_null(lwa_client_get_error(NULL));
    lwa_client_set_interactive(NULL, 1);
    lwa_client_set_timeout(NULL, 1);
    lwa_client_on_revoked(NULL, NULL, NULL);
    lwa_client_on_changed(NULL, NULL, NULL);
    lwa_login_on_change(NULL, NULL, NULL);
    lwa_request_cancel(NULL);
    assert_null(lwa_login_free(NULL));
    assert_null(lwa_client_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guard),
        cmocka_unit_test(test_guard_on_an_old_kernel),
        cmocka_unit_test(test_handle_in_a_child),
        cmocka_unit_test(test_no_handle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
