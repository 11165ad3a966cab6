/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether this is still the process that made the guard. A page that the kernel wipes in a child tells it
 * without a system call; a kernel older than 4.14 has none, and there the process id is compared. */

#include "util/cleanup.h"

struct fork_guard;

/* 0 or a negative errno. */
int fork_guard_new(struct fork_guard **ret) _must_check_;
struct fork_guard *fork_guard_free(struct fork_guard *guard);
bool fork_guard_is_child(const struct fork_guard *guard);
