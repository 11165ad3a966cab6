/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/library/cache.h"

#include "util/clock.h"

#include <string.h>

#define BOUND_USEC (30 * USEC_PER_SEC)
#define LEAD_USEC_MAX (300 * USEC_PER_SEC)
#define BACKOFF_SEC 5
#define BACKOFFS_MAX 4 /* doublings */

/* --- times ---------------------------------------------------------------------------------------------- */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t bound_usec(const struct lwa_token *token, unsigned min_valid_sec)
{
    uint64_t bound = least(BOUND_USEC, token_get_life_usec(token) / 4);
    return most(bound, min_valid_sec * USEC_PER_SEC);
}

static bool is_good(const struct lwa_token *token, uint64_t for_usec, uint64_t now_usec)
{
    return token_get_end_usec(token) > now_usec + for_usec;
}

/* How long before its end the renewal begins. Where min_valid is long, that is long before it, too. */
static uint64_t lead_usec(const struct lwa_token *token, unsigned min_valid_sec)
{
    uint64_t life = token_get_life_usec(token);
    uint64_t lead = most(least(life / 10, LEAD_USEC_MAX), 2 * bound_usec(token, 0));
    return least(min_valid_sec * USEC_PER_SEC + lead, life - life / 4);
}

static uint64_t due_usec(const struct cache_entry *entry)
{
    uint64_t end = token_get_end_usec(entry->token);
    if (!entry->is_used || entry->is_renewing)
        return end;
    uint64_t renewal = end - lead_usec(entry->token, entry->ask.min_valid_sec) + entry->jitter_usec;
    return least(end, most(renewal, entry->not_before_usec));
}

/* --- entries -------------------------------------------------------------------------------------------- */

static struct cache_entry *entry_free(struct cache_entry *entry)
{
    if (entry) {
        list_remove(&entry->link);
        lwa_token_unref(entry->token);
        free((char *)entry->ask.scope);
        free((char *)entry->ask.account);
        free(entry);
    }
    return NULL;
}

DEFINE_CLEANUP(struct cache_entry, entry_free);

static struct cache_entry *entry_new(const struct cache_ask *ask)
{
    _cleanup_(entry_freep) struct cache_entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    list_init(&entry->link);
    entry->ask.scope = strdup(ask->scope);
    entry->ask.account = ask->account ? strdup(ask->account) : NULL;
    if (!entry->ask.scope || (ask->account && !entry->ask.account))
        return NULL;
    return TAKE_PTR(entry);
}

static void drop_entry(struct cache *cache, struct cache_entry *entry)
{
    cache->n_entries--;
    entry_free(entry);
}

static bool has_scope(const char *set, const char *scope, size_t n)
{
    for (size_t n_here; *set; set += n_here) {
        set += strspn(set, " ");
        n_here = strcspn(set, " ");
        if (n_here == n && memcmp(set, scope, n) == 0)
            return true;
    }
    return false;
}

static bool has_all(const char *set, const char *scopes)
{
    for (size_t n; *scopes; scopes += n) {
        scopes += strspn(scopes, " ");
        n = strcspn(scopes, " ");
        if (n > 0 && !has_scope(set, scopes, n))
            return false;
    }
    return true;
}

bool cache_same_scopes(const char *a, const char *b)
{
    return strcmp(a, b) == 0 || (has_all(a, b) && has_all(b, a));
}

