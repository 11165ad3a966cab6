/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An access token: its bytes live in one sealed memory file and nowhere else in this process. Each delivery
 * is a fresh read-only open of that file.
 *
 * A token knows to whom it was disclosed (per app: the first time is a disclosure, later ones are counted)
 * and which connections hold it. It stays known after it was replaced for as long as someone holds it and it
 * has not run out, so that holders can be told and old ids are still recognised. */

#include "broker/audit.h"
#include "broker/secret.h"
#include "policy/scope.h"
#include "util/list.h"

#include <stdint.h>

#define TOKEN_ID_SIZE 33

struct account;
struct broker;
struct grant;
struct peer;

struct token {
    struct list node; /* in broker->tokens */
    struct broker *broker;
    struct grant *grant;    /* NULL when the grant is gone */
    char id[TOKEN_ID_SIZE]; /* hex; names the token without revealing it */
    int memfd;              /* -1 once replaced */
    unsigned char fingerprint[AUDIT_FINGERPRINT_BYTES];
    struct scope_set carries;
    struct scope_set may_carry;
    uint64_t expires_usec;   /* boot time, counted from when the refresh was sent */
    struct list disclosures; /* struct disclosure */
    struct list holds;       /* struct hold */
    bool is_current;
    uint64_t checked_epoch; /* all that hold it have been asked about, see recheck.h */
};

/* A connection holds a token. */
struct hold {
    struct list in_token;
    struct list in_peer;
    struct peer *peer;
    struct token *token;
    bool is_by_table; /* grants.d allowed all of it, without asking anyone, when that was last looked at */
    uint64_t checked_epoch;
};

/* Makes it the grant's current token; the one before is retired. The secret stays the caller's. */
int token_new(struct grant *grant, const struct secret *access, uint64_t sent_usec, uint32_t expires_in_sec,
              struct scope_set carries, struct scope_set may_carry, struct token **ret) _must_check_;
/* No longer the grant's current one. */
void token_retire(struct token *token);
/* A fresh read-only descriptor of the token's file. */
int token_open(const struct token *token, int *ret_fd) _must_check_;
/* The bytes once more, for a request of the broker's own. */
int token_read(const struct token *token, struct secret **ret) _must_check_;
/* The peer has it now. Forgets the oldest one beyond LIMIT_HOLDS_PER_PEER. */
int token_hold(struct token *token, struct peer *peer) _must_check_;
/* The token of this id, if this peer holds it; else NULL. */
struct token *token_find_held(struct peer *peer, const char *id);
void token_release_all(struct peer *peer);

/* Tells the holders that it was revoked and forgets them; frees the token if nothing else needs it. `reason`
 * as in org.lwabroker.Broker1.xml. */
void token_revoke(struct token *token, const char *reason);
/* The same for one that holds it. */
void token_revoke_held(struct token *token, struct peer *peer, const char *reason);
/* After a change of the table: tells the holders that may not hold their token any more, and forgets them:
 * that are denied something of it, or had it by the table alone and would have to ask now. */
void tokens_revoke_denied(struct broker *broker, const char *reason);
/* After the owner of the account took an answer back: the same for this app ("": every app), where its token
 * may carry something that the broker's own verdict does not allow now. */
void tokens_revoke_unconsented(struct broker *broker, const struct account *account, const char *app);
/* Writes the counts of repeated deliveries that have changed to the store. */
void tokens_flush_repeats(struct broker *broker);
/* Drops what has run out. */
void tokens_prune(struct broker *broker);
void tokens_free(struct broker *broker);
