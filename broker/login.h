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
#include "dbus/names.h"
#include "policy/scope.h"
#include "util/list.h"

#include <stdint.h>

struct broker;
struct login;
struct peer;

struct login_flow {
    const char *name;
    /* Begins the work of the flow; 0 or a negative errno. */
    int (*start)(struct login *login);
};

extern const struct login_flow login_flow_device;

enum login_state { LOGIN_STARTING, LOGIN_WAITING, LOGIN_EXCHANGING, LOGIN_PROVING, LOGIN_DONE };

struct login {
    struct list in_peer; /* peer->logins */
    struct broker *broker;
    struct peer *peer; /* NULL when the creator left while the refresh token was being stored */
    struct charge charge;
    const struct login_flow *flow;
    uint64_t number;
    char path[64];
    enum login_state state;

    /* What was asked for. */
    struct scope_set scopes; /* canonical */
    struct owner owner;
    char target[LWA_ACCOUNT_ID_BYTES_MAX + 1]; /* account to extend, "" for none */
    char *label;                               /* "" for none */
    char *locale;                              /* NULL for none */
    char *scope_data;                          /* NULL for none */
    char *endpoint; /* as configured when it began: what the grant will be bound to */
    char *client_id;

    /* What is under way. */
    struct lwa_request *request;
    struct timer *timer;
    struct store_op *op;
    bool is_cancelled; /* while the refresh token is being stored: it is removed again after that */
    struct grant *proving_grant;

    /* Of the device flow. */
    struct lwa_code_pair pair;
    uint32_t interval_sec;
    uint64_t expires_usec;
    int64_t expires_sec;
};

/* A new request of this peer, in state `starting`; its flow has not begun. -EUSERS with *ret_refusal beyond
 * the limits; or -ENOMEM. */
int login_new(struct peer *peer, const struct login_flow *flow, struct login **ret,
              struct refusal *ret_refusal) _must_check_;
/* Its creator has left: what the person has already agreed to is still proven, everything else ends. */
void login_abandon(struct login *login);
/* Its creator wants no login. One whose account is being written comes too late: it ends as `linked`. */
void login_cancel(struct login *login);

/* For flows. */
void login_set_state(struct login *login, enum login_state state);
/* Ends it without an account: writes the trail, tells the creator, and frees it. */
void login_fail(struct login *login, enum login_reason reason);
/* The flow has a refresh token: stores it, proves it, finishes. Takes the token. */
void login_exchange(struct login *login, struct secret *refresh_token);

/* The request on this path, if it is this peer's. */
struct login *login_find(struct peer *peer, const char *path);
bool login_write_properties(struct login *login, struct writer *w, const char *name);
