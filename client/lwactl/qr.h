/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Large things on a terminal: a QR code, and a user code in block letters. */

#include "client/lwactl/terminal.h"

#define QR_QUIET_ZONE 4 /* modules of light around the code, as the standard asks */

/* Prints the text as a QR code: half-block characters where the locale is UTF-8, else cells of colour. False,
 * with nothing printed, when it does not fit the width, or would push some of the `lines` that have to be
 * seen with it off the screen, or the terminal can show neither. */
bool qr_print(const struct terminal *t, const char *text, size_t lines, FILE *out);

/* Prints a code of letters, digits and hyphens in block letters, or spaced out where it holds other
 * characters or there is no room for it. */
void qr_print_letters(const struct terminal *t, const char *code, FILE *out);
