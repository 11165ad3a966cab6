/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How unlike two names are, to name the one that a typing error was meant to be. */

#include <stddef.h>

/* Levenshtein's distance over the first 64 bytes of each. */
size_t edit_distance(const char *a, const char *b);
