/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A connection that has called us, from its first call until its unique name vanishes from the bus.
 * Everything that exists because of it hangs from here and dies with it: its calls, the decisions remembered
 * for it, the tokens it holds, its logins. One from which nothing hangs may be forgotten when there is no
 * room for another: its next call makes it anew. */

#include "broker/authorize.h"
#include "broker/identity.h"
#include "broker/quota.h"
#include "util/list.h"

#include <stdint.h>

#define PEER_NAME_SIZE 256

struct broker;
struct call;

struct peer {
    struct broker *broker;
    struct list by_use; /* in broker->peers_by_use, the one that called last is the last */
    struct quota quota;
    struct charge tracked;
    struct identity_lookup *lookup; /* while it is not known who this is */
    bool is_known;
    const char *why_refused;     /* could not be identified, of which only the uid may be known */
    uint64_t refused_until_usec; /* then its next call has it looked at again */
    struct identity identity;
    struct list calls;     /* struct call, all of them */
    struct list decisions; /* struct decision, newest last */
    struct list holds;     /* struct hold, newest last */
    unsigned n_holds;
    struct list logins;          /* struct login */
    bool wants_accounts_changed; /* holds or asked for a token */
    bool wants_attention;        /* called Accounts1.List */
    char name[PEER_NAME_SIZE];   /* unique name, ":1.42" */
};

/* The peer of this sender, who calls now; made and looked up if it is new. -EUSERS with *ret_refusal when too
 * many hold something; or another negative errno. */
int peer_get(struct broker *broker, const char *sender, struct peer **ret,
             struct refusal *ret_refusal) _must_check_;
/* The peer of this sender if it has called, else NULL. */
struct peer *peer_find(struct broker *broker, const char *sender);
/* The name left the bus: drops all that hangs from it, its calls unanswered. */
void peer_vanished(struct broker *broker, const char *sender);
/* The table was read anew: it may name other units. */
void peers_name_again(struct broker *broker);
/* At the end: all peers. */
void peers_free(struct broker *broker);

/* Calls `visit` for every peer. The visitor must not add or remove peers. */
void peers_foreach(struct broker *broker, void (*visit)(struct peer *peer, void *userdata), void *userdata);
