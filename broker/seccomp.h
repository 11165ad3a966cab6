/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The system calls that the daemon has left once it has become its user: an allow-list, of which seccomp.c is
 * the one table. Whatever else is tried ends the process at once (SIGSYS; the kernel's audit log names the
 * call). It cannot be switched off. */

#include "util/cleanup.h"

/* Loads what may not be loaded later: the name-service modules that the machine's nsswitch.conf names. What
 * fails is left out, as the name service itself does. */
void seccomp_preload_names(void);
/* From here on, for this thread and all that it starts. Before the first thread and the first secret. */
int seccomp_confine(void) _must_check_;
