/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Questions to the trail, as an administrator's tool asks them. */

#include "tests/bench/bench.h"

#include "dbus/names.h"

#define LAST 50

static DBusMessage *new_question(const char *member)
{
    DBusMessage *message =
        dbus_message_new_method_call(LWA_BUS_NAME, LWA_OBJECT_PATH, LWA_INTERFACE_AUDIT, member);
    if (!message)
        die("no memory");
    return message;
}

static void append_value(DBusMessageIter *dict, const char *name, int type, const char *signature,
                         const void *value)
{
    DBusMessageIter entry, variant;
    if (!dbus_message_iter_open_container(dict, DBUS_TYPE_DICT_ENTRY, NULL, &entry) ||
        !dbus_message_iter_append_basic(&entry, DBUS_TYPE_STRING, &name) ||
        !dbus_message_iter_open_container(&entry, DBUS_TYPE_VARIANT, signature, &variant) ||
        !dbus_message_iter_append_basic(&variant, type, value) ||
        !dbus_message_iter_close_container(&entry, &variant) ||
        !dbus_message_iter_close_container(dict, &entry))
        die("no memory");
}

static DBusMessage *new_last(const char *app)
{
    DBusMessage *message = new_question("Query");
    DBusMessageIter args, dict;
    dbus_bool_t newest = TRUE;
    dbus_uint64_t after = 0;
    dbus_uint32_t limit = LAST;
    dbus_message_iter_init_append(message, &args);
    if (!dbus_message_iter_open_container(&args, DBUS_TYPE_ARRAY, "{sv}", &dict))
        die("no memory");
    append_value(&dict, "app", DBUS_TYPE_STRING, "s", &app);
    append_value(&dict, "newest", DBUS_TYPE_BOOLEAN, "b", &newest);
    if (!dbus_message_iter_close_container(&args, &dict) ||
        !dbus_message_iter_append_basic(&args, DBUS_TYPE_UINT64, &after) ||
        !dbus_message_iter_append_basic(&args, DBUS_TYPE_UINT32, &limit))
        die("no memory");
    return message;
}

static DBusMessage *new_who_has(const char *scope)
{
    DBusMessage *message = new_question("WhoHas");
    DBusMessageIter args, dict;
    dbus_message_iter_init_append(message, &args);
    if (!dbus_message_iter_append_basic(&args, DBUS_TYPE_STRING, &scope) ||
        !dbus_message_iter_open_container(&args, DBUS_TYPE_ARRAY, "{sv}", &dict) ||
        !dbus_message_iter_close_container(&args, &dict))
        die("no memory");
    return message;
}

/* Drops the question. */
static double timed_question(DBusConnection *connection, DBusMessage *question, int *ret_rows)
{
    DBusError error = DBUS_ERROR_INIT;
    double before = precise_usec();
    DBusMessage *reply = dbus_connection_send_with_reply_and_block(connection, question, 60000, &error);
    double usec = precise_usec() - before;
    if (!reply)
        die("%s: %s", dbus_message_get_member(question), error.message);
    DBusMessageIter args;
    if (!dbus_message_iter_init(reply, &args))
        die("an answer without rows");
    *ret_rows = dbus_message_iter_get_element_count(&args);
    dbus_message_unref(reply);
    dbus_message_unref(question);
    return usec;
}

void measure_audit(const char *address, const char *app, const char *scope, unsigned times)
{
    struct samples last = {.n = 0}, who_has = {.n = 0};
    DBusConnection *connection = connect_to(address);
    int rows = 0, holders = 0;
    for (unsigned i = 0; i < times; i++) {
        samples_add(&last, timed_question(connection, new_last(app), &rows));
        if (rows != LAST)
            die("%s has %d records, and not %d", app, rows, LAST);
        samples_add(&who_has, timed_question(connection, new_who_has(scope), &holders));
        if (holders == 0)
            die("nobody has %s", scope);
    }
    figures_add("audit_last_ms", samples_quantile(&last, 0.5) / 1000);
    figures_add("audit_last_p99_ms", samples_quantile(&last, 0.99) / 1000);
    figures_add("audit_who_has_ms", samples_quantile(&who_has, 0.5) / 1000);
    figures_add("audit_who_has_p99_ms", samples_quantile(&who_has, 0.99) / 1000);
    figures_add("audit_who_has_rows", holders);
    samples_clear(&last);
    samples_clear(&who_has);
    disconnect(connection);
}
