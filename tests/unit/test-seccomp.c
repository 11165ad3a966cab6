/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "autoconf.h"
#include "broker/seccomp.h"
#include "broker/secret.h"
#include "tests/unit/confined.h"
#include "util/file.h"

#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <uv.h>

/* What a system call said: 0, or the errno, which fits into an exit code. */
static int said(long result)
{
    return result < 0 ? errno : WORKED;
}

static int confine(void)
{
    seccomp_preload_names();
    return seccomp_confine();
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
    int expected;
    bool sanitizers_need_it;
};

#define EXECUTABLE (PROT_READ | PROT_EXEC)
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)

static char text[] = "/bin/true";
static char memory[64];
static struct rlimit limit;

static const struct forbidden forbidden[] = {
    /* Programs and processes. */
    {"execve", SYS_execve, {(long)text}, KILLED, false},
    {"execveat", SYS_execveat, {AT_FDCWD, (long)text}, KILLED, false},
    {"a process of one's own", SYS_clone, {SIGCHLD}, KILLED, true},
    {"a user namespace", SYS_clone, {CLONE_NEWUSER | SIGCHLD}, KILLED, true},
    {"a thread in a namespace",
     SYS_clone,
     {CLONE_THREAD | CLONE_VM | CLONE_SIGHAND | CLONE_NEWNET},
     KILLED,
     true},
    {"clone3", SYS_clone3, {(long)memory, sizeof(memory)}, ENOSYS, false},
    {"unshare", SYS_unshare, {CLONE_NEWUSER}, KILLED, false},
    {"setns", SYS_setns, {-1, 0}, KILLED, false},
    /* Others. */
    {"ptrace", SYS_ptrace, {0, 0, 0, 0}, KILLED, true},
    {"process_vm_readv", SYS_process_vm_readv, {1, (long)memory, 0, (long)memory, 0, 0}, KILLED, true},
    {"process_vm_writev", SYS_process_vm_writev, {1, (long)memory, 0, (long)memory, 0, 0}, KILLED, false},
    {"process_madvise", SYS_process_madvise, {-1}, KILLED, false},
    {"pidfd_open", SYS_pidfd_open, {1, 0}, KILLED, false},
    {"pidfd_getfd", SYS_pidfd_getfd, {-1, 0, 0}, KILLED, false},
    {"pidfd_send_signal", SYS_pidfd_send_signal, {-1, 0, 0}, KILLED, false},
    {"kill", SYS_kill, {1, 0}, KILLED, true},
    {"tkill", SYS_tkill, {1, 0}, KILLED, false},
    {"tgkill of another", SYS_tgkill, {1, 1, 0}, KILLED, true},
    {"rt_sigqueueinfo", SYS_rt_sigqueueinfo, {1, 0, (long)memory}, KILLED, false},
    {"kcmp", SYS_kcmp, {1, 1, 0, 0, 0}, KILLED, false},
    /* Code that was not there. */
    {"executable memory", SYS_mmap, {0, 4096, EXECUTABLE, ANONYMOUS, -1, 0}, EACCES, false},
    {"writable code", SYS_mmap, {0, 4096, EXECUTABLE | PROT_WRITE, ANONYMOUS, -1, 0}, EACCES, false},
    {"memory made executable", SYS_mprotect, {0, 4096, EXECUTABLE}, EACCES, false},
    {"pkey_mprotect", SYS_pkey_mprotect, {0, 4096, EXECUTABLE, -1}, KILLED, false},
    /* Sockets of other kinds, and serving. */
    {"packet socket", SYS_socket, {AF_PACKET, SOCK_RAW, 0}, KILLED, false},
    {"kernel crypto", SYS_socket, {AF_ALG, SOCK_SEQPACKET, 0}, KILLED, false},
    {"vsock", SYS_socket, {AF_VSOCK, SOCK_STREAM, 0}, KILLED, false},
    {"bluetooth", SYS_socket, {AF_BLUETOOTH, SOCK_STREAM, 0}, KILLED, false},
    {"listen", SYS_listen, {-1, 1}, KILLED, false},
    {"accept4", SYS_accept4, {-1, 0, 0, 0}, KILLED, false},
    /* Identity, limits, the state of the process. */
    {"setuid", SYS_setuid, {0}, KILLED, false},
    {"setresuid", SYS_setresuid, {-1, -1, -1}, KILLED, false},
    {"setgroups", SYS_setgroups, {0, 0}, KILLED, false},
    {"capset", SYS_capset, {(long)memory, (long)memory}, KILLED, false},
    {"dumpable again", SYS_prctl, {PR_SET_DUMPABLE, 1}, KILLED, true},
    {"another filter", SYS_seccomp, {0, 0, 0}, KILLED, false},
    {"a limit raised", SYS_prlimit64, {0, RLIMIT_CORE, (long)&limit, 0}, KILLED, false},
    {"setrlimit", SYS_setrlimit, {RLIMIT_CORE, (long)&limit}, KILLED, false},
    {"typing for others", SYS_ioctl, {-1, TIOCSTI, (long)memory}, KILLED, false},
    {"personality", SYS_personality, {0}, KILLED, true},
    /* The system. */
    {"mount", SYS_mount, {(long)text, (long)text, 0, 0, 0}, KILLED, false},
    {"umount2", SYS_umount2, {(long)text, 0}, KILLED, false},
    {"pivot_root", SYS_pivot_root, {(long)text, (long)text}, KILLED, false},
    {"chroot", SYS_chroot, {(long)text}, KILLED, false},
    {"chdir", SYS_chdir, {(long)"/"}, KILLED, false},
    {"open_by_handle_at", SYS_open_by_handle_at, {-1, (long)memory, 0}, KILLED, false},
    {"mknodat", SYS_mknodat, {AT_FDCWD, (long)"", 0, 0}, KILLED, false},
    {"fchmodat", SYS_fchmodat, {AT_FDCWD, (long)"", 0}, KILLED, false},
    {"fchownat", SYS_fchownat, {AT_FDCWD, (long)"", -1, -1, 0}, KILLED, false},
    {"symlinkat", SYS_symlinkat, {(long)"", AT_FDCWD, (long)""}, KILLED, false},
    {"fanotify_init", SYS_fanotify_init, {0, 0}, KILLED, false},
    {"keyctl", SYS_keyctl, {0, 0, 0}, KILLED, false},
    {"add_key", SYS_add_key, {(long)"", (long)"", 0, 0, 0}, KILLED, false},
    {"bpf", SYS_bpf, {0, (long)memory, sizeof(memory)}, KILLED, false},
    {"perf_event_open", SYS_perf_event_open, {(long)memory, 0, -1, -1, 0}, KILLED, false},
    {"userfaultfd", SYS_userfaultfd, {0}, KILLED, false},
    {"io_uring_setup", SYS_io_uring_setup, {1, (long)memory}, ENOSYS, false},
    {"io_uring_enter", SYS_io_uring_enter, {-1, 0, 0, 0, 0, 0}, KILLED, false},
    {"finit_module", SYS_finit_module, {-1, (long)"", 0}, KILLED, false},
    {"reboot", SYS_reboot, {0, 0, 0, 0}, KILLED, false},
    {"clock_settime", SYS_clock_settime, {0, 0}, KILLED, false},
    {"swapon", SYS_swapon, {(long)"", 0}, KILLED, false},
    {"acct", SYS_acct, {0}, KILLED, false},
    {"no system call that is known", 4000, {0}, KILLED, false},
};

