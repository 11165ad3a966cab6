/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Allocation in the simulator. It is a test tool: without memory there is no test to save, so it ends at
 * once instead of carrying an error path through every line. Nothing of the product includes this file. */

#include "util/cleanup.h"

/* Returns what it is given, unless that is NULL. */
void *must(void *p) __attribute__((returns_nonnull));
