/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The one INI dialect of the tree, on top of inih: strict, with line numbers. Refused as a whole, with
 * line and reason: a NUL, invalid UTF-8, a control character other than tab, a line longer than inih can
 * hold (it would be read as two), a key outside a section or without `=`, an unclosed section. `;` and `#`
 * start a comment at the start of a line, ` ;` within one. An indented line continues the value above it:
 * the handler is called again with the same key. */

#include "util/cleanup.h"

#define INI_LINE_BYTES_MAX 198
#define INI_REASON_SIZE 160

struct ini_problem {
    unsigned line; /* 1-based; 0 where the file as a whole is meant */
    char reason[INI_REASON_SIZE]; /* valid UTF-8 */
};

struct ini_entry {
    const char *section;
    const char *key;
    const char *value;
    unsigned line;
};

/* Called per key in file order; the strings are the parser's. 0 goes on. A negative errno ends the parse
 * and is handed up; a positive value ends it as malformed, with the reason written into `problem`, whose
 * line is filled in. */
typedef int (*ini_handler)(const struct ini_entry *entry, struct ini_problem *problem, void *userdata);

enum { INI_E_MALFORMED = 1 };

/* Parses `n` bytes. 0; INI_E_MALFORMED with *ret_problem filled; or a negative errno. */
int ini_parse_text(const char *text, size_t n, ini_handler handler, void *userdata,
                   struct ini_problem *ret_problem) _must_check_;
