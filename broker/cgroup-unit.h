/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which system unit a process belongs to: from the text of /proc/PID/cgroup. systemd gives each unit a cgroup
 * of its own, and a process cannot leave the one below /system.slice that it was started in. Pure. */

#include "util/cleanup.h"

#define CGROUP_UNIT_SIZE 256

enum { CGROUP_UNIT_E_MALFORMED = 1 };

/* The first unit below /system.slice, slices passed over: "musicd.service". 0 with "" for a process that is
 * in none (a user's session, a machine without systemd); CGROUP_UNIT_E_MALFORMED for what no kernel writes,
 * and for a cgroup that was removed.
 *
 * The hierarchy that counts is systemd's own of cgroup v1 (`name=systemd`), in a hybrid too; or, where there
 * is none or nobody uses it, that of v2 (`0::`). From within a cgroup namespace paths beyond its root
 * begin with `/..`, as often as it takes: what follows must be /system.slice all the same. */
int cgroup_unit_parse(const char *text, size_t n, char ret_unit[static CGROUP_UNIT_SIZE]) _must_check_;
