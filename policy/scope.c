/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/scope.h"

#include <string.h>

bool scope_token_is_valid(const char *s)
{
    size_t n = strnlen(s, SCOPE_BYTES_MAX + 1);
    if (n == 0 || n > SCOPE_BYTES_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c < 0x21 || c > 0x7E || c == '"' || c == '\\')
            return false;
    }
    return true;
}

int scope_set_next(const struct scope_set *set, int from)
{
    if (from < 0 || from >= SCOPE_COUNT_MAX)
        return -1;
    int word = from / 64;
    uint64_t bits = set->words[word] & (~UINT64_C(0) << (from % 64));
    while (bits == 0) {
        if (++word == SCOPE_COUNT_MAX / 64)
            return -1;
        bits = set->words[word];
    }
    return word * 64 + __builtin_ctzll(bits);
}

unsigned scope_set_count(const struct scope_set *set)
{
    unsigned n = 0;
    for (int i = 0; i < SCOPE_COUNT_MAX / 64; i++)
        n += (unsigned)__builtin_popcountll(set->words[i]);
    return n;
}
