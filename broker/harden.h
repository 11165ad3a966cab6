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

/* For lwa-identd: as harden_become(), but these `n` capabilities stay, through the execve() that follows. Not
 * root: they must be there, as the unit gives them. -EPERM when they cannot be had. */
int harden_become_with(const char *user, const unsigned *capabilities, size_t n) _must_check_;
/* What is left from here on: these, which no program that is run inherits. */
int harden_keep(const unsigned *capabilities, size_t n) _must_check_;
