/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/seccomp.h"

#include "autoconf.h"
#include "broker/syscall-filter.h"

#include <dlfcn.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

/* Three answers: what is in `allowed` (or has a rule in `conditional` that fits) works; what is in `absent`
 * fails as on an older kernel, since libraries try it and know what to do without; all else ends the process.
 *
 * What is left out on purpose: to run a program or make a process (execve, clone but for threads), to look
 * into others (ptrace, process_vm_*, pidfd_getfd), to signal others (kill), to serve (listen, accept), to
 * change identity, limits, namespaces, mounts, keyrings, and the kernel's large surfaces (bpf, io_uring,
 * userfaultfd, perf). No memory becomes executable: a library that is not there yet cannot be loaded, so what
 * needs one loads it before (seccomp_preload_names(), http_memory_init()).
 *
 * Old and new forms (mmap and mmap2, poll and ppoll, 32-bit and 64-bit times) stand side by side. */

#define NSSWITCH "/etc/nsswitch.conf"

static const char *const allowed[] = {
    /* Files: configuration, database, key, trust anchors, the name service's. */
    "open",
    "openat",
    "close",
    "close_range",
    "read",
    "readv",
    "pread64",
    "preadv",
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "lseek",
    "_llseek",
    "stat",
    "stat64",
    "lstat",
    "lstat64",
    "fstat",
    "fstat64",
    "newfstatat",
    "fstatat64",
    "statx",
    "statfs",
    "statfs64",
    "fstatfs",
    "fstatfs64",
    "access",
    "faccessat",
    "faccessat2",
    "readlink",
    "readlinkat",
    "getdents",
    "getdents64",
    "getcwd",
    "fcntl",
    "fcntl64",
    "dup",
    "dup2",
    "dup3",
    /* ... and what only the store and the key need: whole files, made durable, renamed, removed. */
    "ftruncate",
    "ftruncate64",
    "fallocate",
    "fsync",
    "fdatasync",
    "fchmod",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    /* Memory. Secrets are locked, tokens are memory files. mmap and mprotect have conditions. */
    "brk",
    "munmap",
    "mremap",
    "madvise",
    "mlock",
    "mlock2",
    "munlock",
    "memfd_create",
    /* Sockets to the bus, the provider and the name service. Nobody is served. socket has a condition. */
    "connect",
    "bind",
    "socketpair",
    "shutdown",
    "send",
    "sendto",
    "sendmsg",
    "sendmmsg",
    "recv",
    "recvfrom",
    "recvmsg",
    "recvmmsg",
    "recvmmsg_time64",
    "getsockname",
    "getpeername",
    "getsockopt",
    "setsockopt",
    /* The loop, and the waiting of those who are not it. */
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "poll",
    "ppoll",
    "ppoll_time64",
    "select",
    "_newselect",
    "pselect6",
    "pselect6_time64",
    "eventfd",
    "eventfd2",
    "pipe",
    "pipe2",
    "timerfd_create",
    "timerfd_settime",
    "timerfd_settime64",
    "inotify_init1", /* to notice changes of grants.d */
    "inotify_add_watch",
    "inotify_rm_watch",
    /* Threads: the store's, libuv's workers, curl's resolver. To make one has a condition. */
    "futex",
    "futex_time64",
    "futex_waitv",
    "set_robust_list",
    "rseq",
    "sched_yield",
    "sched_getaffinity",
    "membarrier",
    "exit",
    "exit_group",
    "restart_syscall",
    /* Signals to ourselves. */
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sigaction",
    "sigprocmask",
    "sigreturn",
    /* Time, where the kernel has no faster way, and sleep (SQLite waits so for a lock). */
    "clock_gettime",
    "clock_gettime64",
    "clock_getres",
    "clock_getres_time64",
    "gettimeofday",
    "time",
    "clock_nanosleep",
    "clock_nanosleep_time64",
    "nanosleep",
    /* Who and where we are; random bytes. */
    "getpid",
    "getppid",
    "gettid",
    "getuid",
    "getuid32",
    "geteuid",
    "geteuid32",
    "getgid",
    "getgid32",
    "getegid",
    "getegid32",
    "getresuid",
    "getresuid32",
    "getresgid",
    "getresgid32",
    "getgroups",
    "getgroups32",
    "getrandom",
    "getcpu",
    "getrusage",
    "getrlimit",
    "ugetrlimit",
    "sysinfo",
    "uname",
    "umask",
#if LWA_SANITIZE
    /* The leak checker stops the threads and looks into them, from a process of its own. */
    "clone",
    "ptrace",
    "process_vm_readv",
    "wait4",
    "kill",
    "tgkill",
    "prctl",
    "sigaltstack",
    "personality",
#endif
};

