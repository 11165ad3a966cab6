/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/text.h"

#include <langinfo.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#define NEAREST_BYTES_MAX 64

/* Length of the sequence that this first byte announces, and the bits of the code that it holds; 0 for none.
 */
static size_t sequence_length(unsigned char first, uint32_t *ret_bits)
{
    if (first >= 0xc2 && first <= 0xdf) {
        *ret_bits = first & 0x1f;
        return 2;
    }
    if (first >= 0xe0 && first <= 0xef) {
        *ret_bits = first & 0x0f;
        return 3;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        *ret_bits = first & 0x07;
        return 4;
    }
    return 0;
}

size_t text_next(const char *s, uint32_t *ret_code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *p = (const unsigned char *)s;

    if (p[0] < 0x80) {
        *ret_code = p[0];
        return p[0] ? 1 : 0;
    }
    uint32_t code = 0;
    size_t n = sequence_length(p[0], &code);
    bool good = n > 0;
    for (size_t i = 1; good && i < n; i++) {
        good = (p[i] & 0xc0) == 0x80; /* the NUL ends the loop here */
        code = code << 6 | (p[i] & 0x3f);
    }
    if (!good || code < least[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
        *ret_code = UINT32_MAX;
        return 1;
    }
    *ret_code = code;
    return n;
}

bool text_is_unsafe(uint32_t code)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x00, 0x1f},     {0x7f, 0x9f},       {0xad, 0xad},          {0x34f, 0x34f},   {0x61c, 0x61c},
        {0x115f, 0x1160}, {0x17b4, 0x17b5},   {0x180b, 0x180f},      {0x200b, 0x200f}, {0x2028, 0x202e},
        {0x2060, 0x206f}, {0x3164, 0x3164},   {0xfe00, 0xfe0f},      {0xfeff, 0xfeff}, {0xffa0, 0xffa0},
        {0xfff0, 0xfffb}, {0xe0000, 0xe0fff}, {0xf0000, UINT32_MAX},
    };
    for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    return false;
}

bool text_locale_is_utf8(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/* Columns of one character, or -1 when it must not be shown. */
static int code_width(uint32_t code, bool utf8)
{
    if (text_is_unsafe(code) || (code >= 0x80 && !utf8))
        return -1;
    return code < 0x80 ? 1 : wcwidth((wchar_t)code);
}

char *text_safe(const char *s)
{
    char *safe = malloc(strlen(s) + 1);
    if (!safe)
        return NULL;

    bool utf8 = text_locale_is_utf8();
    char *end = safe;
    uint32_t code;
    for (size_t n; (n = text_next(s, &code)) > 0; s += n) {
        if (code_width(code, utf8) < 0)
            *end++ = '?';
        else
            end = mempcpy(end, s, n);
    }
    *end = '\0';
    return safe;
}

size_t text_fit(const char *s, size_t width, size_t *ret_columns)
{
    bool utf8 = text_locale_is_utf8();
    const char *p = s;
    uint32_t code;
    size_t columns = 0;
    for (size_t n; (n = text_next(p, &code)) > 0; p += n) {
        int wide = code_width(code, utf8);
        size_t more = wide > 0 ? (size_t)wide : 0;
        if (more > width - columns)
            break;
        columns += more;
    }
    *ret_columns = columns;
    return (size_t)(p - s);
}

size_t text_width(const char *s)
{
    size_t columns;
    (void)text_fit(s, SIZE_MAX, &columns);
    return columns;
}

static const char *amount(uint64_t seconds, char buffer[static TEXT_TIME_SIZE])
{
    static const struct {
        uint64_t below, unit;
        const char *name;
    } steps[] = {
        {100, 1, "s"},
        {UINT64_C(100) * 60, 60, "min"},
        {UINT64_C(48) * 3600, 3600, "h"},
        {UINT64_MAX, 86400, "days"},
    };
    size_t i = 0;
    while (i + 1 < ARRAY_SIZE(steps) && seconds >= steps[i].below)
        i++;
    (void)snprintf(buffer, TEXT_TIME_SIZE, "%llu %s", (unsigned long long)(seconds / steps[i].unit),
                   steps[i].name);
    return buffer;
}

const char *text_relative_time(int64_t when_sec, int64_t now_sec, char buffer[static TEXT_TIME_SIZE])
{
    char words[TEXT_TIME_SIZE];
    if (when_sec <= 0)
        return "-";
    if (when_sec == now_sec)
        return "now";
    /* Unsigned, since the difference of two hostile times need not fit a signed number. */
    if (when_sec > now_sec)
        (void)snprintf(buffer, TEXT_TIME_SIZE, "in %.26s",
                       amount((uint64_t)when_sec - (uint64_t)now_sec, words));
    else
        (void)snprintf(buffer, TEXT_TIME_SIZE, "%.26s ago",
                       amount((uint64_t)now_sec - (uint64_t)when_sec, words));
    return buffer;
}

const char *text_time(int64_t when_sec, char buffer[static TEXT_TIME_SIZE])
{
    struct tm tm;
    time_t when = (time_t)when_sec;
    if (when_sec <= 0)
        return "-";
    if (!localtime_r(&when, &tm) || strftime(buffer, TEXT_TIME_SIZE, "%Y-%m-%d %H:%M:%S", &tm) == 0)
        return "?";
    return buffer;
}

const char *text_countdown(int64_t left_sec, char buffer[static TEXT_TIME_SIZE])
{
    long long left = left_sec > 0 ? (long long)left_sec : 0;
    if (left >= 3600)
        (void)snprintf(buffer, TEXT_TIME_SIZE, "%lld:%02d:%02d", left / 3600, (int)(left / 60 % 60),
                       (int)(left % 60));
    else
        (void)snprintf(buffer, TEXT_TIME_SIZE, "%lld:%02d", left / 60, (int)(left % 60));
    return buffer;
}

char *text_claimed(const char *scopes, bool is_claimed)
{
    char *text;
    return asprintf(&text, "%s%s", is_claimed ? "(claimed) " : "", scopes) < 0 ? NULL : text;
}

/* The least number of letters to change, drop, add or swap with their neighbour. Both at most
 * NEAREST_BYTES_MAX bytes. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][NEAREST_BYTES_MAX + 1];
    size_t n = strlen(b);
    for (size_t j = 0; j <= n; j++)
        rows[0][j] = j;

    for (size_t i = 1; a[i - 1]; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *twice_above = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t least = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < least)
                least = above[j] + 1;
            if (row[j - 1] + 1 < least)
                least = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                twice_above[j - 2] + 1 < least)
                least = twice_above[j - 2] + 1;
            row[j] = least;
        }
    }
    return rows[strlen(a) % 3][n];
}

const char *text_nearest(const char *word, const char *const *names, size_t n)
{
    const char *nearest = NULL;
    size_t length = strlen(word);
    size_t best = length / 3 + 2; /* one less still counts */

    if (length == 0 || length > NEAREST_BYTES_MAX)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        if (!names[i] || strlen(names[i]) > NEAREST_BYTES_MAX)
            continue;
        size_t d = strncmp(word, names[i], length) == 0 ? 0 : distance(word, names[i]);
        if (d < best) {
            best = d;
            nearest = names[i];
        }
    }
    return nearest;
}
