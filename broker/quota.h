/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who causes how much (I9). What is held, and how often is called, is counted in a tree:
 *
 *     all  <-  user  <-  app  <-  connection
 *     all  <-  strangers  <-  connection, until it is known whose it is
 *
 * - What a connection causes holds a charge: a charge counts at its own place and at all above it, each of
 *   which has a limit, and is released once, by whoever holds it.
 * - Users and apps have a token bucket each for their calls. Both outlive the connection: who leaves and
 *   comes back finds them as he left them. A place is forgotten when nothing is held there and its buckets
 *   are full, so that forgetting changes nothing.
 * - A user's apps beyond LIMIT_QUOTAS_PER_UID share one place, that of the app "*": whoever runs ever new
 *   sandboxes, or pretends to, takes no place from other users.
 * - Strangers share one bucket, into which is put back what one of them took when he is known and pays for it
 *   himself. Who leaves before that, or cannot pay, has it taken from the strangers; when their bucket is
 *   empty, each connection still has a few calls, so that nobody is kept from becoming known. They can hold
 *   half of everything: when the name service hangs and nobody becomes known, who is already known is still
 *   served.
 *
 * The limits are those of [limits]; a change holds for the next charge, and other rates begin with full
 * buckets. */

#include "broker/bucket.h"
#include "broker/config.h"
#include "broker/identity.h"
#include "util/list.h"

enum quota_kind { QUOTA_CALLS, QUOTA_CONNECTIONS, QUOTA_LOGINS, QUOTA_KINDS };
enum quota_level { QUOTA_ALL, QUOTA_STRANGERS, QUOTA_USER, QUOTA_APP, QUOTA_CONNECTION, QUOTA_LEVELS };

struct quota {
    struct quotas *quotas;
    struct quota *parent; /* NULL for all */
    enum quota_level level;
    unsigned n[QUOTA_KINDS]; /* held here and below */
    unsigned n_children;     /* apps of a user */
    unsigned n_spent;        /* units that a connection took as a stranger */
    struct bucket rate;      /* of strangers, users and apps */
    struct bucket refusals;  /* of strangers and users */
    struct bucket changes;   /* of users */
    struct list node;        /* users and apps: in quotas->known */
    uid_t uid;
    char app[IDENTITY_APP_SIZE]; /* "" for a user */
};

struct quotas {
    struct config_limits limits;
    struct quota all;
    struct quota strangers;
    struct list known;
    unsigned n_known;
};

/* Something held. Zeroed, it holds nothing. */
struct charge {
    struct quota *quota;
    enum quota_kind kind;
};

/* Why not, for the one function that words it. */
struct refusal {
    const char *what;   /* "This app calls too often" */
    const char *remedy; /* of a count: what to end; NULL where waiting helps */
    unsigned n;         /* of a count */
    uint64_t wait_usec;
    enum quota_level level;
};

#define REFUSAL_SENTENCE_SIZE 192

/* The sentence of every RateLimited: when to come back, or what to end first. */
void refusal_explain(const struct refusal *refusal, char ret[REFUSAL_SENTENCE_SIZE]);

void quotas_init(struct quotas *q, const struct config_limits *limits);
void quotas_set_limits(struct quotas *q, const struct config_limits *limits);
unsigned quotas_count(const struct quotas *q, enum quota_kind kind);
/* Forgets users and apps that are at rest. */
void quotas_prune(struct quotas *q, uint64_t now_usec);
/* At the end: nothing may be held any more. */
void quotas_free(struct quotas *q);

/* A connection, which is a stranger. */
void quota_init(struct quotas *q, struct quota *connection);
enum { QUOTA_E_SPENT = 1 };

/* It is known whose the connection is: what it holds and what it took counts there. QUOTA_E_SPENT with
 * *ret_refusal when its app or user has no units left, and what it has asked is to be refused. -EUSERS with
 * *ret_refusal when this user has too many connections, or too many users are known: it stays a stranger. Or
 * -ENOMEM. */
int quota_identify(struct quota *connection, const struct identity *identity, uint64_t now_usec,
                   struct refusal *ret_refusal) _must_check_;

/* -EUSERS with *ret_refusal when a limit is met, from the connection upwards. */
int quota_charge(struct quota *quota, enum quota_kind kind, struct charge *ret,
                 struct refusal *ret_refusal) _must_check_;
/* Harmless when nothing is held. */
void charge_release(struct charge *charge);

/* Takes units from the connection's app and user, from both or from none: then -EUSERS with *ret_refusal. */
int quota_take(struct quota *connection, unsigned units, uint64_t now_usec,
               struct refusal *ret_refusal) _must_check_;
/* The connection's app has another name now: what the connection holds counts there. What hangs from the app
 * itself (its logins) stays, as does the connection when there is no room. */
void quota_rename(struct quota *connection, const struct identity *identity, uint64_t now_usec);
/* For what was known to be dear only when it was done. */
void quota_force(struct quota *connection, unsigned units, uint64_t now_usec);
/* For a change that is put on the trail, of which root makes as many as he likes: however slowly a user makes
 * them, he is not to push out what others did. -EUSERS with *ret_refusal when there were too many. */
int quota_take_change(struct quota *connection, uint64_t now_usec, struct refusal *ret_refusal) _must_check_;
/* Whether a refusal is answered: answers that nobody reads are what a flood is made of. */
bool quota_answers_refusal(struct quota *connection, uint64_t now_usec);
