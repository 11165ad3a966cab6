/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Scopes as a set of small numbers. A scope token (RFC 6749, section 3.3) is opaque text; the catalogue
 * gives each one a number that never changes while the process lives, so that a set of scopes is a plain
 * value of 32 bytes: no allocation, no cleanup, and subset is four AND-NOTs. Pure code. */

#include <stdbool.h>
#include <stdint.h>

#define SCOPE_BYTES_MAX 128
#define SCOPE_COUNT_MAX 256 /* distinct scopes a process can ever know */

struct scope_set {
    uint64_t words[SCOPE_COUNT_MAX / 64];
};

/* 1 to 128 bytes of %x21 / %x23-5B / %x5D-7E. */
bool scope_token_is_valid(const char *s);

#define SCOPE_SET_EMPTY ((struct scope_set){{0}})

/* The next member at or after `from`, or -1: for (int i = scope_set_next(s, 0); i >= 0;
 * i = scope_set_next(s, i + 1)). */
int scope_set_next(const struct scope_set *set, int from);
unsigned scope_set_count(const struct scope_set *set);

static inline void scope_set_add(struct scope_set *set, int index)
{
    set->words[index / 64] |= UINT64_C(1) << (index % 64);
}

static inline void scope_set_remove(struct scope_set *set, int index)
{
    set->words[index / 64] &= ~(UINT64_C(1) << (index % 64));
}

static inline bool scope_set_has(const struct scope_set *set, int index)
{
    return set->words[index / 64] >> (index % 64) & 1;
}

static inline struct scope_set scope_set_union(struct scope_set a, struct scope_set b)
{
    for (int i = 0; i < SCOPE_COUNT_MAX / 64; i++)
        a.words[i] |= b.words[i];
    return a;
}

static inline struct scope_set scope_set_intersection(struct scope_set a, struct scope_set b)
{
    for (int i = 0; i < SCOPE_COUNT_MAX / 64; i++)
        a.words[i] &= b.words[i];
    return a;
}

static inline struct scope_set scope_set_minus(struct scope_set a, struct scope_set b)
{
    for (int i = 0; i < SCOPE_COUNT_MAX / 64; i++)
        a.words[i] &= ~b.words[i];
    return a;
}

static inline bool scope_set_is_empty(struct scope_set a)
{
    uint64_t any = 0;
    for (int i = 0; i < SCOPE_COUNT_MAX / 64; i++)
        any |= a.words[i];
    return any == 0;
}

static inline bool scope_set_is_subset(struct scope_set a, struct scope_set of)
{
    return scope_set_is_empty(scope_set_minus(a, of));
}

static inline bool scope_set_equal(struct scope_set a, struct scope_set b)
{
    return scope_set_is_subset(a, b) && scope_set_is_subset(b, a);
}
