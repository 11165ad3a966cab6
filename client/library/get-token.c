/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A token: from the cache if one is kept that serves, else from the broker. */

#include "client/library/get-token.h"

#include "client/library/call.h"
#include "client/library/keeper.h"
#include "dbus/names.h"
#include "dbus/writer.h"
#include "util/clock.h"

#include <string.h>

static void get_token_freep(struct get_token **g)
{
    get_token_free(*g);
}

/* --- the call ------------------------------------------------------------------------------------------- */

int get_token_new_call(struct lwa_client *client, const struct cache_ask *ask, DBusMessage **ret)
{
    _cleanup_message_ DBusMessage *message = NULL;
    _cleanup_strv_ struct strv scopes = STRV_EMPTY;
    if (strv_split(&scopes, ask->scope, " ") < 0)
        return client_fail(client, OWN_NO_MEMORY, NULL);
    int r = call_new(client, LWA_OBJECT_PATH, LWA_INTERFACE_BROKER, "GetToken", &message);
    if (r < 0)
        return r;

    struct writer w;
    writer_begin(&w, message);
    writer_strv(&w, &scopes);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    if (ask->account)
        writer_entry_string(&w, "account", ask->account);
    if (ask->min_valid_sec > 0)
        writer_entry_uint32(&w, "min_valid", ask->min_valid_sec);
    writer_close(&w);
    r = call_end(client, &w);
    if (r == 0)
        *ret = TAKE_PTR(message);
    return r;
}

int get_token_read(DBusMessage *reply, struct lwa_error *error, struct lwa_token **ret)
{
    struct token_time now = token_now();
    int r = token_new_from_reply(reply, &now, ret);
    if (r == -EMFILE)
        return error_set_own(error, OWN_NO_MEMORY,
                             "The token's descriptor could not be taken: too many are open.");
    if (r == -ENOMEM)
        return error_set_own(error, OWN_NO_MEMORY, NULL);
    return r < 0 ? error_set_own(error, OWN_BAD_ANSWER,
                                 "The broker's token is empty, too long, or holds what no token may hold.")
                 : 0;
}

/* The broker cannot say now, which says nothing against a token that is still good: it is given up to its
 * end. */
static struct lwa_token *find_last(struct lwa_client *client, const struct cache_ask *ask, int result)
{
    bool is_passing = result == -EAGAIN || result == -EBUSY || result == -ETIMEDOUT || result == -EIO;
    return is_passing ? lwa_token_ref(cache_find_last(client->cache, ask, boottime_usec())) : NULL;
}

static int fetch(struct lwa_client *client, const struct cache_ask *ask, struct lwa_token **ret)
{
    _cleanup_message_ DBusMessage *message = NULL, *reply = NULL;
    unsigned generation = client->cache->generation;
    int r = get_token_new_call(client, ask, &message);
    if (r == 0)
        r = call_wait(client, message, GET_TOKEN_REPLY, &reply);
    if (r < 0) {
        struct lwa_token *last = find_last(client, ask, r);
        if (last)
            *ret = last;
        return last ? 0 : r;
    }
    struct lwa_token *token = NULL;
    r = get_token_read(reply, &client->error, &token);
    if (r < 0)
        return r;
    cache_keep(client->cache, ask, generation, token, boottime_usec());
    *ret = token;
    return 0;
}

static int check(struct lwa_client *client, const struct cache_ask *ask)
{
    int r = client_check(client);
    if (r == 0 && !ask->scope)
        r = client_fail(client, OWN_BAD_ARGUMENT, "No scope was given.");
    return r;
}

int lwa_client_get_token(struct lwa_client *client, const char *scope, const char *account,
                         unsigned min_valid, struct lwa_token **ret_token)
{
    const struct cache_ask ask = {.scope = scope, .account = account, .min_valid_sec = min_valid};
    int r = check(client, &ask);
    if (r < 0)
        return r;
    keeper_look(client);
    struct lwa_token *kept = cache_find(client->cache, &ask, boottime_usec());
    if (!kept)
        return fetch(client, &ask, ret_token);
    *ret_token = lwa_token_ref(kept);
    return 0;
}

/* --- without waiting ------------------------------------------------------------------------------------ */

struct get_token *get_token_new(struct lwa_client *client, const struct cache_ask *ask)
{
    _cleanup_(get_token_freep) struct get_token *g = calloc(1, sizeof(*g));
    if (!g)
        return NULL;
    g->generation = client->cache->generation;
    g->ask.min_valid_sec = ask->min_valid_sec;
    g->ask.scope = strdup(ask->scope);
    g->ask.account = ask->account ? strdup(ask->account) : NULL;
    return g->ask.scope && (!ask->account || g->ask.account) ? TAKE_PTR(g) : NULL;
}

void get_token_free(void *get_token)
{
    struct get_token *g = get_token;
    if (!g)
        return;
    free((char *)g->ask.scope);
    free((char *)g->ask.account);
    lwa_token_unref(g->kept);
    free(g);
}

static void on_kept(struct lwa_client *client, int result, DBusMessage *reply _unused_,
                    const struct lwa_error *error, void *userdata)
{
    struct get_token *g = userdata;
    if (g->fn)
        g->fn(client, result, result < 0 ? NULL : g->kept, error, g->userdata);
}

static void on_reply(struct lwa_client *client, int result, DBusMessage *reply, const struct lwa_error *error,
                     void *userdata)
{
    struct get_token *g = userdata;
    _cleanup_(lwa_token_unrefp) struct lwa_token *token = NULL;
    struct lwa_error unreadable = {.code = 0};
    if (result == 0) {
        result = get_token_read(reply, &unreadable, &token);
        error = result < 0 ? &unreadable : NULL;
        if (token)
            cache_keep(client->cache, &g->ask, g->generation, token, boottime_usec());
    } else {
        token = find_last(client, &g->ask, result);
    }
    if (g->fn)
        g->fn(client, token ? 0 : result, token, token ? NULL : error, g->userdata);
}

int lwa_client_start_get_token(struct lwa_client *client, const char *scope, const char *account,
                               unsigned min_valid, lwa_token_fn fn, void *userdata,
                               struct lwa_request **ret_request)
{
    const struct cache_ask ask = {.scope = scope, .account = account, .min_valid_sec = min_valid};
    int r = check(client, &ask);
    if (r < 0)
        return r;
    _cleanup_(get_token_freep) struct get_token *g = get_token_new(client, &ask);
    if (!g)
        return client_fail(client, OWN_NO_MEMORY, NULL);
    g->fn = fn;
    g->userdata = userdata;
    keeper_look(client);
    g->kept = lwa_token_ref(cache_find(client->cache, &ask, boottime_usec()));
    if (g->kept)
        return call_start_nothing(client, on_kept, TAKE_PTR(g), get_token_free, ret_request);

    _cleanup_message_ DBusMessage *message = NULL;
    r = get_token_new_call(client, &ask, &message);
    return r < 0 ? r
                 : call_start(client, message, GET_TOKEN_REPLY, on_reply, TAKE_PTR(g), get_token_free,
                              ret_request);
}
