/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The scopes the simulated provider knows, what each means in words, and which implies which. A
 * set of them is a number with one bit each. The table is the simulator's own and not the product's
 * catalogue, so that a mistake in one of the two shows. */

#include "util/cleanup.h"

#include <stdint.h>

/* The bit of one scope, 0 for an unknown one. */
uint64_t scope_bit(const char *name);
/* Reads space-separated names and adds them to *bits. False when one is unknown, `bits` then untouched. */
bool scopes_parse(const char *text, uint64_t *bits) _must_check_;
/* The set and what it implies. */
uint64_t scopes_expand(uint64_t bits);
/* The names, separated by spaces, in a new string. */
char *scopes_join(uint64_t bits);

/* Walks a set: scopes_next(bits, 0), then from the last index + 1; -1 at the end. */
int scopes_next(uint64_t bits, int from);
const char *scope_name(int index);
const char *scope_words(int index);
