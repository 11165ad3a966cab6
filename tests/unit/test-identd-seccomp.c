/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "autoconf.h"
#include "broker/identd-seccomp.h"
#include "tests/unit/confined.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int confine(void)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : identd_confine();
}

static int run_confined(int (*try)(void))
{
    return run_after(confine, try);
}

/* --- what must not work ------------------------------------------------------------------------------ */

struct forbidden {
    const char *what;
    long number;
    long arguments[6];
    bool sanitizers_need_it;
};

#define FORK (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD)
#define THREAD (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)

static char text[] = "/dev/null";
static char nowhere[] = "/nonexistent/file";
static char memory[256];
static struct open_how how = {.flags = O_RDONLY};

static const struct forbidden forbidden[] = {
    /* Into others. */
    {"ptrace", SYS_ptrace, {0, 0, 0, 0}},
    {"process_vm_readv", SYS_process_vm_readv, {1, (long)memory, 0, (long)memory, 0, 0}},
    {"process_vm_writev", SYS_process_vm_writev, {1, (long)memory, 0, (long)memory, 0, 0}},
    {"process_madvise", SYS_process_madvise, {-1}},
    {"pidfd_getfd", SYS_pidfd_getfd, {-1, 0, 0}},
    {"pidfd_send_signal", SYS_pidfd_send_signal, {-1, 0, 0}},
    {"kcmp", SYS_kcmp, {1, 1, 0, 0, 0}},
    {"a signal that does not kill", SYS_kill, {1, 0}},
    {"SIGTERM", SYS_kill, {-1, SIGTERM}},
    {"tkill", SYS_tkill, {1, 0}},
    {"tgkill of another", SYS_tgkill, {1, 1, 0}, true},
    {"prlimit64", SYS_prlimit64, {1, RLIMIT_CORE, 0, 0}, true},
    {"setns", SYS_setns, {-1, 0}},
    {"move_pages", SYS_move_pages, {1, 0, 0, 0, 0, 0}},
    {"perf_event_open", SYS_perf_event_open, {(long)memory, 0, -1, -1, 0}},
    /* Sockets. */
    {"socket", SYS_socket, {AF_UNIX, SOCK_STREAM, 0}},
    {"internet socket", SYS_socket, {AF_INET, SOCK_STREAM, 0}},
    {"socketpair", SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, (long)memory}},
    {"connect", SYS_connect, {-1, (long)memory, 0}},
    {"bind", SYS_bind, {-1, (long)memory, 0}},
    {"sendmsg", SYS_sendmsg, {-1, (long)memory, 0}}, /* no descriptor leaves */
    {"sendmmsg", SYS_sendmmsg, {-1, (long)memory, 0, 0}},
    /* Programs and processes. */
    {"execve", SYS_execve, {(long)nowhere}},
    {"execveat", SYS_execveat, {AT_FDCWD, (long)nowhere}},
    {"a thread", SYS_clone, {THREAD}},
    {"a child that shares memory", SYS_clone, {CLONE_VM | CLONE_VFORK | SIGCHLD}},
    {"a child that shares descriptors", SYS_clone, {CLONE_FILES | SIGCHLD}},
    {"a user namespace", SYS_clone, {CLONE_NEWUSER | SIGCHLD}},
    {"a sibling", SYS_clone, {CLONE_PARENT | SIGCHLD}},
    {"a child that ends in silence", SYS_clone, {0}},
    {"a thread's bits beside a fork's", SYS_clone, {FORK | CLONE_VM}},
    {"unshare", SYS_unshare, {CLONE_NEWUSER}},
    /* Files, other than to read them. */
    {"open to write", SYS_openat, {AT_FDCWD, (long)text, O_WRONLY}},
    {"open to read and write", SYS_openat, {AT_FDCWD, (long)text, O_RDWR}},
    {"open in the mode of old", SYS_openat, {AT_FDCWD, (long)text, O_ACCMODE}},
    {"create", SYS_openat, {AT_FDCWD, (long)nowhere, O_RDONLY | O_CREAT, 0600}},
    {"truncate while opening", SYS_openat, {AT_FDCWD, (long)nowhere, O_RDONLY | O_TRUNC}},
    {"append", SYS_openat, {AT_FDCWD, (long)nowhere, O_RDONLY | O_APPEND}},
    {"a file without a name", SYS_openat, {AT_FDCWD, (long)nowhere, O_TMPFILE | O_RDWR, 0600}},
    {"openat2", SYS_openat2, {AT_FDCWD, (long)text, (long)&how, sizeof(how)}},
    {"open_by_handle_at", SYS_open_by_handle_at, {-1, (long)memory, 0}},
    {"ftruncate", SYS_ftruncate, {-1, 0}},
    {"unlinkat", SYS_unlinkat, {AT_FDCWD, (long)nowhere, 0}},
    {"renameat2", SYS_renameat2, {AT_FDCWD, (long)nowhere, AT_FDCWD, (long)nowhere, 0}},
    {"linkat", SYS_linkat, {AT_FDCWD, (long)nowhere, AT_FDCWD, (long)nowhere, 0}},
    {"symlinkat", SYS_symlinkat, {(long)nowhere, AT_FDCWD, (long)nowhere}},
    {"mkdirat", SYS_mkdirat, {AT_FDCWD, (long)nowhere, 0700}},
    {"mknodat", SYS_mknodat, {AT_FDCWD, (long)nowhere, 0, 0}},
    {"fchmodat", SYS_fchmodat, {AT_FDCWD, (long)nowhere, 0}},
    {"fchownat", SYS_fchownat, {AT_FDCWD, (long)nowhere, -1, -1, 0}},
    {"utimensat", SYS_utimensat, {AT_FDCWD, (long)nowhere, 0, 0}},
    {"setxattr", SYS_setxattr, {(long)nowhere, (long)"user.x", (long)"", 0, 0}},
    {"memfd_create", SYS_memfd_create, {(long)"x", 0}},
    /* Identity, limits, the state of the process. */
    {"setuid", SYS_setuid, {0}},
    {"setresuid", SYS_setresuid, {-1, -1, -1}},
    {"setfsuid", SYS_setfsuid, {-1}},
    {"setgroups", SYS_setgroups, {0, 0}},
    {"capset", SYS_capset, {(long)memory, (long)memory}},
    {"dumpable again", SYS_prctl, {PR_SET_DUMPABLE, 1}},
    {"an ambient capability", SYS_prctl, {PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 2, 0, 0}},
    {"another filter", SYS_seccomp, {0, 0, 0}},
    {"setrlimit", SYS_setrlimit, {RLIMIT_CORE, (long)memory}},
    {"setpriority", SYS_setpriority, {0, 0, 0}},
    /* The system. */
    {"mount", SYS_mount, {(long)text, (long)text, 0, 0, 0}},
    {"umount2", SYS_umount2, {(long)text, 0}},
    {"chroot", SYS_chroot, {(long)text}},
    {"chdir", SYS_chdir, {(long)"/"}},
    {"fsopen", SYS_fsopen, {(long)"proc", 0}},
    {"open_tree", SYS_open_tree, {AT_FDCWD, (long)"/", 0}},
    {"keyctl", SYS_keyctl, {0, 0, 0}},
    {"bpf", SYS_bpf, {0, (long)memory, sizeof(memory)}},
    {"userfaultfd", SYS_userfaultfd, {0}},
    {"io_uring_setup", SYS_io_uring_setup, {1, (long)memory}},
    {"ioctl", SYS_ioctl, {-1, 0x5412, (long)memory}}, /* TIOCSTI */
    {"executable memory", SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}},
    {"memory made executable", SYS_mprotect, {0, 4096, PROT_READ | PROT_EXEC}},
    {"no system call that is known", 4000, {0}},
};

