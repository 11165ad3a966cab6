/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Real exhaustion: the process gets this much more address space than it has, and no more. Not with the
 * sanitizers, which need some at any time. */

#include <stddef.h>

void memory_limit(size_t more);
void memory_unlimit(void);
