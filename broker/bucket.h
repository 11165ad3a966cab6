/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A token bucket: up to `burst` units at once, and then one every `interval_usec`. Pure: the time (boot time)
 * is handed in.
 *
 * It is kept as the one moment at which it will be full again, so that an empty struct is a full bucket, and
 * a bucket that has filled up needs no keeping. A caller can be made to pay for what could not be known
 * before (bucket_force()): it then owes at most one burst. */

#include "util/cleanup.h"

#include <stdint.h>

struct bucket {
    uint64_t full_usec;
};

struct bucket_size {
    uint64_t interval_usec;
    unsigned burst;
};

struct bucket_size bucket_size_of(unsigned per_sec, unsigned burst);

/* In how many microseconds n units will be there; 0: they are. What costs more than a burst costs a burst. */
uint64_t bucket_wait(const struct bucket *b, const struct bucket_size *size, unsigned n, uint64_t now_usec);
/* Takes n units and returns 0; or takes none and returns what bucket_wait() says. */
uint64_t bucket_take(struct bucket *b, const struct bucket_size *size, unsigned n,
                     uint64_t now_usec) _must_check_;
/* Takes n units whether or not they are there. */
void bucket_force(struct bucket *b, const struct bucket_size *size, unsigned n, uint64_t now_usec);
/* Puts n units back. */
void bucket_return(struct bucket *b, const struct bucket_size *size, unsigned n, uint64_t now_usec);
bool bucket_is_full(const struct bucket *b, uint64_t now_usec);

/* For people: whole seconds, rounded up, at least 1. */
unsigned bucket_wait_sec(uint64_t wait_usec);