static const struct forbidden *trying;

static int try_forbidden(void)
{
    const long *a = trying->arguments;
    return syscall(trying->number, a[0], a[1], a[2], a[3], a[4], a[5]) < 0 ? errno : WORKED;
}

static void ends_what_is_forbidden(void **state _unused_)
{
    for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++) {
        if (LWA_SANITIZE && forbidden[i].sanitizers_need_it)
            continue;
        trying = &forbidden[i];
        int found = run_confined(try_forbidden);
        if (found != KILLED)
            fail_msg("%s: %d", trying->what, found);
    }
}

/* --- what must work ---------------------------------------------------------------------------------- */

static int try_reading(void)
{
    char byte;
    _cleanup_close_ int file = open("/proc/self/stat", O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    _cleanup_close_ int folder = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int root = openat(folder, "root", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct statx st;
    return file >= 0 && folder >= 0 && read(file, &byte, 1) == 1 &&
                   statx(folder, "", AT_EMPTY_PATH, STATX_INO, &st) == 0
               ? WORKED
               : FAILED;
}

static int try_children(void)
{
    int ends[2], status;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return FAILED;
    pid_t pid = fork();
    if (pid == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || dup2(ends[1], STDOUT_FILENO) < 0 ||
            close_range(STDERR_FILENO, ~0U, 0) < 0)
            _exit(FAILED);
        _exit(write(STDOUT_FILENO, "x", 1) == 1 ? WORKED : FAILED);
    }
    struct pollfd said = {.fd = ends[0], .events = POLLIN};
    if (pid < 0 || poll(&said, 1, -1) != 1 || waitpid(pid, &status, 0) != pid)
        return FAILED;
    return WIFEXITED(status) ? WEXITSTATUS(status) : FAILED;
}

static int try_to_kill(void)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            (void)poll(NULL, 0, -1);
    return pid > 0 && kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status)
               ? WORKED
               : FAILED;
}

static void leaves_what_is_needed(void **state _unused_)
{
    assert_int_equal(run_confined(try_reading), WORKED);
    assert_int_equal(run_confined(try_children), WORKED);
    assert_int_equal(run_confined(try_to_kill), WORKED);
}

static int try_in_child(void)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(syscall(SYS_chroot, "/") < 0 ? FAILED : WORKED);
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS
               ? WORKED
               : FAILED;
}

static void holds_in_children(void **state _unused_)
{
    assert_int_equal(run_confined(try_in_child), WORKED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_what_is_forbidden),
        cmocka_unit_test(leaves_what_is_needed),
        cmocka_unit_test(holds_in_children),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
