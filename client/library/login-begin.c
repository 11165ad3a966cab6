/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/library/login.h"

#include "client/library/connection.h"
#include "dbus/errors.h"
#include "dbus/names.h"
#include "dbus/writer.h"

#include <string.h>

/* --- the calls ---------------------------------------------------------------------------------------- */

static void write_token(struct writer *w, int fd)
{
    writer_open(w, DBUS_TYPE_DICT_ENTRY, NULL);
    writer_string(w, "token");
    writer_open(w, DBUS_TYPE_VARIANT, "h");
    writer_fd(w, fd);
    writer_close(w);
    writer_close(w);
}

static int new_begin(struct lwa_login *login, DBusMessage **ret)
{
    _cleanup_message_ DBusMessage *call = NULL;
    struct writer w;
    int r = call_new(login->client, LWA_OBJECT_PATH, LWA_INTERFACE_LOGIN, "Begin", &call);
    if (r < 0)
        return r;
    writer_begin(&w, call);
    writer_string(&w, login->flow);
    writer_strv(&w, &login->scopes);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    for (size_t i = 0; i < LOGIN_OPTION_COUNT; i++)
        if (login->options[i])
            writer_entry_string(&w, login_option_name((enum login_option)i), login->options[i]);
    if (login->token_fd >= 0)
        write_token(&w, login->token_fd);
    writer_close(&w);
    r = call_end(login->client, &w);
    if (r == 0)
        *ret = TAKE_PTR(call);
    return r;
}

/* The answer to GetAll. All signals that were sent before it have been handled: if the broker does not know
 * the request, and no Finished has come, none will. */
static void on_properties(struct lwa_client *client, int result, DBusMessage *reply,
                          const struct lwa_error *error, void *userdata)
{
    struct lwa_login *login = userdata;
    DBusMessageIter dict;
    login->fetch = NULL;
    if (login->phase != LOGIN_OPEN)
        return;
    if (result < 0)
        client->error = *error; /* for who is told that the login is lost */
    if (result == 0 && !dbus_message_has_sender(reply, login->broker))
        result = client_fail(client, OWN_NO_BROKER, NULL);
    if (result == 0) {
        (void)dbus_message_iter_init(reply, &dict);
        result = login_values_take_properties(&login->values, &dict, dbus_message_get_serial(reply));
        if (result < 0)
            result = client_fail(client, OWN_NO_MEMORY, NULL);
    }
    if (result < 0)
        login_lose(login);
    else if (result > 0)
        login_notify(login);
}

int login_fetch(struct lwa_login *login)
{
    _cleanup_message_ DBusMessage *call = NULL;
    struct writer w;
    if (login->fetch)
        lwa_request_cancel(TAKE_PTR(login->fetch));
    int r = call_new(login->client, login->path, DBUS_INTERFACE_PROPERTIES, "GetAll", &call);
    if (r < 0)
        return r;
    dbus_message_set_auto_start(call, FALSE);
    writer_begin(&w, call);
    writer_string(&w, LWA_INTERFACE_LOGIN_REQUEST);
    r = call_end(login->client, &w);
    return r == 0 ? call_start(login->client, call, "a{sv}", on_properties, login, NULL, &login->fetch) : r;
}

/* --- both ways to begin ------------------------------------------------------------------------------- */

/* Ends what the broker has made, as it cannot be followed. */
static int give_up(struct lwa_login *login, const char *path, int error)
{
    (void)login_send_cancel(login->client, path);
    free(TAKE_PTR(login->broker));
    free(TAKE_PTR(login->path));
    login->phase = LOGIN_NEW;
    return error;
}

/* The broker has made the request object that the reply names. */
static int open_login(struct lwa_login *login, DBusMessage *reply)
{
    const char *path = NULL, *sender = dbus_message_get_sender(reply);
    if (!sender || !dbus_message_get_args(reply, NULL, DBUS_TYPE_OBJECT_PATH, &path, DBUS_TYPE_INVALID))
        return client_fail(login->client, OWN_BAD_ANSWER, NULL);
    login->broker = strdup(sender);
    login->path = strdup(path);
    if (!login->broker || !login->path)
        return give_up(login, path, client_fail(login->client, OWN_NO_MEMORY, NULL));
    /* A broker that was started for the call came after the one before had gone: which has to be known first,
     * or the login would be taken for one of that broker's. */
    connection_pump(login->client);
    login->phase = LOGIN_OPEN;
    login->epoch = login->client->epoch;
    int r = login_fetch(login);
    if (r < 0)
        return give_up(login, path, r);
    login->token_fd = close_fd(login->token_fd);
    return 0;
}

int lwa_login_begin(struct lwa_login *login)
{
    _cleanup_message_ DBusMessage *call = NULL, *reply = NULL;
    int r = login_check_new(login);
    if (r == 0)
        r = new_begin(login, &call);
    if (r < 0)
        return r;
    r = call_wait(login->client, call, "o", &reply);
    if (r == -ETIMEDOUT)
        login->client->has_forgotten_login = true;
    return r == 0 ? open_login(login, reply) : r;
}

struct begin {
    struct lwa_login *login; /* NULL once it was told */
    lwa_result_fn fn;
    void *userdata;
};

static void free_begin(void *userdata)
{
    struct begin *b = userdata;
    if (b->login) { /* cancelled */
        b->login->begin = NULL;
        b->login->phase = LOGIN_NEW;
        (void)error_set_from_bus(&b->login->why, bus_error_name(BUS_E_CANCELLED), NULL);
        b->login->client->has_forgotten_login = true;
    }
    free(b);
}

static void on_begun(struct lwa_client *client, int result, DBusMessage *reply, const struct lwa_error *error,
                     void *userdata)
{
    struct begin *b = userdata;
    struct lwa_login *login = TAKE_PTR(b->login);
    login->begin = NULL;
    login->phase = LOGIN_NEW;
    if (result == 0) {
        result = open_login(login, reply);
        error = result < 0 ? lwa_client_get_error(client) : NULL;
    }
    if (error)
        login->why = *error;
    client->has_forgotten_login = client->has_forgotten_login || result == -ETIMEDOUT;
    if (b->fn)
        b->fn(client, result, error, b->userdata);
}

int lwa_login_start_begin(struct lwa_login *login, lwa_result_fn fn, void *userdata,
                          struct lwa_request **ret_request)
{
    _cleanup_message_ DBusMessage *call = NULL;
    int r = login_check_new(login);
    if (r == 0)
        r = new_begin(login, &call);
    if (r < 0)
        return r;
    struct begin *b = calloc(1, sizeof(*b));
    if (!b)
        return client_fail(login->client, OWN_NO_MEMORY, NULL);
    *b = (struct begin){login, fn, userdata};
    r = call_start(login->client, call, "o", on_begun, b, free_begin, &login->begin);
    if (r < 0)
        return r;
    login->phase = LOGIN_BEGINNING;
    login->why.code = 0;
    if (ret_request)
        *ret_request = login->begin;
    return 0;
}
