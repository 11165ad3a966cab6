/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/library/call.h"

#include "client/library/connection.h"
#include "dbus/names.h"
#include "dbus/writer.h"

int call_new(struct lwa_client *client, const char *path, const char *interface, const char *member,
             DBusMessage **ret)
{
    DBusMessage *m = dbus_message_new_method_call(LWA_BUS_NAME, path, interface, member);
    if (!m)
        return client_fail(client, OWN_NO_MEMORY, NULL);
    dbus_message_set_allow_interactive_authorization(m, client->is_interactive);
    *ret = m;
    return 0;
}

int call_end(struct lwa_client *client, struct writer *w)
{
    int r = writer_end(w);
    if (r == -EILSEQ)
        return client_fail(client, OWN_BAD_ARGUMENT, "An argument is not valid UTF-8.");
    return r < 0 ? client_fail(client, OWN_NO_MEMORY, NULL) : 0;
}

int call_send(struct lwa_client *client, DBusMessage *message, int timeout_msec,
              DBusPendingCall **ret_pending)
{
    DBusPendingCall *pending = NULL;
    if (!dbus_connection_send_with_reply(connection_get(client), message, &pending, timeout_msec))
        return -ENOMEM;
    if (!pending)
        return CALL_E_DEAD;
    *ret_pending = pending;
    connection_update(client);
    return 0;
}

/* What came over the bus has a sender; what libdbus made up for the calls of a dead connection has none. */
static bool is_made_up(DBusMessage *reply)
{
    return dbus_message_get_type(reply) == DBUS_MESSAGE_TYPE_ERROR && !dbus_message_get_sender(reply);
}

DBusMessage *call_take_reply(DBusPendingCall *pending)
{
    DBusMessage *reply = dbus_pending_call_steal_reply(pending);
    dbus_pending_call_unref(pending);
    if (reply && is_made_up(reply)) {
        dbus_message_unref(reply);
        return NULL;
    }
    return reply;
}

int call_check_reply(DBusMessage *reply, const char *signature, struct lwa_error *error)
{
    if (dbus_message_get_type(reply) != DBUS_MESSAGE_TYPE_ERROR)
        return dbus_message_has_signature(reply, signature) ? 0 : error_set_own(error, OWN_BAD_ANSWER, NULL);

    const char *name = dbus_message_get_error_name(reply);
    const char *text = NULL;
    DBusMessageIter i;
    if (dbus_message_iter_init(reply, &i) && dbus_message_iter_get_arg_type(&i) == DBUS_TYPE_STRING)
        dbus_message_iter_get_basic(&i, &text);
    /* The bus says so when the receiver has left. */
    if (dbus_message_is_error(reply, DBUS_ERROR_NO_REPLY) &&
        dbus_message_has_sender(reply, DBUS_SERVICE_DBUS))
        return error_set_own(error, OWN_NO_BROKER, "The broker ended before it had answered.");
    return error_set_from_bus(error, name, text);
}

int call_renew(DBusMessage **message)
{
    if (!dbus_message_has_interface(*message, LWA_INTERFACE_BROKER) &&
        !dbus_message_has_interface(*message, LWA_INTERFACE_LOGIN) &&
        !dbus_message_has_interface(*message, DBUS_INTERFACE_PROPERTIES))
        return CALL_E_DEAD;
    DBusMessage *copy = dbus_message_copy(*message); /* one that was sent is spent */
    if (!copy)
        return -ENOMEM;
    dbus_message_unref(*message);
    *message = copy;
    return 0;
}

/* 0 with a reply, whatever it says; CALL_E_DEAD. */
static int try_once(struct lwa_client *client, DBusMessage *message, DBusMessage **ret_reply)
{
    DBusPendingCall *pending = NULL;
    int timeout_msec =
        client->is_interactive || client->timeout_msec < 0 ? DBUS_TIMEOUT_INFINITE : client->timeout_msec;
    int r = connection_open(client, &client->error);
    if (r < 0)
        return r;
    if (!connection_can_send(client, message))
        connection_await(client);
    r = call_send(client, message, timeout_msec, &pending);
    if (r < 0)
        return client_fail(client, OWN_NO_MEMORY, NULL);
    if (r > 0)
        return r;
    dbus_pending_call_block(pending);
    DBusMessage *reply = call_take_reply(pending);
    connection_update(client);
    if (!reply)
        return dbus_connection_get_is_connected(connection_get(client))
                   ? client_fail(client, OWN_NO_REPLY, NULL)
                   : CALL_E_DEAD;
    *ret_reply = reply;
    return 0;
}

static int try_twice(struct lwa_client *client, DBusMessage *message, DBusMessage **ret_reply)
{
    bool was_open = connection_get(client) != NULL;
    int r = try_once(client, message, ret_reply);
    if (r != CALL_E_DEAD)
        return r;
    connection_drop(client);
    _cleanup_message_ DBusMessage *again = dbus_message_ref(message);
    r = was_open ? call_renew(&again) : CALL_E_DEAD;
    if (r < 0)
        return client_fail(client, OWN_NO_MEMORY, NULL);
    if (r == 0)
        r = try_once(client, again, ret_reply);
    if (r != CALL_E_DEAD)
        return r;
    connection_drop(client);
    return client_fail(client, OWN_NO_BUS, NULL);
}

int call_wait(struct lwa_client *client, DBusMessage *message, const char *signature, DBusMessage **ret_reply)
{
    _cleanup_message_ DBusMessage *reply = NULL;
    int r = try_twice(client, message, &reply);
    if (r == 0)
        r = call_check_reply(reply, signature, &client->error);
    if (r == 0)
        *ret_reply = TAKE_PTR(reply);
    return r;
}
