/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/html.h"

#include "client/lwactl/text.h"

#include <string.h>

#define STACKED_MAX 3 /* accents on one letter; no script needs more */

/* Marks that are drawn above and below the letter before, so that many of them cover other lines. */
static bool is_stacking(uint32_t code)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},   {0x610, 0x61a},
        {0x64b, 0x65f},   {0x6d6, 0x6ed},   {0xe31, 0xe4e},   {0x1ab0, 0x1aff},
        {0x1dc0, 0x1dff}, {0x20d0, 0x20ff}, {0xfe20, 0xfe2f},
    };
    for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    return false;
}

static const char *entity(uint32_t code)
{
    switch (code) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

/* What must be seen instead of working. */
static void write_code(FILE *out, uint32_t code, bool is_content)
{
    const char *open = is_content ? "<span class=\"u\">" : "[", *end = is_content ? "</span>" : "]";
    if (code > 0x10ffff)
        (void)fprintf(out, "%s?%s", open, end);
    else
        (void)fprintf(out, "%sU+%04X%s", open, code, end);
}

static void write_one(FILE *out, const char *bytes, size_t n, uint32_t code)
{
    const char *name = entity(code);
    if (name)
        (void)fputs(name, out);
    else
        (void)fwrite(bytes, 1, n, out);
}

static size_t count(const char *text)
{
    uint32_t code;
    size_t total = 0;
    for (size_t n; (n = text_next(text, &code)) > 0; text += n)
        total++;
    return total;
}

static bool is_word(uint32_t code)
{
    return (code >= '0' && code <= '9') || (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z');
}

/* Names are long words: they may be broken where they are put together, and options of commands may not. */
static bool is_break(uint32_t before, uint32_t code, char after)
{
    return code > 0 && code < 0x80 && strchr(":/.-", (int)code) && is_word((unsigned char)after) &&
           (code != '-' || is_word(before));
}

static void write_text(FILE *out, const char *text, bool is_content)
{
    uint32_t code, before = 0;
    size_t shown = 0, stacked = 0;
    for (size_t n; shown < HTML_TEXT_CODES_MAX && (n = text_next(text, &code)) > 0; text += n, shown++) {
        stacked = is_stacking(code) ? stacked + 1 : 0;
        if (text_is_unsafe(code) || stacked > STACKED_MAX)
            write_code(out, code, is_content);
        else
            write_one(out, text, n, code);
        if (is_content && is_break(before, code, text[n]))
            (void)fputs("<wbr>", out);
        before = code;
    }
    if (*text)
        (void)fprintf(out, "%s\xe2\x80\xa6 and %zu more%s", is_content ? "<span class=\"u\">" : " [",
                      count(text), is_content ? "</span>" : "]");
}

void html_text(FILE *out, const char *text)
{
    (void)fputs("<bdi>", out);
    write_text(out, text, true);
    (void)fputs("</bdi>", out);
}

void html_plain(FILE *out, const char *text)
{
    write_text(out, text, false);
}
