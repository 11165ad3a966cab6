/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The system calls that lwa-identd has left, and its children: identd-seccomp.c is the one table. It holds
 * two capabilities that open every door of the system for reading, so what it could do with them beyond that
 * is taken from it. */

#include "util/cleanup.h"

/* From here on, for this process and all that it forks. Before the first request. */
int identd_confine(void) _must_check_;
