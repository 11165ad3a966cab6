/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* When a token is renewed, and when a refresh that failed is tried again: pure code, no clock and no random
 * source of its own.
 *
 * The delays begin as those of Amazon's own SDK do (1, 2, 4, 10, 30, 60 s) and grow to some minutes where the
 * provider itself is in trouble, so that a fleet lets it recover. Each is spread by half of itself either
 * way. What never reached the provider stays at a minute: it hurts nobody, and the network may come back any
 * time. */

#include <stdint.h>

enum schedule_kind {
    SCHEDULE_PROVIDER,      /* it is there, and in trouble */
    SCHEDULE_OFFLINE,       /* it could not be reached */
    SCHEDULE_CLOCK,         /* our clock may not be set */
    SCHEDULE_AMBIGUOUS,     /* it may have been carried out: never soon with the same refresh token */
    SCHEDULE_MISCONFIGURED, /* a person has to act */
    SCHEDULE_STORE,         /* our disk */
    SCHEDULE_KIND_COUNT
};

#define SCHEDULE_RETRY_AFTER_SEC_MAX 3600 /* a longer Retry-After is cut to this */

/* The delay after the n-th failure in a row, n from 0. `random` is any 32 bits. The provider's Retry-After is
 * a floor; negative for none. */
uint64_t schedule_delay_usec(enum schedule_kind kind, unsigned n, long retry_after_sec, uint32_t random);

/* A share of the span, chosen by 32 random bits. */
uint64_t schedule_share_usec(uint64_t span_usec, uint32_t random);

/* How long before its end a token of this lifetime is renewed, and how long at least one is good that is
 * handed out. `margin` and `min_valid` are as configured; both give way where tokens live short. The floor is
 * never above half the margin, so that a renewal has time before a call would have to wait for it. `asked` is
 * the longest validity that calls ask for, at most half the lifetime: it gets time, too. */
uint64_t schedule_margin_usec(uint64_t lifetime_usec, uint64_t margin_usec, uint64_t min_valid_usec,
                              uint64_t asked_usec);
uint64_t schedule_floor_usec(uint64_t lifetime_usec, uint64_t min_valid_usec);
