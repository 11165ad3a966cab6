/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Memory for the answers that exist once: where a provider rotates, the answer to a refresh is the login. It
 * is set aside before the request is sent, and given back, a block at a time, when an allocation on the way
 * from the answer to the store finds none; that allocation is then tried again. The blocks are mappings that
 * nothing has touched: they cost address space, but no memory while there is plenty.
 *
 * One for the process, since the libraries' allocators know of no object; any thread may allocate. */

#include "util/cleanup.h"

#include <stddef.h>

/* Sets aside what is missing. -ENOMEM: then nothing may be sent whose answer cannot be had again. */
int reserve_fill(void) _must_check_;
/* Gives one block back: false when there was none, so that trying again is no use. */
bool reserve_spend(void) _must_check_;

/* As in libc, but with the reserve behind them. */
void *reserve_malloc(size_t n) _must_check_;
void *reserve_calloc(size_t n, size_t size) _must_check_;
char *reserve_strdup(const char *text) _must_check_;
