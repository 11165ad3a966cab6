/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/library/client.h"

#include "client/library/connection.h"
#include "client/library/fork-guard.h"
#include "client/library/notice.h"
#include "client/library/request.h"
#include "util/clock.h"

#include <limits.h>
#include <poll.h>
#include <string.h>

#define TIMEOUT_MSEC 90000
#define MEMORY_RETRY_USEC (20 * USEC_PER_MSEC)

DEFINE_CLEANUP(struct lwa_client, lwa_client_free);

/* --- life ---------------------------------------------------------------------------------------------- */

int lwa_client_new(struct lwa_client **ret)
{
    _cleanup_(lwa_client_freep) struct lwa_client *client = calloc(1, sizeof(*client));
    if (!client)
        return -ENOMEM;
    list_init(&client->requests);
    list_init(&client->answered);
    list_init(&client->logins);
    list_init(&client->notices);
    client->timeout_msec = TIMEOUT_MSEC;
    int r = fork_guard_new(&client->fork_guard);
    if (r == 0)
        r = connection_new(&client->connection);
    if (r < 0)
        return r;
    client->cache = cache_new();
    if (!client->cache)
        return -ENOMEM;
    *ret = TAKE_PTR(client);
    return 0;
}

struct lwa_client *lwa_client_free(struct lwa_client *client)
{
    if (!client)
        return NULL;
    bool is_child = client->fork_guard && fork_guard_is_child(client->fork_guard);
    requests_clear(client);
    notice_clear(client);
    if (client->cache)
        cache_free(client->cache);
    connection_free(client->connection, is_child);
    fork_guard_free(client->fork_guard);
    free(client);
    return NULL;
}

void lwa_client_set_interactive(struct lwa_client *client, int is_interactive)
{
    if (client)
        client->is_interactive = is_interactive != 0;
}

void lwa_client_set_timeout(struct lwa_client *client, int timeout_msec)
{
    if (client)
        client->timeout_msec = timeout_msec < 0 ? -1 : timeout_msec;
}

/* --- errors -------------------------------------------------------------------------------------------- */

const struct lwa_error *lwa_client_get_error(const struct lwa_client *client)
{
    return client && client->error.code < 0 ? &client->error : NULL;
}

int client_fail(struct lwa_client *client, enum own_error own, const char *message)
{
    return error_set_own(&client->error, own, message);
}

int client_check(struct lwa_client *client)
{
    return fork_guard_is_child(client->fork_guard) ? client_fail(client, OWN_FORKED, NULL) : 0;
}

/* --- the event loop ------------------------------------------------------------------------------------ */

int lwa_client_get_fd(const struct lwa_client *client)
{
    return client ? connection_get_fd(client->connection) : -1;
}

int lwa_client_get_events(const struct lwa_client *client _unused_)
{
    return POLLIN;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t get_due_usec(const struct lwa_client *client)
{
    if (notice_is_due(client) || !list_is_empty(&client->answered))
        return 0;
    uint64_t due = earlier(requests_get_due_usec(client), cache_get_due_usec(client));
    return earlier(due, client->is_short ? client->retry_usec : connection_get_due_usec(client));
}

int lwa_client_get_timeout(const struct lwa_client *client)
{
    if (!client || fork_guard_is_child(client->fork_guard))
        return -1;
    uint64_t due = get_due_usec(client);
    if (due == 0 || due == UINT64_MAX)
        return due == 0 ? 0 : -1;
    uint64_t now = boottime_usec();
    /* Rounded up: woken too early, the loop would come back at once. */
    uint64_t msec = due > now ? (due - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC : 0;
    return msec < INT_MAX ? (int)msec : INT_MAX;
}

/* What has arrived by now, in its order: a callback can cause more, which the next dispatch delivers, and can
 * cancel any. */
static void deliver(struct lwa_client *client)
{
    uint64_t end = client->n_arrivals;
    for (;;) {
        uint64_t notice = notice_get_first(client);
        uint64_t request = requests_get_first(client);
        if (earlier(notice, request) >= end)
            break;
        if (notice < request)
            notice_deliver_first(client);
        else
            requests_deliver_first(client);
    }
    notice_deliver_changes(client);
}

int lwa_client_dispatch(struct lwa_client *client)
{
    int r = client_check(client);
    if (r < 0)
        return r;
    client->is_short = false;
    connection_handle_due(client);
    connection_pump(client);
    requests_expire(client);
    if (cache_get_due_usec(client) <= boottime_usec())
        cache_handle_due(client);
    deliver(client);
    if (!client->is_short)
        return 0;
    client->retry_usec = boottime_usec() + MEMORY_RETRY_USEC;
    return client_fail(client, OWN_NO_MEMORY, NULL);
}

void lwa_client_on_revoked(struct lwa_client *client, lwa_revoked_fn fn, void *userdata)
{
    if (!client)
        return;
    client->revoked_fn = fn;
    client->revoked_userdata = userdata;
}

void lwa_client_on_changed(struct lwa_client *client, lwa_changed_fn fn, void *userdata)
{
    if (!client)
        return;
    client->changed_fn = fn;
    client->changed_userdata = userdata;
}
