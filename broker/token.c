/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/token.h"

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/disclosure.h"
#include "broker/limits.h"
#include "broker/lwa.h"
#include "broker/notify.h"
#include "broker/peer.h"
#include "broker/verdict.h"
#include "util/clock.h"
#include "util/file.h"

#include <sodium.h>
#include <string.h>

/* --- life -------------------------------------------------------------------------------------------- */

static void token_free(struct token *t)
{
    while (!list_is_empty(&t->disclosures))
        disclosure_free(LIST_ENTRY(t->disclosures.next, struct disclosure, node));
    list_remove(&t->node);
    close_fd(t->memfd);
    free(t);
}

static bool is_in_use(const struct token *t)
{
    if (t->is_current || !list_is_empty(&t->holds))
        return true;
    bool is_good = t->expires_usec > boottime_usec();
    struct disclosure *d;
    LIST_FOREACH (d, &t->disclosures, node)
        if (disclosure_is_open(d) || (d->is_over && is_good))
            return true;
    return false;
}

static void free_if_unused(struct token *t)
{
    if (!is_in_use(t))
        token_free(t);
}

static void make_id(char id[TOKEN_ID_SIZE])
{
    unsigned char random[(TOKEN_ID_SIZE - 1) / 2];
    randombytes_buf(random, sizeof(random));
    (void)sodium_bin2hex(id, TOKEN_ID_SIZE, random, sizeof(random));
}

int token_new(struct grant *grant, const struct secret *access, uint64_t sent_usec, uint32_t expires_in_sec,
              struct scope_set carries, struct scope_set may_carry, struct token **ret)
{
    struct broker *broker = grant->broker;
    struct token *t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    int r = file_new_sealed("lwa-token", secret_bytes(access), secret_size(access), &t->memfd);
    if (r < 0) {
        free(t);
        return r;
    }
    t->broker = broker;
    t->grant = grant;
    make_id(t->id);
    store_fingerprint(broker->store, secret_bytes(access), secret_size(access), t->fingerprint);
    t->carries = carries;
    t->may_carry = may_carry;
    t->expires_usec = sent_usec + expires_in_sec * USEC_PER_SEC;
    list_init(&t->disclosures);
    list_init(&t->holds);
    t->is_current = true;
    list_append(&broker->tokens, &t->node);

    if (grant->token)
        token_retire(grant->token);
    grant->token = t;
    *ret = t;
    return 0;
}

void token_retire(struct token *token)
{
    if (token->grant && token->grant->token == token)
        token->grant->token = NULL;
    token->is_current = false;
    token->memfd = close_fd(token->memfd);
    free_if_unused(token);
}

int token_open(const struct token *token, int *ret_fd)
{
    return file_reopen(token->memfd, ret_fd);
}

int token_read(const struct token *token, struct secret **ret)
{
    char bytes[LWA_TOKEN_BYTES_MAX];
    ssize_t n = pread(token->memfd, bytes, sizeof(bytes), 0);
    int r = n > 0 ? secret_new(bytes, (size_t)n, ret) : -EIO;
    secret_wipe(bytes, sizeof(bytes));
    return r;
}

/* --- holders ----------------------------------------------------------------------------------------- */

/* The token stays, even if this was its last holder. */
static void end_hold(struct hold *h)
{
    list_remove(&h->in_token);
    list_remove(&h->in_peer);
    h->peer->n_holds--;
    free(h);
}

static void hold_free(struct hold *h)
{
    struct token *token = h->token;
    end_hold(h);
    free_if_unused(token);
}

static const struct account *account_of(const struct hold *h)
{
    return h->token->grant ? h->token->grant->account : NULL;
}

/* What this holder may have by the broker's own verdict now. */
static void judge(const struct hold *h, struct verdicts *ret)
{
    verdict_of(h->token->broker, &h->peer->identity, account_of(h), ret);
}

static bool may_carry_more_than(const struct token *t, struct scope_set allowed)
{
    return !scope_set_is_subset(catalogue_expand(t->broker->catalogue, t->may_carry), allowed);
}

static bool is_by_table(const struct hold *h)
{
    return !may_carry_more_than(
        h->token, verdict_allowed_by_table(h->token->broker, &h->peer->identity, account_of(h)));
}

int token_hold(struct token *token, struct peer *peer)
{
    struct hold *h;
    LIST_FOREACH (h, &peer->holds, in_peer)
        if (h->token == token)
            return 0;
    h = calloc(1, sizeof(*h));
    if (!h)
        return -ENOMEM;
    h->token = token;
    h->peer = peer;
    h->is_by_table = is_by_table(h);
    h->checked_epoch = token->broker->polkit_epoch;
    list_append(&token->holds, &h->in_token);
    list_append(&peer->holds, &h->in_peer);
    peer->n_holds++;
    if (peer->n_holds > LIMIT_HOLDS_PER_PEER)
        hold_free(LIST_ENTRY(peer->holds.next, struct hold, in_peer));
    return 0;
}

