/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One login request: the object /org/lwabroker/Broker1/login/N, which exists for the connection that began it
 * and for nobody else (who reads a user code first could link his own account), and dies with it.
 *
 *   starting -> waiting -> exchanging -> proving -> done
 *
 * How a login is made is its flow's business (login-device.c); this is what all flows share. */

#include "broker/call.h"
#include "broker/login-reason.h"
#include "broker/lwa.h"
#include "broker/owner.h"
#include "broker/trail.h"
#include "dbus/names.h"
#include "policy/scope.h"
#include "util/list.h"

#include <stdint.h>

struct broker;
struct login;
struct peer;

/* What Begin brings along, read and found to be well formed; NULL for what was not given. */
struct login_options {
    char *label;
    char *locale;
    char *scope_data;
    char *redirect_uri;
    struct secret *token; /* a refresh token */
};

void login_options_clear(struct login_options *options);

struct login_flow {
    const char *name;
    /* What is wrong with these options for this flow, as a sentence; NULL for nothing. */
    const char *(*find_fault)(const struct login_options *options);
    /* Begins the work of the flow, once Begin is answered: 0 (the login may have ended meanwhile) or a
     * negative errno. */
    int (*start)(struct login *login);
    /* Takes what Complete hands in, and answers the call. NULL: the flow has nothing to be handed in. */
    void (*complete)(struct login *login, struct call *call);
    bool is_claimed; /* what the refresh token carries is only said by who brought it */
};

extern const struct login_flow login_flow_device;
extern const struct login_flow login_flow_code;
extern const struct login_flow login_flow_import;

/* NULL for a name that is none. */
const struct login_flow *login_flow_find(const char *name);

enum login_state { LOGIN_STARTING, LOGIN_WAITING, LOGIN_EXCHANGING, LOGIN_PROVING, LOGIN_DONE };

struct login {
    struct list in_peer; /* peer->logins */
    struct broker *broker;
    struct peer *peer; /* NULL when the creator left while the refresh token was being stored */
    struct charge charge;
    struct trail_origin origin; /* the call of Begin */
    const struct login_flow *flow;
    uint64_t number;
    char path[64];
    enum login_state state;

    /* What was asked for. */
    struct scope_set scopes; /* canonical, as are these: what the login turns out to be good for */
    struct scope_set may_carry;
    struct scope_set carries;
    struct owner owner;
    char target[LWA_ACCOUNT_ID_BYTES_MAX + 1]; /* account to extend, "" for none */
    struct login_options options;
    char *endpoint; /* as configured when it began: what the grant will be bound to */
    char *client_id;

    /* What is under way. */
    struct lwa_request *request;
    struct timer *timer;
    struct store_op *op;
    void *reserve;     /* memory for its last signals */
    bool is_cancelled; /* while the refresh token is being stored: it is removed again after that */
    struct grant *proving_grant;

    uint64_t expires_usec; /* of what the person has to do */
    int64_t expires_sec;   /* the same for people; 0 while not known */
    const char *notice;    /* a fixed sentence, NULL for none */

    /* Of the device flow. */
    struct lwa_code_pair pair;
    uint32_t interval_sec;
    /* Of the authorization code flow. */
    struct {
        char *uri;
        struct secret *state;
        struct secret *verifier;
        unsigned n_wrong_states;
    } code;
};

/* A new request of who makes this call, in state `starting`; its flow has not begun. -EUSERS with
 * *ret_refusal beyond the limits; or -ENOMEM. */
int login_new(struct call *call, const struct login_flow *flow, struct login **ret,
              struct refusal *ret_refusal) _must_check_;
/* Without a word: for one that nobody was told of yet. */
void login_free(struct login *login);
/* Its creator has left: what the person has already agreed to is still proven, everything else ends. */
void login_abandon(struct login *login);
/* Its creator wants no login. One whose account is being written comes too late: it ends as `linked`. */
void login_cancel(struct login *login);

/* For flows. */
/* The person has this long from `sent_usec` on; login->timer is the flow's to set. */
void login_set_expiry(struct login *login, uint64_t sent_usec, uint32_t lifetime_sec);
void login_set_state(struct login *login, enum login_state state);
/* Ends it without an account: writes the trail, tells the creator, and frees it. */
void login_fail(struct login *login, enum login_reason reason);
/* The flow has a refresh token: stores it, proves it, finishes. Takes the token. */
void login_exchange(struct login *login, struct secret *refresh_token);

/* The request on this path, if it is this peer's. */
struct login *login_find(struct peer *peer, const char *path);
bool login_write_properties(struct login *login, struct writer *w, const char *name);
