/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Keeps one grant's access token fresh: the only place a refresh token is used. Single flight: whoever needs
 * a token while a refresh is under way waits for that one.
 *
 *   1. store_refresh_begin(): the intent is durable, the refresh token unsealed.   (I4)
 *   2. The refresh is sent; the refresh token is wiped when the answer is there.
 *   3. store_refresh_finish(): a rotated refresh token and the record are durable.  (I4)
 *   4. Only then does the access token exist for anyone; the waits are answered.
 *
 *   invalid_grant: the token before the last rotation, if one is kept, is tried once; then the grant is dead,
 *   kept, and said so (I6). Anything else is not terminal: the state is "waiting", until a time that grows
 * with jitter; an ambiguous failure waits longest, since a retry with a rotated token could end the grant.
 *
 * When step 3 fails for want of room, the tokens are kept and step 3 alone is tried again.
 *
 * A result applies only to the generation it was begun with: a grant that was removed meanwhile is gone, and
 * its slots with it. */

#include "broker/bucket.h"
#include "broker/bus.h"
#include "broker/lwa.h"
#include "util/list.h"

struct grant;
struct renewal_wait;
struct store_op;
struct timer;

enum renewal_state {
    RENEWAL_IDLE,    /* no token, none asked for */
    RENEWAL_FRESH,   /* a token that is not yet inside the margin */
    RENEWAL_RUNNING, /* a refresh is under way */
    RENEWAL_WAITING, /* it failed; not before next_try_usec */
};

enum renewal_result {
    RENEWAL_OK,            /* the grant's token satisfies */
    RENEWAL_DEAD,          /* invalid_grant: log in again */
    RENEWAL_UNAVAILABLE,   /* transient; see next_try_usec */
    RENEWAL_MISCONFIGURED, /* the provider refuses this client */
    RENEWAL_STORE,         /* the store cannot write: no refresh is made (I4) */
};

struct renewal {
    enum renewal_state state;
    struct list waits;
    struct store_op *op;
    struct lwa_request *request;
    struct timer *timer;      /* of the next renewal ahead of expiry, or of the next try */
    struct lwa_tokens tokens; /* between the provider's answer and its being durable */
    bool uses_previous;
    bool is_wanted;                /* someone asked for the current token: renew it ahead of its expiry */
    unsigned failures;             /* in a row */
    enum lwa_outcome error;        /* of the last try; LWA_OK */
    enum renewal_result failed_as; /* while waiting: what is answered until the next try */
    uint64_t sent_usec;
    uint64_t next_try_usec;
    uint64_t refreshes;    /* since start */
    struct bucket reports; /* how often apps may have it renewed by ReportRejected */
};

void renewal_init(struct renewal *r);
/* Drops all that is under way; waits that are still there are answered RENEWAL_DEAD. */
void renewal_deinit(struct grant *grant);

typedef void (*renewal_callback)(enum renewal_result result, void *userdata);

enum { RENEWAL_ANSWERED = 1 };

/* Sees to it that the grant has a token that is valid for min_valid_usec more. RENEWAL_ANSWERED with
 * *ret_result and no slot when that is decided now (a token inside the margin is served, and renewed behind
 * it); 0 when the callback will run; or a negative errno. */
int renewal_ensure(struct grant *grant, uint64_t min_valid_usec, renewal_callback callback, void *userdata,
                   enum renewal_result *ret_result, struct renewal_wait **ret) _must_check_;
/* The API refused the current token: renews it, whatever its age. As renewal_ensure(). */
int renewal_force(struct grant *grant, renewal_callback callback, void *userdata,
                  enum renewal_result *ret_result, struct renewal_wait **ret) _must_check_;
/* Whether renewal_force() would send a refresh: none is under way, nor is it decided what the answer is. */
bool renewal_would_refresh(const struct grant *grant);
void renewal_wait_drop(struct renewal_wait *wait);
DEFINE_CLEANUP(struct renewal_wait, renewal_wait_drop);

/* For status: fresh, renewing, waiting, idle, dead, unproven, foreign. */
const char *renewal_state_name(const struct grant *grant);
/* A refresh token may be on its way from the provider to the store: not the moment to end. */
bool renewal_is_under_way(const struct grant *grant);
/* Seconds until the next try after a failure, rounded up. */
unsigned renewal_next_try_sec(const struct grant *grant);
/* The grant was made with another client id or endpoint than is configured now: its refresh token is for
 * another, and is not sent. */
bool renewal_is_foreign(const struct grant *grant);
