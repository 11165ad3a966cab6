/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/library/keeper.h"

#include "client/library/call.h"
#include "client/library/connection.h"
#include "client/library/get-token.h"
#include "dbus/names.h"
#include "util/clock.h"

#include <string.h>

#define LOOK_USEC (10 * USEC_PER_MSEC)

void keeper_look(struct lwa_client *client)
{
    uint64_t now = clock_usec(CLOCK_MONOTONIC_COARSE);
    if (now < client->cache->looked_usec + LOOK_USEC)
        return;
    client->cache->looked_usec = now;
    connection_pump(client);
}

void cache_handle_signal(struct lwa_client *client, DBusMessage *m)
{
    const char *token_id = NULL;
    if (dbus_message_is_signal(m, LWA_INTERFACE_BROKER, "TokenRevoked") &&
        dbus_message_get_args(m, NULL, DBUS_TYPE_STRING, &token_id, DBUS_TYPE_INVALID))
        cache_drop(client->cache, token_id);
    else if (dbus_message_is_signal(m, LWA_INTERFACE_BROKER, "AccountsChanged"))
        cache_drop_defaults(client->cache);
}

void cache_handle_gone(struct lwa_client *client)
{
    cache_drop_all(client->cache);
    cache_forget_broker(client->cache);
}

/* --- renewals ------------------------------------------------------------------------------------------- */

static void on_renewed(struct lwa_client *client, int result, DBusMessage *reply,
                       const struct lwa_error *error, void *userdata)
{
    const struct get_token *g = userdata;
    _cleanup_(lwa_token_unrefp) struct lwa_token *token = NULL;
    struct lwa_error unreadable = {.code = 0};
    if (result == 0)
        result = get_token_read(reply, &unreadable, &token);
    if (result < 0)
        cache_renewal_failed(client->cache, &g->ask, lwa_error_get_retry_after(error), boottime_usec());
    else
        cache_renewed(client->cache, &g->ask, g->generation, token, boottime_usec());
}

/* Nobody is asked because of one: the person may sit elsewhere by now. */
static int renew(struct lwa_client *client, const struct cache_ask *ask)
{
    _cleanup_message_ DBusMessage *message = NULL;
    int r = get_token_new_call(client, ask, &message);
    if (r < 0)
        return r;
    dbus_message_set_allow_interactive_authorization(message, FALSE);
    struct get_token *g = get_token_new(client, ask);
    return g ? call_start(client, message, GET_TOKEN_REPLY, on_renewed, g, get_token_free, NULL) : -ENOMEM;
}

uint64_t cache_get_due_usec(const struct lwa_client *client)
{
    return cache_get_due(client->cache);
}

void cache_handle_due(struct lwa_client *client)
{
    const struct cache_entry *entry;
    while ((entry = cache_take_due(client->cache, boottime_usec())))
        if (renew(client, &entry->ask) < 0)
            cache_renewal_failed(client->cache, &entry->ask, 0, boottime_usec());
}