static bool same_account(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static struct cache_entry *find_entry(struct cache *cache, const struct cache_ask *ask)
{
    struct cache_entry *entry;
    LIST_FOREACH (entry, &cache->entries, link)
        if (same_account(entry->ask.account, ask->account) && cache_same_scopes(entry->ask.scope, ask->scope))
            return entry;
    return NULL;
}

static void move_to_front(struct cache *cache, struct cache_entry *entry)
{
    if (cache->entries.next == &entry->link)
        return;
    list_remove(&entry->link);
    list_append(cache->entries.next, &entry->link); /* before what was the first */
}

/* --- the cache ------------------------------------------------------------------------------------------ */

struct cache *cache_new(void)
{
    struct cache *cache = calloc(1, sizeof(*cache));
    if (cache)
        list_init(&cache->entries);
    return cache;
}

struct cache *cache_free(struct cache *cache)
{
    if (cache) {
        cache_drop_all(cache);
        cache_forget_broker(cache);
        free(cache);
    }
    return NULL;
}

void cache_drop_all(struct cache *cache)
{
    cache->generation++;
    while (!list_is_empty(&cache->entries))
        drop_entry(cache, LIST_ENTRY(cache->entries.next, struct cache_entry, link));
}

void cache_forget_broker(struct cache *cache)
{
    free(cache->broker_version);
    cache->broker_version = NULL;
    strv_clear(&cache->broker_features);
}

void cache_drop(struct cache *cache, const char *token_id)
{
    struct cache_entry *entry, *after;
    cache->generation++;
    LIST_FOREACH_SAFE (entry, after, &cache->entries, link)
        if (strcmp(lwa_token_get_id(entry->token), token_id) == 0)
            drop_entry(cache, entry);
}

void cache_drop_defaults(struct cache *cache)
{
    struct cache_entry *entry, *after;
    cache->generation++;
    LIST_FOREACH_SAFE (entry, after, &cache->entries, link)
        if (!entry->ask.account)
            drop_entry(cache, entry);
}

static void drop_what_is_over(struct cache *cache, uint64_t now_usec)
{
    struct cache_entry *entry, *after;
    LIST_FOREACH_SAFE (entry, after, &cache->entries, link)
        if (!is_good(entry->token, 0, now_usec))
            drop_entry(cache, entry);
}

struct lwa_token *cache_find(struct cache *cache, const struct cache_ask *ask, uint64_t now_usec)
{
    struct cache_entry *entry = find_entry(cache, ask);
    if (!entry || !is_good(entry->token, bound_usec(entry->token, ask->min_valid_sec), now_usec))
        return NULL;
    entry->is_used = true;
    if (entry->ask.min_valid_sec < ask->min_valid_sec)
        entry->ask.min_valid_sec = ask->min_valid_sec;
    move_to_front(cache, entry);
    return entry->token;
}

struct lwa_token *cache_find_last(struct cache *cache, const struct cache_ask *ask, uint64_t now_usec)
{
    struct cache_entry *entry = find_entry(cache, ask);
    return entry && is_good(entry->token, ask->min_valid_sec * USEC_PER_SEC, now_usec) ? entry->token : NULL;
}

static void set_token(struct cache_entry *entry, struct lwa_token *token, uint64_t now_usec)
{
    (void)lwa_token_ref(token);
    lwa_token_unref(entry->token);
    entry->token = token;
    entry->jitter_usec = now_usec % (lead_usec(token, 0) / 4 + 1);
    entry->not_before_usec = 0;
    entry->n_failures = 0;
}

/* What was given up by the broker, or the app, since it was asked for is not kept; nor what is over. */
static bool may_be_kept(const struct cache *cache, unsigned generation, const struct lwa_token *token,
                        uint64_t now_usec)
{
    return generation == cache->generation && is_good(token, 0, now_usec);
}

void cache_keep(struct cache *cache, const struct cache_ask *ask, unsigned generation,
                struct lwa_token *token, uint64_t now_usec)
{
    drop_what_is_over(cache, now_usec);
    if (!may_be_kept(cache, generation, token, now_usec))
        return;
    struct cache_entry *entry = find_entry(cache, ask);
    if (!entry) {
        entry = entry_new(ask);
        if (!entry)
            return;
        if (cache->n_entries == CACHE_ENTRIES_MAX)
            drop_entry(cache, LIST_ENTRY(cache->entries.prev, struct cache_entry, link));
        list_append(&cache->entries, &entry->link);
        cache->n_entries++;
    }
    set_token(entry, token, now_usec);
    entry->is_used = true;
    entry->ask.min_valid_sec = ask->min_valid_sec;
    move_to_front(cache, entry);
}

/* --- renewals ------------------------------------------------------------------------------------------- */

uint64_t cache_get_due(const struct cache *cache)
{
    uint64_t due = UINT64_MAX;
    const struct cache_entry *entry;
    LIST_FOREACH (entry, &cache->entries, link)
        due = least(due, due_usec(entry));
    return due;
}

struct cache_entry *cache_take_due(struct cache *cache, uint64_t now_usec)
{
    struct cache_entry *entry;
    drop_what_is_over(cache, now_usec);
    LIST_FOREACH (entry, &cache->entries, link)
        if (due_usec(entry) <= now_usec) {
            entry->is_renewing = true;
            return entry;
        }
    return NULL;
}

static void put_off(struct cache_entry *entry, unsigned retry_after_sec, uint64_t now_usec)
{
    unsigned backoff = BACKOFF_SEC << least(entry->n_failures, BACKOFFS_MAX);
    entry->n_failures++;
    entry->not_before_usec = now_usec + most(backoff, retry_after_sec) * USEC_PER_SEC;
}

void cache_renewed(struct cache *cache, const struct cache_ask *ask, unsigned generation,
                   struct lwa_token *token, uint64_t now_usec)
{
    struct cache_entry *entry = find_entry(cache, ask);
    if (!entry)
        return;
    entry->is_renewing = false;
    bool is_older = token_get_end_usec(token) + USEC_PER_SEC < token_get_end_usec(entry->token);
    if (is_older || !may_be_kept(cache, generation, token, now_usec)) {
        put_off(entry, 0, now_usec);
        return;
    }
    set_token(entry, token, now_usec);
    entry->is_used = false;
    entry->ask.min_valid_sec = 0;
}

void cache_renewal_failed(struct cache *cache, const struct cache_ask *ask, unsigned retry_after_sec,
                          uint64_t now_usec)
{
    struct cache_entry *entry = find_entry(cache, ask);
    if (!entry)
        return;
    entry->is_renewing = false;
    put_off(entry, retry_after_sec, now_usec);
}
