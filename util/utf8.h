/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is put on the bus or before people must be valid UTF-8: libdbus aborts on anything else. */

#include <stdbool.h>
#include <stddef.h>

/* Well-formed as in RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. A NUL is a character.
 */
bool utf8_is_valid(const char *bytes, size_t n);

/* The longest start of the n bytes, at most `max`, that does not end within a character; the bytes must be
 * valid, or cut from valid ones. */
size_t utf8_cut(const char *bytes, size_t n, size_t max);

/* Puts `?` for every control character of the string and, when it is not valid UTF-8, for every byte above
 * 0x7E: for names of files in messages. */
void utf8_scrub(char *s);
