/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Grants and the tokens made from them. Nothing is ever forgotten before a reset: tests search memory and
 * logs for every token there has been. A grant lives as long as the ledger, and so do its tokens. */

#include "tests/sim/customers.h"

struct client {
    const char *id;
    const char *secret; /* NULL for a device's client */
};

struct grant {
    struct list node;
    unsigned id;
    const struct client *client;
    struct customer *customer;
    uint64_t scopes; /* as consented to, not expanded */
    bool is_revoked;
    unsigned n_refreshes;
    struct token *refresh; /* the newest, NULL for none */
};

struct token {
    struct list node;
    char *value;
    bool is_refresh;
    bool is_dead;          /* superseded (refresh) or expired by hand (access) */
    struct grant *grant;   /* NULL for one that a fault made up */
    uint64_t scopes;       /* of access tokens: what the grant carries, or less of it */
    int64_t born_sec;      /* wall clock */
    uint64_t expires_usec; /* boot time; of access tokens */
};

struct ledger {
    struct list grants;
    struct list tokens;
    void *by_value; /* a tree of tsearch() */
    unsigned n_grants;
    unsigned n_tokens;
};

void ledger_init(struct ledger *l);
void ledger_deinit(struct ledger *l);

struct grant *ledger_add_grant(struct ledger *l, const struct client *client, struct customer *customer,
                               uint64_t scopes);
struct token *ledger_add_refresh(struct ledger *l, struct grant *grant);
struct token *ledger_add_access(struct ledger *l, struct grant *grant, uint32_t lifetime_sec);
/* Remembers a token that belongs to nobody. */
void ledger_add_stray(struct ledger *l, const char *value, bool is_refresh);

/* Any token ever made, or NULL. */
struct token *ledger_find(struct ledger *l, const char *value);
/* The access token if it still opens something, or NULL. */
struct token *ledger_find_access(struct ledger *l, const char *value);
void ledger_expire_access(struct ledger *l);
/* Revokes the grants of a customer; returns how many were alive. */
unsigned ledger_revoke_customer(struct ledger *l, const struct customer *customer);
