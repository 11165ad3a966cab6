/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/identd-seccomp.h"

#include "autoconf.h"
#include "broker/syscall-filter.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

/* What is left is to open for reading, to look, to fork, and to talk over what is open already. Left out on
 * purpose: to look into memory or descriptors of others (ptrace, process_vm_*, pidfd_getfd, kcmp), every
 * socket, every program, every change to a file, to an identity or to a limit. openat2 is left out since its
 * flags are in memory, where a filter cannot look; so are clone3's. */

static const char *const allowed[] = {
    /* Looking. openat has a condition. */
    "close",
    "close_range",
    "read",
    "readlink",
    "readlinkat",
    "fstat",
    "fstat64",
    "newfstatat",
    "fstatat64",
    "statx",
    "pidfd_open",
    /* Talking. */
    "write",
    "sendto",
    "recvmsg",
    "poll",
    "ppoll",
    "ppoll_time64",
    /* Children. clone and kill have conditions. */
    "pipe2",
    "dup2",
    "dup3",
    "wait4",
    "waitpid",
    "set_robust_list",
    "rseq",
    "getpid",
    "getppid",
    "gettid",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sigreturn",
    "exit",
    "exit_group",
    "restart_syscall",
    /* Memory, and time where the kernel has no faster way. */
    "brk",
    "munmap",
    "mremap",
    "madvise",
    "futex",
    "futex_time64",
    "getrandom",
    "clock_gettime",
    "clock_gettime64",
#if LWA_SANITIZE
    "open",
    "sigaltstack",
    "getrlimit",
    "prlimit64",
    "sched_yield",
    "sched_getaffinity",
    "lseek",
    "readv",
    "writev",
    "tgkill",
    "uname",
    "getcwd",
#endif
};

static const struct syscall_absent absent[] = {
    {"clone3", ENOSYS}, /* fork() may try it */
};

/* O_PATH has the access mode 0, as O_RDONLY has. The C library's O_TMPFILE has O_DIRECTORY in it. */
#define WRITING (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY))
#define OF_A_FORK (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)

static const struct syscall_condition conditional[] = {
    {"openat", 2, WRITING, O_RDONLY},
    {"clone", 0, ~(uint64_t)OF_A_FORK, SIGCHLD},
    {"kill", 1, UINT32_MAX, SIGKILL},
    {"prctl", 0, UINT32_MAX, PR_SET_PDEATHSIG},
    {"mmap", 2, PROT_EXEC, 0},
    {"mmap2", 2, PROT_EXEC, 0},
    {"mprotect", 2, PROT_EXEC, 0},
    {"ioctl", 1, UINT32_MAX, TCGETS}, /* the log asks whether it goes to a terminal */
};

int identd_confine(void)
{
    const struct syscall_filter filter = {
        SYSCALLS(allowed),
        SYSCALLS(absent),
        SYSCALLS(conditional),
    };
    return syscall_filter_load(&filter);
}
