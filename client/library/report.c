/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tokens that are not wanted any more: Broker1.ReportRejected and ReleaseTokens. What is kept of them is
 * dropped before the broker is told, and stays so whatever it answers. */

#include "client/library/cache.h"
#include "client/library/call.h"
#include "dbus/names.h"
#include "dbus/writer.h"

/* --- the calls ------------------------------------------------------------------------------------------ */

static int new_report(struct lwa_client *client, const struct lwa_token *token, DBusMessage **ret)
{
    _cleanup_message_ DBusMessage *message = NULL;
    struct writer w;
    int r = client_check(client);
    if (r == 0 && !token)
        r = client_fail(client, OWN_BAD_ARGUMENT, "No token was given.");
    if (r == 0)
        r = call_new(client, LWA_OBJECT_PATH, LWA_INTERFACE_BROKER, "ReportRejected", &message);
    if (r < 0)
        return r;
    cache_drop(client->cache, lwa_token_get_id(token));
    writer_begin(&w, message);
    writer_string(&w, lwa_token_get_id(token));
    r = call_end(client, &w);
    if (r == 0)
        *ret = TAKE_PTR(message);
    return r;
}

static int new_release(struct lwa_client *client, DBusMessage **ret)
{
    int r = client_check(client);
    if (r < 0)
        return r;
    cache_drop_all(client->cache);
    return call_new(client, LWA_OBJECT_PATH, LWA_INTERFACE_BROKER, "ReleaseTokens", ret);
}

/* Whether the broker has a new one now. */
static int read_report(DBusMessage *reply)
{
    dbus_bool_t is_renewed = FALSE;
    (void)dbus_message_get_args(reply, NULL, DBUS_TYPE_BOOLEAN, &is_renewed, DBUS_TYPE_INVALID);
    return is_renewed ? 1 : 0;
}

int lwa_client_report_rejected(struct lwa_client *client, struct lwa_token *token)
{
    _cleanup_message_ DBusMessage *message = NULL, *reply = NULL;
    int r = new_report(client, token, &message);
    if (r == 0)
        r = call_wait(client, message, "b", &reply);
    return r == 0 ? read_report(reply) : r;
}

int lwa_client_release_tokens(struct lwa_client *client)
{
    _cleanup_message_ DBusMessage *message = NULL, *reply = NULL;
    int r = new_release(client, &message);
    return r == 0 ? call_wait(client, message, "", &reply) : r;
}

/* --- without waiting ------------------------------------------------------------------------------------ */

struct wait {
    lwa_result_fn fn;
    void *userdata;
};

static struct wait *wait_new(lwa_result_fn fn, void *userdata)
{
    struct wait *w = calloc(1, sizeof(*w));
    if (w)
        *w = (struct wait){.fn = fn, .userdata = userdata};
    return w;
}

static void on_reported(struct lwa_client *client, int result, DBusMessage *reply,
                        const struct lwa_error *error, void *userdata)
{
    const struct wait *w = userdata;
    if (w->fn)
        w->fn(client, result == 0 ? read_report(reply) : result, error, w->userdata);
}

static void on_released(struct lwa_client *client, int result, DBusMessage *reply _unused_,
                        const struct lwa_error *error, void *userdata)
{
    const struct wait *w = userdata;
    if (w->fn)
        w->fn(client, result, error, w->userdata);
}

static int start(struct lwa_client *client, DBusMessage *message, const char *signature, call_fn on_reply,
                 struct wait *w, struct lwa_request **ret_request)
{
    return w ? call_start(client, message, signature, on_reply, w, free, ret_request)
             : client_fail(client, OWN_NO_MEMORY, NULL);
}

int lwa_client_start_report_rejected(struct lwa_client *client, struct lwa_token *token, lwa_result_fn fn,
                                     void *userdata, struct lwa_request **ret_request)
{
    _cleanup_message_ DBusMessage *message = NULL;
    int r = new_report(client, token, &message);
    return r == 0 ? start(client, message, "b", on_reported, wait_new(fn, userdata), ret_request) : r;
}

int lwa_client_start_release_tokens(struct lwa_client *client, lwa_result_fn fn, void *userdata,
                                    struct lwa_request **ret_request)
{
    _cleanup_message_ DBusMessage *message = NULL;
    int r = new_release(client, &message);
    return r == 0 ? start(client, message, "", on_released, wait_new(fn, userdata), ret_request) : r;
}
