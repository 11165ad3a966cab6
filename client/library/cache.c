/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/library/client.h"

struct cache {
    int unused;
};

struct cache *cache_new(void)
{
    return calloc(1, sizeof(struct cache));
}

struct cache *cache_free(struct cache *cache)
{
    free(cache);
    return NULL;
}

void cache_handle_signal(struct lwa_client *client _unused_, DBusMessage *m _unused_)
{
}

void cache_handle_gone(struct lwa_client *client _unused_)
{
}

uint64_t cache_get_due_usec(const struct lwa_client *client _unused_)
{
    return UINT64_MAX;
}

void cache_handle_due(struct lwa_client *client _unused_)
{
}
