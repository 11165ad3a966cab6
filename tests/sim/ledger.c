/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/ledger.h"

#include "tests/sim/memory.h"
#include "tests/sim/random.h"
#include "util/clock.h"

#include <search.h>
#include <string.h>

/* Sizes as seen at LWA. */
#define ACCESS_RANDOM_CHARS 350
#define REFRESH_RANDOM_CHARS 400

static int token_compare(const void *a, const void *b)
{
    return strcmp(((const struct token *)a)->value, ((const struct token *)b)->value);
}

static void keep(void *node _unused_)
{
    /* The tree owns nothing: the list of tokens does. */
}

void ledger_init(struct ledger *l)
{
    *l = (struct ledger){.by_value = NULL};
    list_init(&l->grants);
    list_init(&l->tokens);
}

void ledger_deinit(struct ledger *l)
{
    struct grant *grant, *grant_after;
    struct token *token, *token_after;

    tdestroy(l->by_value, keep);
    LIST_FOREACH_SAFE (token, token_after, &l->tokens, node) {
        free(token->value);
        free(token);
    }
    LIST_FOREACH_SAFE (grant, grant_after, &l->grants, node)
        free(grant);
    ledger_init(l);
}

struct grant *ledger_add_grant(struct ledger *l, const struct client *client, struct customer *customer,
                               uint64_t scopes)
{
    struct grant *grant = must(calloc(1, sizeof(*grant)));

    grant->id = ++l->n_grants;
    grant->client = client;
    grant->customer = customer;
    grant->scopes = scopes;
    list_append(&l->grants, &grant->node);
    return grant;
}

/* Takes the value over. */
static struct token *ledger_add(struct ledger *l, struct grant *grant, char *value, bool is_refresh)
{
    struct token *token = must(calloc(1, sizeof(*token)));

    token->value = value;
    token->is_refresh = is_refresh;
    token->grant = grant;
    token->scopes = grant ? grant->scopes : 0;
    token->born_sec = wall_sec();
    list_append(&l->tokens, &token->node);
    l->n_tokens++;
    must(tsearch(token, &l->by_value, token_compare));
    return token;
}

struct token *ledger_add_refresh(struct ledger *l, struct grant *grant)
{
    struct token *token = ledger_add(l, grant, random_token("Atzr|", REFRESH_RANDOM_CHARS), true);

    grant->refresh = token;
    return token;
}

struct token *ledger_add_access(struct ledger *l, struct grant *grant, uint32_t lifetime_sec)
{
    struct token *token = ledger_add(l, grant, random_token("Atza|", ACCESS_RANDOM_CHARS), false);

    token->expires_usec = boottime_usec() + lifetime_sec * USEC_PER_SEC;
    return token;
}

void ledger_add_stray(struct ledger *l, const char *value, bool is_refresh)
{
    struct token *token = ledger_add(l, NULL, must(strdup(value)), is_refresh);

    token->is_dead = true;
}

struct token *ledger_find(struct ledger *l, const char *value)
{
    struct token key = {.value = (char *)value};
    struct token **found = tfind(&key, &l->by_value, token_compare);

    return found ? *found : NULL;
}

struct token *ledger_find_access(struct ledger *l, const char *value)
{
    struct token *token = ledger_find(l, value);

    if (!token || token->is_refresh || token->is_dead || boottime_usec() >= token->expires_usec)
        return NULL;
    return token;
}

void ledger_expire_access(struct ledger *l)
{
    struct token *token;

    LIST_FOREACH (token, &l->tokens, node)
        if (!token->is_refresh)
            token->is_dead = true;
}

unsigned ledger_revoke_customer(struct ledger *l, const struct customer *customer)
{
    struct grant *grant;
    unsigned n = 0;

    LIST_FOREACH (grant, &l->grants, node)
        if (grant->customer == customer && !grant->is_revoked) {
            grant->is_revoked = true;
            n++;
        }
    return n;
}
