/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/library/login.h"

#include "client/library/connection.h"
#include "dbus/names.h"
#include "dbus/reader.h"

#include <poll.h>
#include <string.h>

void login_lose(struct lwa_login *login)
{
    if (login->phase != LOGIN_OPEN || login->is_lost)
        return;
    login->is_lost = true;
    login->why = login->client->error;
    login_notify(login);
}

/* --- what the broker sends ---------------------------------------------------------------------------- */

static bool has_invalidated(DBusMessageIter *list)
{
    DBusMessageIter name;
    dbus_message_iter_recurse(list, &name);
    return dbus_message_iter_get_arg_type(&name) == DBUS_TYPE_STRING;
}

static void handle_changed(struct lwa_login *login, DBusMessage *m)
{
    DBusMessageIter iter;
    const char *interface;
    (void)dbus_message_iter_init(m, &iter);
    dbus_message_iter_get_basic(&iter, &interface);
    (void)dbus_message_iter_next(&iter);
    if (strcmp(interface, LWA_INTERFACE_LOGIN_REQUEST) != 0)
        return;
    int changed = login_values_take_properties(&login->values, &iter, dbus_message_get_serial(m));
    (void)dbus_message_iter_next(&iter);
    int r = changed < 0 ? client_fail(login->client, OWN_NO_MEMORY, NULL) : 0;
    if (r == 0 && has_invalidated(&iter))
        r = login_fetch(login);
    if (r < 0)
        login_lose(login);
    else if (changed)
        login_notify(login);
}

static void handle_finished(struct lwa_login *login, DBusMessage *m)
{
    if (login_values_take_finished(&login->values, m) < 0) {
        (void)client_fail(login->client, OWN_NO_MEMORY, NULL);
        login_lose(login);
        return;
    }
    login->phase = LOGIN_OVER;
    login_notify(login);
}

/* --- which login it is -------------------------------------------------------------------------------- */

static struct lwa_login *find(struct lwa_client *client, DBusMessage *m)
{
    struct lwa_login *login;
    LIST_FOREACH (login, &client->logins, in_client) {
        if (login->phase == LOGIN_OPEN && !login->is_lost && dbus_message_has_path(m, login->path) &&
            dbus_message_has_sender(m, login->broker))
            return login;
    }
    return NULL;
}

static bool is_done(DBusMessage *m)
{
    DBusMessageIter iter;
    const char *state = "";
    (void)dbus_message_iter_init(m, &iter);
    (void)dbus_message_iter_next(&iter);
    return reader_find(&iter, "State", DBUS_TYPE_STRING, &state) == 0 && strcmp(state, "done") == 0;
}

/* A login whose Begin was given up before it was answered: the broker has made it, and nobody follows it. */
static void end_forgotten(struct lwa_client *client, DBusMessage *m)
{
    struct lwa_login *login;
    const char *path = dbus_message_get_path(m);
    LIST_FOREACH (login, &client->logins, in_client) {
        if (login->path && strcmp(login->path, path) == 0)
            return; /* it is over */
    }
    if (!is_done(m))
        (void)login_send_cancel(client, path);
}

void login_handle_signal(struct lwa_client *client, DBusMessage *m)
{
    bool is_changed = dbus_message_is_signal(m, DBUS_INTERFACE_PROPERTIES, "PropertiesChanged") &&
                      dbus_message_has_signature(m, "sa{sv}as");
    bool is_finished = dbus_message_is_signal(m, LWA_INTERFACE_LOGIN_REQUEST, "Finished") &&
                       dbus_message_has_signature(m, "sa{sv}");
    const char *path = dbus_message_get_path(m);
    if ((!is_changed && !is_finished) || !path ||
        strncmp(path, LWA_LOGIN_PATH_PREFIX, strlen(LWA_LOGIN_PATH_PREFIX)) != 0)
        return;
    struct lwa_login *login = find(client, m);
    if (login && is_changed)
        handle_changed(login, m);
    else if (login)
        handle_finished(login, m);
    else if (is_changed)
        end_forgotten(client, m);
}

/* --- what the broker takes with it -------------------------------------------------------------------- */

static struct lwa_login *find_lost(struct lwa_client *client)
{
    struct lwa_login *login;
    LIST_FOREACH (login, &client->logins, in_client) {
        if (login->phase == LOGIN_OPEN && !login->is_lost && login->epoch != client->epoch)
            return login;
    }
    return NULL;
}

/* A callback may free any other login, and begin new ones, which are not lost: so it looks anew each time. */
void login_handle_gone(struct lwa_client *client)
{
    struct lwa_login *login;
    while ((login = find_lost(client))) {
        enum own_error own = connection_get(client) ? OWN_NO_BROKER : OWN_NO_BUS;
        (void)client_fail(client, own, NULL);
        login_lose(login);
    }
}

/* --- waiting ------------------------------------------------------------------------------------------ */

int lwa_login_wait(struct lwa_login *login)
{
    struct lwa_client *client = login->client;
    int r = client_check(client);
    if (r == 0 && login->phase == LOGIN_NEW)
        return client_fail(client, OWN_BAD_ARGUMENT, "The login has not begun.");
    while (r == 0 && login->phase != LOGIN_OVER && !login->is_lost && login->phase != LOGIN_NEW) {
        struct pollfd fd = {.fd = lwa_client_get_fd(client), .events = POLLIN};
        (void)poll(&fd, 1, lwa_client_get_timeout(client));
        r = lwa_client_dispatch(client);
    }
    if (r < 0)
        return r;
    if (login->phase == LOGIN_OVER)
        return 0;
    client->error = login->why; /* something else may have failed since */
    return login->why.code;
}