static const struct forbidden *trying;

static int try_forbidden(void)
{
    const long *a = trying->arguments;
    return said(syscall(trying->number, a[0], a[1], a[2], a[3], a[4], a[5]));
}

static void ends_what_is_forbidden(void **state _unused_)
{
    for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++) {
        if (LWA_SANITIZE && forbidden[i].sanitizers_need_it)
            continue;
        trying = &forbidden[i];
        int found = run_confined(try_forbidden);
        if (found != trying->expected)
            fail_msg("%s: %d", trying->what, found);
    }
}

/* --- what must work ---------------------------------------------------------------------------------- */

static int try_names(void)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo("localhost", "443", &hints, &found) != 0)
        return FAILED;
    freeaddrinfo(found);
    errno = 0; /* one that is in no file makes the name service ask all its modules */
    if (getpwuid(3999999999U) || getpwnam("nobody-of-this-name"))
        return FAILED;
    return getgrgid(3999999999U) ? FAILED : WORKED;
}

static int try_sockets(void)
{
    static const int families[] = {AF_UNIX, AF_INET, AF_INET6};
    int fds[2], on = 1;
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        _cleanup_close_ int fd = socket(families[i], SOCK_STREAM | SOCK_CLOEXEC, 0);
        if ((fd < 0 && errno != EAFNOSUPPORT) || (fd >= 0 && ioctl(fd, FIONBIO, &on) < 0))
            return FAILED;
    }
    _cleanup_close_ int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
    return said(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
}

