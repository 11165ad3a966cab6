/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/library/login.h"

#include "dbus/names.h"
#include "dbus/writer.h"

/* A call of the request object; the broker is not started for it, as a new one would not know it. */
static int new_call(struct lwa_client *client, const char *path, const char *member, DBusMessage **ret)
{
    int r = call_new(client, path, LWA_INTERFACE_LOGIN_REQUEST, member, ret);
    if (r == 0)
        dbus_message_set_auto_start(*ret, FALSE);
    return r;
}

static int check_open(struct lwa_login *login)
{
    int r = client_check(login->client);
    if (r == 0 && login->is_lost)
        r = client_fail(login->client, OWN_NO_BROKER, "The login is lost: the broker or the bus was gone.");
    if (r == 0 && login->phase != LOGIN_OPEN)
        r = client_fail(login->client, OWN_BAD_ARGUMENT, "The login has not begun, or is over.");
    return r;
}

/* --- Complete ----------------------------------------------------------------------------------------- */

static int new_complete(struct lwa_login *login, const char *code, const char *state, const char *scope,
                        const char *error, DBusMessage **ret)
{
    _cleanup_message_ DBusMessage *call = NULL;
    struct writer w;
    int r = check_open(login);
    if (r == 0 && (!code == !error || !state))
        r = client_fail(login->client, OWN_BAD_ARGUMENT, "An answer has a state, and a code or an error.");
    if (r == 0)
        r = new_call(login->client, login->path, "Complete", &call);
    if (r < 0)
        return r;
    writer_begin(&w, call);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_string(&w, error ? "error" : "code", error ? error : code);
    writer_entry_string(&w, "state", state);
    if (scope && !error)
        writer_entry_string(&w, "scope", scope);
    writer_close(&w);
    r = call_end(login->client, &w);
    if (r == 0)
        *ret = TAKE_PTR(call);
    return r;
}

int lwa_login_complete(struct lwa_login *login, const char *code, const char *state, const char *scope,
                       const char *error)
{
    _cleanup_message_ DBusMessage *call = NULL, *reply = NULL;
    int r = new_complete(login, code, state, scope, error, &call);
    return r == 0 ? call_wait(login->client, call, "", &reply) : r;
}

struct complete {
    lwa_result_fn fn;
    void *userdata;
};

static void on_completed(struct lwa_client *client, int result, DBusMessage *reply _unused_,
                         const struct lwa_error *error, void *userdata)
{
    const struct complete *c = userdata;
    if (c->fn)
        c->fn(client, result, error, c->userdata);
}

int lwa_login_start_complete(struct lwa_login *login, const char *code, const char *state, const char *scope,
                             const char *error, lwa_result_fn fn, void *userdata,
                             struct lwa_request **ret_request)
{
    _cleanup_message_ DBusMessage *call = NULL;
    int r = new_complete(login, code, state, scope, error, &call);
    if (r < 0)
        return r;
    struct complete *c = calloc(1, sizeof(*c));
    if (!c)
        return client_fail(login->client, OWN_NO_MEMORY, NULL);
    *c = (struct complete){fn, userdata};
    return call_start(login->client, call, "", on_completed, c, free, ret_request);
}

/* --- Cancel ------------------------------------------------------------------------------------------- */

/* What it answers says nothing: Finished does. */
static void on_cancelled(struct lwa_client *client _unused_, int result _unused_, DBusMessage *reply _unused_,
                         const struct lwa_error *error _unused_, void *userdata _unused_)
{
}

int login_send_cancel(struct lwa_client *client, const char *path)
{
    _cleanup_message_ DBusMessage *call = NULL;
    int r = new_call(client, path, "Cancel", &call);
    return r == 0 ? call_start(client, call, "", on_cancelled, NULL, NULL, NULL) : r;
}

int lwa_login_cancel(struct lwa_login *login)
{
    int r = client_check(login->client);
    if (r < 0 || login->phase == LOGIN_OVER || login->is_lost)
        return r; /* nothing is left to be ended */
    r = check_open(login);
    if (r == 0)
        r = login_send_cancel(login->client, login->path);
    login->is_cancelled = login->is_cancelled || r == 0;
    return r;
}