static const struct syscall_absent absent[] = {
    {"clone3", ENOSYS}, /* its flags are in memory, where a filter cannot look: clone has them in hand */
    {"io_uring_setup", ENOSYS}, /* libuv tries it */
};

#define NEW_NAMESPACES                                                                                       \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |            \
     CLONE_NEWNET)

static const struct syscall_condition conditional[] = {
    {"socket", 0, UINT32_MAX, AF_UNIX},
    {"socket", 0, UINT32_MAX, AF_INET},
    {"socket", 0, UINT32_MAX, AF_INET6},
    {"socket", 0, UINT32_MAX, AF_NETLINK}, /* getaddrinfo() asks which addresses the machine has */
    {"clone", 0, CLONE_THREAD | NEW_NAMESPACES, CLONE_THREAD},
    {"mmap", 2, PROT_EXEC, 0},
    {"mmap2", 2, PROT_EXEC, 0},
    {"mprotect", 2, PROT_EXEC, 0},
    {"ioctl", 1, UINT32_MAX, FIONBIO}, /* libuv's way to make a descriptor not block, and close on exec */
    {"ioctl", 1, UINT32_MAX, FIOCLEX},
    {"ioctl", 1, UINT32_MAX, FIONREAD},
    {"ioctl", 1, UINT32_MAX, TCGETS}, /* stdio asks whether it writes to a terminal */
    {"prctl", 0, UINT32_MAX, PR_SET_NAME},
    {"prctl", 0, UINT32_MAX, PR_SET_VMA}, /* names of mappings */
    {"prlimit64", 2, UINT64_MAX, 0},      /* to read a limit, not to set one */
};

/* Fails, and does not end the process: the name service and the TLS library can do without a module. */
static const struct syscall_condition refused[] = {
    {"mmap", 2, PROT_EXEC, PROT_EXEC},
    {"mmap2", 2, PROT_EXEC, PROT_EXEC},
    {"mprotect", 2, PROT_EXEC, PROT_EXEC},
};

int seccomp_confine(void)
{
    const struct syscall_filter filter = {
        SYSCALLS(allowed),
        SYSCALLS(absent),
        SYSCALLS(conditional),
        SYSCALLS(refused),
    };
    return syscall_filter_load(&filter);
}

/* --- name service -------------------------------------------------------------------------------------- */

/* One word of a line: a service, whose module is named after it. What stands in brackets is none, and has
 * characters that no service has. */
static void load_module(const char *word, size_t n)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    char name[64];
    if (n == 0 || n > 32 || strspn(word, letters) < n)
        return;
    (void)snprintf(name, sizeof(name), "libnss_%.*s.so.2", (int)n, word);
    (void)dlopen(name, RTLD_NOW); /* for good: the name service finds it by its name */
}

static bool is_wanted(const char *line)
{
    static const char *const databases[] = {"passwd:", "group:", "initgroups:", "hosts:"};
    for (size_t i = 0; i < ARRAY_SIZE(databases); i++)
        if (strncmp(line, databases[i], strlen(databases[i])) == 0)
            return true;
    return false;
}

static void load_line(const char *line)
{
    static const char blanks[] = " \t";
    const char *p = line + strcspn(line, ":") + 1;
    while (*p && *p != '#' && *p != '\n') {
        size_t n = strcspn(p, " \t#\n");
        load_module(p, n);
        p += n;
        p += strspn(p, blanks);
    }
}

void seccomp_preload_names(void)
{
    FILE *file = fopen(NSSWITCH, "re");
    if (!file)
        return; /* glibc has what it then needs built in */
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, file) > 0)
        if (is_wanted(line + strspn(line, " \t")))
            load_line(line);
    free(line);
    (void)fclose(file);
}
