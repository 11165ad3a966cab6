/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Text fit for a person: made safe, cut to a width, times in words. Pure code but for the locale, which says
 * whether the terminal takes UTF-8. */

#include "util/cleanup.h"

#include <stdint.h>

/* Reads one character of UTF-8 and returns its bytes; 0 at the end; a byte that is not UTF-8 counts as one,
 * with *ret_code = UINT32_MAX. */
size_t text_next(const char *s, uint32_t *ret_code);

/* Controls (C0, DEL, C1), and marks that are unseen or turn the direction of writing: what could drive a
 * terminal or make one text look like another. */
bool text_is_unsafe(uint32_t code);

/* Returns a copy in which everything that is unsafe, is not UTF-8 or has no place in the locale is one `?`,
 * so that it can go to any terminal. NULL when memory is out. */
char *text_safe(const char *s);

/* Columns that a safe text takes. */
size_t text_width(const char *s);
/* Bytes of the longest start of a safe text that fits into `width` columns, and the columns it takes. */
size_t text_fit(const char *s, size_t width, size_t *ret_columns);
/* Whether the locale is UTF-8; true only after setlocale(). */
bool text_locale_is_utf8(void);

#define TEXT_TIME_SIZE 32

/* "in 45 s", "in 12 min", "in 5 h", "in 3 days", "now", "2 min ago"; "-" when `when` is not positive. */
const char *text_relative_time(int64_t when_sec, int64_t now_sec, char buffer[static TEXT_TIME_SIZE]);
/* "2024-05-31 18:22:05" in local time; "-" when not positive, "?" when it is no time of this calendar. */
const char *text_time(int64_t when_sec, char buffer[static TEXT_TIME_SIZE]);
/* "9:59", "1:00:00"; "0:00" when negative. */
const char *text_countdown(int64_t left_sec, char buffer[static TEXT_TIME_SIZE]);

/* A copy of the scopes of a login; "(claimed) ..." before those that only he who imported it vouches for.
 * NULL when memory is out. */
char *text_claimed(const char *scopes, bool is_claimed);

/* The name of the list (of n, NULLs allowed) that is nearest to `word`, or NULL when none is near enough to
 * have been meant. */
const char *text_nearest(const char *word, const char *const *names, size_t n);
