/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the process gives up before it reads the first secret. */

#include "util/cleanup.h"

/* Clears the environment but for what systemd hands a service. Before the first thread. */
int harden_environment(void) _must_check_;
/* No core dumps, no new privileges, not dumpable (no ptrace, no /proc/PID/mem by others); as many descriptors
 * and as much locked memory as the system lets it have. */
int harden_process(void) _must_check_;
/* Started as root: becomes `user`. However it was started: no capability is left, in any set. */
int harden_become(const char *user) _must_check_;