static int try_memory(void)
{
    struct secret *secret = NULL;
    int fd = -1, again = -1;
    if (secret_new_random(32, &secret) < 0)
        return FAILED;
    secret_free(secret);
    return file_new_sealed("test", text, sizeof(text), &fd) < 0 || file_reopen(fd, &again) < 0 ? FAILED
                                                                                               : WORKED;
}

static int try_store(void)
{
    static const char sql[] = "PRAGMA journal_mode=WAL;CREATE TABLE t (x);INSERT INTO t VALUES (1);"
                              "PRAGMA wal_checkpoint(TRUNCATE)";
    char path[] = "/tmp/test-seccomp.XXXXXX";
    int fd = mkstemp(path);
    sqlite3 *db = NULL;
    if (fd < 0 || sqlite3_open(path, &db) != SQLITE_OK ||
        sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return FAILED;
    (void)sqlite3_close(db);
    return said(unlink(path));
}

static void nothing(uv_work_t *work _unused_)
{
}

static void after_nothing(uv_work_t *work _unused_, int status _unused_)
{
}

static void *in_thread(void *argument)
{
    return argument;
}

static int try_threads(void)
{
    uv_loop_t loop;
    uv_work_t work;
    if (uv_loop_init(&loop) < 0 || uv_queue_work(&loop, &work, nothing, after_nothing) < 0 ||
        uv_run(&loop, UV_RUN_DEFAULT) != 0 || uv_loop_close(&loop) < 0)
        return FAILED;
    pthread_t thread;
    void *returned = NULL;
    if (pthread_create(&thread, NULL, in_thread, text) != 0 || pthread_join(thread, &returned) != 0)
        return FAILED;
    return returned == text ? WORKED : FAILED;
}

static int try_limits(void)
{
    return said(getrlimit(RLIMIT_NOFILE, &limit));
}

static void leaves_what_is_needed(void **state _unused_)
{
    assert_int_equal(run_confined(try_names), WORKED);
    assert_int_equal(run_confined(try_sockets), WORKED);
    assert_int_equal(run_confined(try_memory), WORKED);
    assert_int_equal(run_confined(try_store), WORKED);
    assert_int_equal(run_confined(try_threads), WORKED);
    assert_int_equal(run_confined(try_limits), WORKED);
}

/* --- threads ----------------------------------------------------------------------------------------- */

static void *forbidden_in_thread(void *argument _unused_)
{
    (void)syscall(SYS_chroot, "/");
    return NULL;
}

static int try_in_thread(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, forbidden_in_thread, NULL) != 0)
        return FAILED;
    (void)pthread_join(thread, NULL);
    return WORKED;
}

/* The thread takes the whole process along: half a daemon would be worse than none. */
static void holds_in_every_thread(void **state _unused_)
{
    assert_int_equal(run_confined(try_in_thread), KILLED);
}

/* Of our own bugs: an assertion must end as SIGABRT, not as a call that was not allowed. */
static void aborts_as_before(void **state _unused_)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        if (seccomp_confine() == 0)
            abort();
        _exit(NOT_CONFINED);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_what_is_forbidden),
        cmocka_unit_test(leaves_what_is_needed),
        cmocka_unit_test(holds_in_every_thread),
        cmocka_unit_test(aborts_as_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
