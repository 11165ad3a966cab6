/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Text of several words on the terminal: broken between words, the lines after the first indented. Away from
 * a terminal nothing is broken. */

#include "client/lwactl/terminal.h"

/* Prints the line that `lead` and `text` make, both safe texts. Further lines begin below the text. What
 * stands between backquotes is never broken: it is a command to be copied. */
void paragraph_print(const struct terminal *t, const char *lead, const char *text, FILE *out);
