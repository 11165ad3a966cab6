/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The tokens that a handle keeps: pure code, to which the time of CLOCK_BOOTTIME is given.
 *
 * A token is kept for the very scopes and account that were asked for: whether it may be given for others is
 * the broker's to decide. It is given back while it is good for as long as is asked, and for the bound below.
 *
 *        came                renewal              bound              end
 *          |---- given back ----|---- given back ----|---- not given ----|
 *                               `- the dispatch fetches its successor
 *
 * bound: 30 s, or a quarter of its life where that is shorter, as the broker has it; more if more is asked.
 *
 * renewal: a tenth of its life before the end, at most 300 s, at least twice the bound; and up to a quarter
 * of that later, so that not all apps ask at the same moment.
 *
 * A token that nobody has asked for since it came is not renewed: it ends. A renewal that fails is tried
 * again later, and takes nothing away. */

#include "client/library/client.h"
#include "client/library/token.h"

#define CACHE_ENTRIES_MAX 32

/* What is asked for. */
struct cache_ask {
    const char *scope;
    const char *account; /* NULL: the caller's default */
    unsigned min_valid_sec;
};

struct cache_entry {
    struct list link; /* in cache->entries, the last used first */
    struct lwa_token *token;
    struct cache_ask ask; /* the entry's own copies; with the most min_valid that was asked since it came */
    bool is_used;         /* it was asked for since it came */
    bool is_renewing;
    unsigned n_failures;      /* of renewals, in a row */
    uint64_t jitter_usec;     /* by which its renewal begins later */
    uint64_t not_before_usec; /* the renewal, after one that brought nothing */
};

struct cache {
    struct list entries;
    unsigned n_entries;
    /* Grows when something is dropped: what was asked for before is not kept when it comes. */
    unsigned generation;
    uint64_t looked_usec; /* when keeper_look() read last, of CLOCK_MONOTONIC_COARSE */

    /* What the broker says of itself (broker-info.c), NULL while it was not asked. */
    char *broker_version;
    struct strv broker_features;
};

/* cache_new() and cache_free() stand in client.h. */
void cache_drop_all(struct cache *cache);
void cache_forget_broker(struct cache *cache);

/* Borrowed; NULL if none is kept that serves. Makes no system call. */
struct lwa_token *cache_find(struct cache *cache, const struct cache_ask *ask, uint64_t now_usec);
/* Like that, but up to its very end: for when there is no other. */
struct lwa_token *cache_find_last(struct cache *cache, const struct cache_ask *ask, uint64_t now_usec);
/* Takes a reference. `generation` is that of when it was asked for. Without memory it is not kept, which only
 * costs a call later. */
void cache_keep(struct cache *cache, const struct cache_ask *ask, unsigned generation,
                struct lwa_token *token, uint64_t now_usec);
void cache_drop(struct cache *cache, const char *token_id);
/* What was asked for without an account: the caller's default may be another now. */
void cache_drop_defaults(struct cache *cache);

/* When something has to be done: a renewal, or to wipe a token that is over. UINT64_MAX: never. */
uint64_t cache_get_due(const struct cache *cache);
/* Wipes what is over. Then an entry that is to be renewed now, marked so; NULL if there is none. */
struct cache_entry *cache_take_due(struct cache *cache, uint64_t now_usec);
/* What came of it. The successor is kept until somebody asks for it, or it ends. */
void cache_renewed(struct cache *cache, const struct cache_ask *ask, unsigned generation,
                   struct lwa_token *token, uint64_t now_usec);
/* `retry_after_sec`: when the broker wants to be asked again. */
void cache_renewal_failed(struct cache *cache, const struct cache_ask *ask, unsigned retry_after_sec,
                          uint64_t now_usec);

/* The same scopes, in whatever order and however often. */
bool cache_same_scopes(const char *a, const char *b);
