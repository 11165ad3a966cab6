/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Text of others in an HTML page.
 *
 * Invariants: whatever the text is, it makes no element and no attribute but those below; nothing in it is
 * unseen or turns the direction of what stands beside it. Controls, marks of direction and unseen characters
 * are written out, as U+202E; marks that stack on one letter are, from the fourth on; a text that is too long
 * is cut, and says so. Everything that is no literal of ours goes through here. */

#include "util/cleanup.h"

#define HTML_TEXT_CODES_MAX 256 /* characters that are shown */

/* As content, in an element <bdi>, which may be broken after the colons, slashes, dots and hyphens of names.
 */
void html_text(FILE *out, const char *text);
/* In a quoted attribute, or in an element that holds text only (<title>). */
void html_plain(FILE *out, const char *text);
