/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/paragraph.h"

#include "client/lwactl/text.h"

#include <string.h>

#define ROOM_LEAST 20 /* columns; with less the terminal breaks the lines itself */

/* Bytes of the piece at `s` that stays together. */
static size_t piece_length(const char *s)
{
    size_t n = 0;
    while (s[n] && s[n] != ' ') {
        const char *end = s[n] == '`' ? strchr(s + n + 1, '`') : NULL;
        n = end ? (size_t)(end - s) + 1 : n + 1;
    }
    return n;
}

void paragraph_print(const struct terminal *t, const char *lead, const char *text, FILE *out)
{
    size_t indent = text_width(lead), used = 0;
    size_t room = t->width >= indent + ROOM_LEAST ? t->width - indent : SIZE_MAX;

    (void)fputs(lead, out);
    for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
        size_t n = piece_length(text);
        _cleanup_free_ char *piece = strndup(text, n);
        size_t width = piece ? text_width(piece) : n;
        if (used > 0 && used + 1 + width > room) {
            (void)fprintf(out, "\n%*s", (int)indent, "");
            used = 0;
        }
        (void)fprintf(out, "%s%.*s", used > 0 ? " " : "", (int)n, text);
        used += (used > 0) + width;
        text += n;
    }
    (void)fputc('\n', out);
}
