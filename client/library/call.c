/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/library/call.h"

#include "client/library/connection.h"
#include "dbus/names.h"
#include "dbus/writer.h"
#include "util/clock.h"

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

int call_send(struct lwa_client *client, DBusMessage *message, DBusPendingCall **ret_pending)
{
    DBusPendingCall *pending = NULL;
    if (!dbus_connection_send_with_reply(connection_get(client), message, &pending, DBUS_TIMEOUT_INFINITE))
        return -ENOMEM;
    if (!pending)
        return CALL_E_DEAD;
    *ret_pending = pending;
    connection_update(client);
    return 0;
}

/* What libdbus makes up for the calls of a dead connection has no sender, as what came over the bus has one.
 * But what a sandbox's proxy answers itself has none either. */
static bool is_made_up(DBusMessage *reply)
{
    return !dbus_message_get_sender(reply) && (dbus_message_is_error(reply, DBUS_ERROR_NO_REPLY) ||
                                               dbus_message_is_error(reply, DBUS_ERROR_DISCONNECTED));
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

/* The answer to what was sent: 0 with a reply, whatever it says; CALL_E_DEAD or -ETIMEDOUT. */
static int await_reply(struct lwa_client *client, DBusPendingCall *pending, uint64_t deadline_usec,
                       DBusMessage **ret_reply)
{
    int r = connection_wait(client, pending, deadline_usec);
    if (r != 0) {
        dbus_pending_call_cancel(pending);
        dbus_pending_call_unref(pending);
        return r < 0 ? r : CALL_E_DEAD;
    }
    *ret_reply = call_take_reply(pending);
    if (*ret_reply)
        return 0;
    connection_drop(client);
    return CALL_E_DEAD;
}

/* The same, or -ENOMEM. After CALL_E_DEAD the connection has been dropped. */
static int send_and_wait(struct lwa_client *client, DBusMessage *message, uint64_t deadline_usec,
                         DBusMessage **ret_reply)
{
    int r = connection_await(client, message, deadline_usec);
    if (r != 0)
        return r < 0 ? r : CALL_E_DEAD;
    DBusPendingCall *pending = NULL;
    r = call_send(client, message, &pending);
    if (r == CALL_E_DEAD)
        connection_drop(client);
    return r == 0 ? await_reply(client, pending, deadline_usec, ret_reply) : r;
}

static int try_once(struct lwa_client *client, DBusMessage *message, uint64_t deadline_usec,
                    DBusMessage **ret_reply)
{
    int r = connection_open(client, &client->error);
    if (r < 0)
        return r;
    r = send_and_wait(client, message, deadline_usec, ret_reply);
    if (r < 0)
        return client_fail(client, r == -ETIMEDOUT ? OWN_NO_REPLY : OWN_NO_MEMORY, NULL);
    return r;
}

static int try_twice(struct lwa_client *client, DBusMessage *message, uint64_t deadline_usec,
                     DBusMessage **ret_reply)
{
    bool was_open = connection_get(client) != NULL;
    int r = try_once(client, message, deadline_usec, ret_reply);
    if (r != CALL_E_DEAD)
        return r;
    _cleanup_message_ DBusMessage *again = dbus_message_ref(message);
    r = was_open ? call_renew(&again) : CALL_E_DEAD;
    if (r == -ENOMEM)
        return client_fail(client, OWN_NO_MEMORY, NULL);
    if (r == 0)
        r = try_once(client, again, deadline_usec, ret_reply);
    return r == CALL_E_DEAD ? client_fail(client, OWN_NO_BUS, NULL) : r;
}

uint64_t call_get_deadline_usec(const struct lwa_client *client)
{
    if (client->is_interactive || client->timeout_msec < 0)
        return UINT64_MAX;
    return boottime_usec() + (uint64_t)client->timeout_msec * USEC_PER_MSEC;
}

int call_wait(struct lwa_client *client, DBusMessage *message, const char *signature, DBusMessage **ret_reply)
{
    _cleanup_message_ DBusMessage *reply = NULL;
    int r = try_twice(client, message, call_get_deadline_usec(client), &reply);
    if (r == 0)
        r = call_check_reply(reply, signature, &client->error);
    if (r == 0)
        *ret_reply = TAKE_PTR(reply);
    return r;
}
