/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bench/bench.h"

#include "dbus/names.h"

#include <string.h>

#define CALL_TIMEOUT_MSEC 30000

static const char *const one_scope[] = {"music::library"};
static const char *const two_scopes[] = {"music::library:read", "music::playback"};

DBusConnection *connect_to(const char *address)
{
    DBusError error = DBUS_ERROR_INIT;
    DBusConnection *connection = dbus_connection_open_private(address, &error);
    if (!connection || !dbus_bus_register(connection, &error))
        die("no connection to %s: %s", address, error.message);
    dbus_connection_set_exit_on_disconnect(connection, TRUE);
    return connection;
}

void disconnect(DBusConnection *connection)
{
    dbus_connection_set_exit_on_disconnect(connection, FALSE);
    dbus_connection_close(connection);
    dbus_connection_unref(connection);
}

static void append_option(DBusMessageIter *dict, const char *name, const char *value)
{
    DBusMessageIter entry, variant;
    if (!dbus_message_iter_open_container(dict, DBUS_TYPE_DICT_ENTRY, NULL, &entry) ||
        !dbus_message_iter_append_basic(&entry, DBUS_TYPE_STRING, &name) ||
        !dbus_message_iter_open_container(&entry, DBUS_TYPE_VARIANT, "s", &variant) ||
        !dbus_message_iter_append_basic(&variant, DBUS_TYPE_STRING, &value) ||
        !dbus_message_iter_close_container(&entry, &variant) ||
        !dbus_message_iter_close_container(dict, &entry))
        die("no memory");
}

/* `account` NULL: the caller's default. */
static void append_arguments(DBusMessage *message, const char *const *scopes, size_t n, const char *account)
{
    DBusMessageIter args, array;
    dbus_message_iter_init_append(message, &args);
    if (!dbus_message_iter_open_container(&args, DBUS_TYPE_ARRAY, "s", &array))
        die("no memory");
    for (size_t i = 0; i < n; i++)
        if (!dbus_message_iter_append_basic(&array, DBUS_TYPE_STRING, &scopes[i]))
            die("no memory");
    if (!dbus_message_iter_close_container(&args, &array) ||
        !dbus_message_iter_open_container(&args, DBUS_TYPE_ARRAY, "{sv}", &array))
        die("no memory");
    if (account)
        append_option(&array, "account", account);
    if (!dbus_message_iter_close_container(&args, &array))
        die("no memory");
}

DBusMessage *new_call(enum target target)
{
    static const char *const names[TARGET_COUNT] = {LWA_BUS_NAME, BARE_NAME, BARE_NAME};
    DBusMessage *message =
        target == TARGET_PING
            ? dbus_message_new_method_call(names[target], LWA_OBJECT_PATH, DBUS_INTERFACE_PEER, "Ping")
            : dbus_message_new_method_call(names[target], LWA_OBJECT_PATH, LWA_INTERFACE_BROKER, "GetToken");
    if (!message)
        die("no memory");
    if (target != TARGET_PING)
        append_arguments(message, one_scope, ARRAY_SIZE(one_scope), NULL);
    return message;
}

static DBusMessage *new_get_token(const char *const *scopes, size_t n, const char *account)
{
    DBusMessage *message =
        dbus_message_new_method_call(LWA_BUS_NAME, LWA_OBJECT_PATH, LWA_INTERFACE_BROKER, "GetToken");
    if (!message)
        die("no memory");
    append_arguments(message, scopes, n, account);
    return message;
}

DBusMessage *new_check_call(void)
{
    DBusMessage *message =
        dbus_message_new_method_call(LWA_BUS_NAME, LWA_OBJECT_PATH, LWA_INTERFACE_BROKER, "CheckScopes");
    if (!message)
        die("no memory");
    append_arguments(message, one_scope, ARRAY_SIZE(one_scope), NULL);
    return message;
}

DBusMessage *new_account_call(const char *account)
{
    return new_get_token(one_scope, ARRAY_SIZE(one_scope), account);
}

DBusMessage *new_two_scopes_call(void)
{
    return new_get_token(two_scopes, ARRAY_SIZE(two_scopes), NULL);
}

static unsigned count_values(DBusMessageIter *iter)
{
    unsigned n = 0;
    for (int type; (type = dbus_message_iter_get_arg_type(iter)) != DBUS_TYPE_INVALID;
         dbus_message_iter_next(iter)) {
        DBusBasicValue value;
        DBusMessageIter inner;
        if (dbus_type_is_basic(type)) {
            dbus_message_iter_get_basic(iter, &value);
            n++;
            if (type == DBUS_TYPE_UNIX_FD)
                (void)close_fd(value.fd);
        } else {
            dbus_message_iter_recurse(iter, &inner);
            n += count_values(&inner);
        }
    }
    return n;
}

void read_reply(enum target target, DBusMessage *reply)
{
    DBusMessageIter args;
    if (dbus_message_get_type(reply) == DBUS_MESSAGE_TYPE_ERROR)
        die("a call was answered with %s", dbus_message_get_error_name(reply));
    if (target == TARGET_PING)
        return;
    if (!dbus_message_has_signature(reply, "ha{sv}") || !dbus_message_iter_init(reply, &args))
        die("GetToken answered with (%s)", dbus_message_get_signature(reply));
    if (count_values(&args) < 17) /* the descriptor, eight keys and their values, `scopes` being one or two */
        die("GetToken's dictionary is not what the bare handler's is");
}

double precise_usec(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

double timed_message(DBusConnection *connection, enum target target, DBusMessage *call)
{
    DBusError error = DBUS_ERROR_INIT;
    double before = precise_usec();
    DBusMessage *reply =
        dbus_connection_send_with_reply_and_block(connection, call, CALL_TIMEOUT_MSEC, &error);
    if (!reply)
        die("a call failed: %s: %s", error.name, error.message);
    read_reply(target, reply);
    dbus_message_unref(reply);
    double taken = precise_usec() - before;
    dbus_message_unref(call);
    return taken;
}

double timed_call(DBusConnection *connection, enum target target)
{
    return timed_message(connection, target, new_call(target));
}