struct token *token_find_held(struct peer *peer, const char *id)
{
    struct hold *h;
    LIST_FOREACH (h, &peer->holds, in_peer)
        if (strcmp(h->token->id, id) == 0)
            return h->token;
    return NULL;
}

void token_release_all(struct peer *peer)
{
    while (!list_is_empty(&peer->holds))
        hold_free(LIST_ENTRY(peer->holds.next, struct hold, in_peer));
}

/* What it was given of the token is over: with leave, it is a new disclosure. */
static void revoke_hold(struct hold *h, const char *reason)
{
    const struct identity *id = &h->peer->identity;
    struct disclosure *d = disclosure_find(h->token, id->app, id->uid);
    if (d)
        disclosure_end(d, true);
    notify_token_revoked(h->peer, h->token->id, reason);
    end_hold(h);
}

static void release_holds(struct token *token)
{
    while (!list_is_empty(&token->holds))
        end_hold(LIST_ENTRY(token->holds.next, struct hold, in_token));
}

void token_revoke(struct token *token, const char *reason)
{
    struct disclosure *d;
    while (!list_is_empty(&token->holds))
        revoke_hold(LIST_ENTRY(token->holds.next, struct hold, in_token), reason);
    LIST_FOREACH (d, &token->disclosures, node)
        disclosure_end(d, false);
    free_if_unused(token);
}

void token_revoke_held(struct token *token, struct peer *peer, const char *reason)
{
    struct hold *h, *after;
    LIST_FOREACH_SAFE (h, after, &token->holds, in_token)
        if (h->peer == peer)
            revoke_hold(h, reason);
    free_if_unused(token);
}

void tokens_revoke_denied(struct broker *broker, const char *reason)
{
    struct token *t, *after;
    LIST_FOREACH_SAFE (t, after, &broker->tokens, node) {
        struct hold *h, *next;
        LIST_FOREACH_SAFE (h, next, &t->holds, in_token) {
            bool was_by_table = h->is_by_table;
            struct verdicts verdicts;
            judge(h, &verdicts);
            h->is_by_table = is_by_table(h);
            if (may_carry_more_than(t, authorize_not_denied(h->peer, &verdicts)) ||
                (was_by_table && may_carry_more_than(t, verdicts.allow)))
                revoke_hold(h, reason);
        }
        free_if_unused(t);
    }
}

/* What apps have of it that do not hold it any more, as far as the broker knows: who comes back for it is on
 * the trail anew. Of those that may go on holding it the facts are not known, so they are among these. */
static void end_disclosures(struct token *t, const char *app)
{
    struct disclosure *d;
    LIST_FOREACH (d, &t->disclosures, node)
        if (!d->is_over && (!app[0] || strcmp(d->app, app) == 0))
            disclosure_end(d, false);
}

void tokens_revoke_unconsented(struct broker *broker, const struct account *account, const char *app)
{
    struct token *t, *after;
    LIST_FOREACH_SAFE (t, after, &broker->tokens, node) {
        if (!t->grant || t->grant->account != account)
            continue;
        struct hold *h, *next;
        LIST_FOREACH_SAFE (h, next, &t->holds, in_token) {
            struct verdicts verdicts;
            if (app[0] && strcmp(h->peer->identity.app, app) != 0)
                continue;
            judge(h, &verdicts);
            if (may_carry_more_than(t, verdicts.allow))
                revoke_hold(h, "consent");
        }
        end_disclosures(t, app);
        free_if_unused(t);
    }
}

/* --- housekeeping ------------------------------------------------------------------------------------ */

void tokens_flush_repeats(struct broker *broker)
{
    struct token *t, *after;
    LIST_FOREACH_SAFE (t, after, &broker->tokens, node) {
        struct disclosure *d;
        LIST_FOREACH (d, &t->disclosures, node)
            disclosure_flush(broker, d);
        free_if_unused(t);
    }
}

void tokens_prune(struct broker *broker)
{
    uint64_t now = boottime_usec();
    struct token *t, *after;
    LIST_FOREACH_SAFE (t, after, &broker->tokens, node) {
        if (t->expires_usec > now)
            continue;
        release_holds(t);
        if (t->is_current)
            token_retire(t);
        else
            free_if_unused(t);
    }
}

void tokens_free(struct broker *broker)
{
    while (!list_is_empty(&broker->tokens))
        token_free(LIST_ENTRY(broker->tokens.next, struct token, node));
}
