/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Two files of /proc/PID, as texts. The kernel writes them, but a process chooses its name, which stands in
 * both. Pure. */

#include "util/cleanup.h"

#include <stdint.h>
#include <sys/types.h>

enum { PROC_TEXT_E_MALFORMED = 1 };

/* /proc/PID/status: the effective uid, and the state ('R', 'S', 'Z' for one that has ended, ...). */
int proc_text_status(const char *text, size_t n, uid_t *ret_uid, char *ret_state) _must_check_;
/* /proc/PID/stat: when it started, in clock ticks since the machine did. */
int proc_text_start(const char *text, size_t n, uint64_t *ret_ticks) _must_check_;
/* /proc/PID/fdinfo/FD of a pidfd: whose it is; -1 once that has ended. */
int proc_text_pidfd(const char *text, size_t n, pid_t *ret_pid) _must_check_;
