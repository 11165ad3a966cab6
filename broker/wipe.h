/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For libraries that take an allocator and handle secrets: what they free or move is wiped first. Memory
 * comes from malloc() or calloc(), or reserve_malloc(). */

#include "util/cleanup.h"

#include <stddef.h>

void wiping_free(void *p);
/* As realloc(), which may leave the old bytes behind where it moves; so the move is made by hand. */
void *wiping_realloc(void *p, size_t n) _must_check_;
