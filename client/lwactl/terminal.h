/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What standard output and standard error can show, and the one way out for text: report() for errors,
 * terminal_finish() so that no failed write goes unnoticed. */

#include "util/cleanup.h"

struct terminal {
    bool is_terminal; /* standard output is one, and can move its cursor */
    bool has_colours;
    bool is_utf8;
    size_t width;  /* columns; 0: not a terminal, no limit */
    size_t height; /* rows; 0: not known, no limit */
};

enum colour { COLOUR_PLAIN, COLOUR_BOLD, COLOUR_RED, COLOUR_GREEN, COLOUR_YELLOW, COLOUR_COUNT };

/* Looks anew each time: a window can be resized. */
struct terminal terminal_get(void);
/* The sequence that begins the colour, or ends all of them for COLOUR_PLAIN; "" without colours. */
const char *terminal_colour(const struct terminal *t, enum colour colour);

/* Makes sure that descriptors 0 to 2 are taken, so that no socket ever becomes standard output; a stream that
 * was closed becomes one that cannot be written to. Ignores SIGPIPE. */
void terminal_prepare(void);

/* One line `lwactl: ...` on standard error, made safe as a whole. Returns `code`. */
int report(int code, const char *format, ...) _printf_(2, 3);
/* One line `hint: ...`. */
void report_hint(const char *format, ...) _printf_(1, 2);

/* Flushes standard output: 0, or the exit code 1 when something could not be written, said on standard error
 * unless the reader simply left (EPIPE). */
int terminal_flush(void) _must_check_;
/* Flushes and closes standard output at the end of the program; hands `code` through if all went well. */
int terminal_finish(int code) _must_check_;
/* Says why a write failed (unless EPIPE) and returns the exit code. */
int terminal_write_failed(int error);
