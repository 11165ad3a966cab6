/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The one INI dialect of the tree, on top of inih: strict, with line numbers. Refused as a whole, with
 * line and reason: a NUL, invalid UTF-8, a control character other than tab, a line longer than inih can
 * hold (it would be read as two), a key outside a section or without `=`, an unclosed section or text after
 * one, a section or key without a name. `;` and `#` start a comment at the start of a line, ` ;` within one.
 * An indented line continues the value above it: the handler is called again with the same key. */

#include "util/cleanup.h"

#define INI_LINE_BYTES_MAX 198
#define INI_REASON_SIZE 160

struct ini_problem {
    unsigned line;                /* 1-based; 0 where the file as a whole is meant */
    char reason[INI_REASON_SIZE]; /* valid UTF-8 */
};

struct ini_entry {
    const char *section;
    const char *key;   /* NULL where a section starts */
    const char *value; /* NULL where a section starts; "" for none */
    unsigned line;
    bool continues; /* an indented line that goes on with the value above it */
};

/* Called per section header and per key, in file order; the strings are the parser's. 0 goes on. A negative
 * errno ends the parse and is handed up; a positive value ends it as malformed, with the reason written into
 * `problem` (ini_refuse()), whose line is filled in. */
typedef int (*ini_handler)(const struct ini_entry *entry, struct ini_problem *problem, void *userdata);

enum { INI_E_MALFORMED = 1 };

/* Parses `n` bytes. 0; INI_E_MALFORMED with *ret_problem filled; or a negative errno. */
int ini_parse_text(const char *text, size_t n, ini_handler handler, void *userdata,
                   struct ini_problem *ret_problem) _must_check_;

/* Writes the reason, cut where a character ends if it is too long. Returns INI_E_MALFORMED, to be returned by
 * a handler. Strings that go into it must be valid UTF-8. */
int ini_refuse(struct ini_problem *problem, const char *format, ...) _printf_(2, 3);
