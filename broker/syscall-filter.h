/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Makes a filter of a process's system calls from tables: seccomp.c has those of the daemon, identd-seccomp.c
 * those of lwa-identd. Calls go by their names, not numbers: one that an architecture does not have is passed
 * over. What no table lets through ends the process (SIGSYS). */

#include "util/cleanup.h"

#include <stdint.h>

/* Fails with this error. */
struct syscall_absent {
    const char *name;
    int error;
};

/* Meant is a call with (argument & mask) == value. Several rows of one name: any of them. */
struct syscall_condition {
    const char *name;
    unsigned argument;
    uint64_t mask;
    uint64_t value;
};

struct syscall_filter {
    const char *const *allowed;
    size_t n_allowed;
    const struct syscall_absent *absent;
    size_t n_absent;
    const struct syscall_condition *conditional; /* allowed */
    size_t n_conditional;
    const struct syscall_condition *refused; /* fails with EACCES */
    size_t n_refused;
};

/* A table and its size, for the above. */
#define SYSCALLS(table) .table = (table), .n_##table = ARRAY_SIZE(table)

/* From here on, for this thread and all that it starts; abort() works in all of the tables. Needs "no new
 * privileges". */
int syscall_filter_load(const struct syscall_filter *filter) _must_check_;
