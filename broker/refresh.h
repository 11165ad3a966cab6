/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One refresh, the only place a refresh token is used, and the half of a renewal that renewal.c drives:
 *
 *   1. store_refresh_begin(): the intent is durable, the refresh token unsealed.   (I4)
 *   2. The refresh is sent; the refresh token is wiped when the answer is there.
 *   3. store_refresh_finish(): a rotated refresh token and the record are durable.  (I4)
 *   4. Only then does the access token exist for anyone; the waits are answered.
 *
 *   invalid_grant: the token before the last rotation, if one is kept, is tried once; then the grant is dead,
 *   kept, and said so (I6). Anything else is not terminal: the state is "waiting", until a time that grows
 *   with jitter; an ambiguous failure waits longest, since a retry with a rotated token could end the grant.
 *
 * When step 3 fails for want of room, the tokens are kept and step 3 alone is tried again. */

#include "broker/renewal.h"
#include "broker/store.h"

/* Part of the detail of the record of a grant that died so. */
#define REFRESH_DIED_AFTER_LOGIN "after another login of the same customer"

/* Begins one; the grant is RENEWAL_RUNNING, and ends in another state, with its waits answered. */
int refresh_start(struct grant *grant, enum store_token_which which) _must_check_;
/* A refresh that names `scope` (a fixed text), to see what the provider makes of that. It is as any other for
 * the refresh token: single flight, intent, a rotated one durable first, on the trail. But its access token
 * goes to the callback alone, which must not keep it, and is wiped; the grant keeps the token that it has. An
 * answer that says no to it ends nothing, be it invalid_grant: that is for an ordinary refresh to find out.
 * -EBUSY where none can be made now. The callback never runs from within this call; `access` is NULL unless
 * LWA_OK. */
typedef void (*refresh_probe_callback)(enum lwa_outcome outcome, const struct secret *access, void *userdata);
int refresh_start_probe(struct grant *grant, const char *scope, const char *request,
                        refresh_probe_callback callback, void *userdata) _must_check_;
/* Who asked has gone: the refresh goes on to its end. */
void refresh_forget_prober(struct grant *grant);
/* The grant is going. */
void refresh_abandon_probe(struct grant *grant);

/* The provider's answer is here, and the store could not take it yet. */
bool refresh_is_unstored(const struct renewal *r);
/* Tries to store it now. */
void refresh_store(struct grant *grant);

/* --- what it calls in renewal.c ---------------------------------------------------------------------- */

/* The state changes: `trouble` is why it waits, or none. */
void renewal_set_state(struct grant *grant, enum renewal_state state, enum trouble trouble);
/* It waits until then: the timer goes with it. */
void renewal_wait_until(struct grant *grant, enum trouble trouble, enum renewal_result failed_as,
                        uint64_t next_try_usec);
/* How long before its end the grant's token is renewed. */
uint64_t renewal_margin_usec(const struct grant *grant);
void renewal_set_timer(struct grant *grant, uint64_t at_usec);
/* The grant may be gone afterwards: a callback can do anything. */
void renewal_answer_waits(struct grant *grant, enum renewal_result result);
