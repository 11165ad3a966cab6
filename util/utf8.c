/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/utf8.h"

#include <string.h>

/* The length that a lead byte announces, and the range of the byte after it, which is where overlong forms,
 * surrogates and too large numbers are told apart. */
struct lead {
    unsigned char first, last;
    unsigned char length;
    unsigned char second_min, second_max;
};

static const struct lead leads[] = {
    {0x00, 0x7F, 1, 0, 0},       {0xC2, 0xDF, 2, 0x80, 0xBF}, {0xE0, 0xE0, 3, 0xA0, 0xBF},
    {0xE1, 0xEC, 3, 0x80, 0xBF}, {0xED, 0xED, 3, 0x80, 0x9F}, {0xEE, 0xEF, 3, 0x80, 0xBF},
    {0xF0, 0xF0, 4, 0x90, 0xBF}, {0xF1, 0xF3, 4, 0x80, 0xBF}, {0xF4, 0xF4, 4, 0x80, 0x8F},
};

static const struct lead *find_lead(unsigned char byte)
{
    for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++)
        if (byte >= leads[i].first && byte <= leads[i].last)
            return &leads[i];
    return NULL;
}

static bool is_continuation(unsigned char byte)
{
    return (byte & 0xC0) == 0x80;
}

/* The length of the character at `p`, 0 if there is no well-formed one within n bytes. */
static size_t character_length(const unsigned char *p, size_t n)
{
    const struct lead *lead = find_lead(p[0]);
    if (!lead || lead->length > n)
        return 0;
    if (lead->length > 1 && (p[1] < lead->second_min || p[1] > lead->second_max))
        return 0;
    for (size_t i = 2; i < lead->length; i++)
        if (!is_continuation(p[i]))
            return 0;
    return lead->length;
}

bool utf8_is_valid(const char *bytes, size_t n)
{
    const unsigned char *p = (const unsigned char *)bytes;
    for (size_t i = 0, length; i < n; i += length) {
        length = character_length(p + i, n - i);
        if (length == 0)
            return false;
    }
    return true;
}

size_t utf8_cut(const char *bytes, size_t n, size_t max)
{
    const unsigned char *p = (const unsigned char *)bytes;
    size_t end = n < max ? n : max;
    size_t start = end;
    while (start > 0 && end - start < 4 && is_continuation(p[start - 1]))
        start--;
    if (start > 0 && character_length(p + start - 1, end - start + 1) == 0)
        return start - 1;
    return end;
}

void utf8_scrub(char *s)
{
    bool valid = utf8_is_valid(s, strlen(s));
    for (unsigned char *p = (unsigned char *)s; *p; p++)
        if (*p < 0x20 || *p == 0x7F || (*p > 0x7E && !valid))
            *p = '?';
}
