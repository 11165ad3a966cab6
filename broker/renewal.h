/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Keeps one grant's access token fresh. Single flight: whoever needs a token while a refresh is under way
 * waits for that one. refresh.c makes the refresh itself, from the intent to the durable token; here is who
 * asks for one, and when.
 *
 *                 asked for                          durable
 *    idle -----------------------> renewing ------------------------> fresh
 *     ^                            ^ |  | \                            | |
 *     |                  next try, | |  |  `--- invalid_grant --> dead | |
 *     |                  released  | |  |                              | |
 *     |                            | |  `<------- margin, wanted ------' |
 *     |   nobody wants it          | v anything else                     |
 *     `-------------------------- waiting ("clock": the same, where      |
 *     ^                            our own clock may be the reason)      |
 *     `------------------------- runs out, nobody wants it -------------'
 *
 *   A token is wanted for RENEWAL_WANTED_LIFETIMES after the last call that asked for it: within a working
 * day no app waits for a renewal. Beside these, as status shows them: unproven (a login is being proven, with
 * the same states below), and foreign (made for another client id or endpoint than is configured now).
 *
 *   Waiting ends at next_try_usec. It ends sooner for trouble that is shared (trouble.h) when the provider
 * answers another grant after it had stopped to answer (provider.h), when the clock is set and that was the
 * reason, and when the configuration is re-read; but never before floor_usec, which an ambiguous failure and
 * a Retry-After set. Recovery is logged once, and announced to the owner's apps by AccountsChanged, since
 * calls may have failed meanwhile.
 *
 * A result applies only to the generation it was begun with: a grant that was removed meanwhile is gone, and
 * its slots with it. */

#include "broker/bucket.h"
#include "broker/bus.h"
#include "broker/call.h"
#include "broker/lwa.h"
#include "broker/trouble.h"
#include "util/list.h"

struct broker;
struct grant;
struct renewal_wait;
struct store_op;
struct timer;

enum renewal_state {
    RENEWAL_IDLE,    /* no token, none asked for */
    RENEWAL_FRESH,   /* a token that is not yet inside the margin */
    RENEWAL_RUNNING, /* a refresh is under way */
    RENEWAL_WAITING, /* it failed, or has to wait for its turn; not before next_try_usec */
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
    uint64_t since_usec; /* of the state; while in trouble, of the trouble */
    struct list waits;
    struct store_op *op;
    struct lwa_request *request;
    struct timer *timer;      /* of the next renewal ahead of expiry, or of the next try */
    struct lwa_tokens tokens; /* between the provider's answer and its being durable */
    bool uses_previous;
    bool is_probe; /* it names fewer scopes, to see what comes of that: its token is for nobody (refresh.h) */
    struct {
        const char *scope;
        void (*callback)(enum lwa_outcome outcome, const struct secret *access, void *userdata);
        void *userdata;
    } probe;
    bool is_queued;                /* waits hang on the timer: a refresh that begins a little later */
    bool is_tried;                 /* since the start of the broker */
    uint64_t due_usec;             /* what the timer was set for last */
    uint64_t asked_usec;           /* when someone last asked for the current token; 0: nobody */
    uint64_t asked_valid_usec;     /* the longest validity that is asked for; halves with each token */
    unsigned failures;             /* in a row */
    enum lwa_outcome error;        /* of the last try; LWA_OK */
    enum trouble trouble;          /* why it waits, or waited before this try; none once it is fresh */
    enum renewal_result failed_as; /* while waiting: what is answered until the next try */
    uint64_t sent_usec;
    uint64_t next_try_usec;
    uint64_t floor_usec;                 /* no try before, whatever happens */
    uint64_t refreshed_usec;             /* the last success; 0: none since the start */
    uint64_t provider_epoch;             /* see provider.h */
    uint64_t refreshes;                  /* since start */
    char for_request[CALL_REQUEST_SIZE]; /* of the call that the refresh is made for; "" for none */
    struct bucket reports;               /* how often apps may have it renewed by ReportRejected */
};

void renewal_init(struct renewal *r);
/* Drops all that is under way; waits that are still there are answered RENEWAL_DEAD. */
void renewal_deinit(struct grant *grant);

typedef void (*renewal_callback)(enum renewal_result result, void *userdata);

enum { RENEWAL_ANSWERED = 1 };

/* Sees to it that the grant has a token that is valid for min_valid_usec more. RENEWAL_ANSWERED with
 * *ret_result and no slot when that is decided now (a token inside the margin is served, and renewed behind
 * it); 0 when the callback will run; or a negative errno. A refresh that begins for it is on the trail as of
 * the call `request`, "" for none. */
int renewal_ensure(struct grant *grant, uint64_t min_valid_usec, const char *request,
                   renewal_callback callback, void *userdata, enum renewal_result *ret_result,
                   struct renewal_wait **ret) _must_check_;
/* The API refused the current token: renews it, whatever its age. As renewal_ensure(). */
int renewal_force(struct grant *grant, const char *request, renewal_callback callback, void *userdata,
                  enum renewal_result *ret_result, struct renewal_wait **ret) _must_check_;
/* Whether renewal_force() would send a refresh: none is under way, nor is it decided what the answer is. */
bool renewal_would_refresh(const struct grant *grant);
void renewal_wait_drop(struct renewal_wait *wait);
DEFINE_CLEANUP(struct renewal_wait, renewal_wait_drop);

/* The provider answers again: what waits for it goes on, spread a little. */
void renewals_release(struct broker *broker);
/* The configuration was re-read: what it waited for may be mended. */
void renewals_reconfigured(struct broker *broker);
/* As the callback of wallclock.h. */
void renewals_clock_was_set(struct broker *broker);

/* For status: fresh, renewing, waiting, clock, idle, dead, unproven, foreign. */
const char *renewal_state_name(const struct grant *grant);
/* A refresh token may be on its way from the provider to the store: not the moment to end. */
bool renewal_is_under_way(const struct grant *grant);
/* Seconds until the next try after a failure, rounded up. */
unsigned renewal_next_try_sec(const struct grant *grant);
/* A clause for people on why the grant waits; "; the next try is due in 5 s." can follow. */
const char *renewal_trouble_text(const struct grant *grant);
/* The grant was made with another client id or endpoint than is configured now: its refresh token is for
 * another, and is not sent. */
bool renewal_is_foreign(const struct grant *grant);
