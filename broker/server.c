/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/server.h"

#include "broker/broker.h"
#include "broker/handlers.h"
#include "broker/login.h"
#include "broker/peer.h"
#include "dbus/interfaces.h"
#include "util/clock.h"
#include "util/log.h"

#include <string.h>

#define INTROSPECTION_DOCTYPE                                                                                \
    "<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n"                     \
    "  \"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n"

static const char standard_interfaces[] =
    "  <interface name=\"org.freedesktop.DBus.Introspectable\">\n"
    "    <method name=\"Introspect\"><arg name=\"xml\" type=\"s\" direction=\"out\"/></method>\n"
    "  </interface>\n"
    "  <interface name=\"org.freedesktop.DBus.Peer\">\n"
    "    <method name=\"Ping\"/>\n"
    "    <method name=\"GetMachineId\"><arg name=\"id\" type=\"s\" direction=\"out\"/></method>\n"
    "  </interface>\n"
    "  <interface name=\"org.freedesktop.DBus.Properties\">\n"
    "    <method name=\"Get\"><arg name=\"interface\" type=\"s\" direction=\"in\"/>"
    "<arg name=\"property\" type=\"s\" direction=\"in\"/><arg name=\"value\" type=\"v\" "
    "direction=\"out\"/></method>\n"
    "    <method name=\"GetAll\"><arg name=\"interface\" type=\"s\" direction=\"in\"/>"
    "<arg name=\"properties\" type=\"a{sv}\" direction=\"out\"/></method>\n"
    "    <method name=\"Set\"><arg name=\"interface\" type=\"s\" direction=\"in\"/>"
    "<arg name=\"property\" type=\"s\" direction=\"in\"/><arg name=\"value\" type=\"v\" "
    "direction=\"in\"/></method>\n"
    "    <signal name=\"PropertiesChanged\"><arg name=\"interface\" type=\"s\"/>"
    "<arg name=\"changed\" type=\"a{sv}\"/><arg name=\"invalidated\" type=\"as\"/></signal>\n"
    "  </interface>\n";

/* --- objects ----------------------------------------------------------------------------------------- */

enum object { OBJECT_NONE, OBJECT_BRANCH, OBJECT_BROKER, OBJECT_LOGIN };

/* What is on this path, for this caller; a branch is a path above an object. */
static enum object find_object(const struct peer *peer, const char *path, struct login **ret_login)
{
    size_t n = strlen(path);
    *ret_login = login_find((struct peer *)peer, path);
    if (*ret_login)
        return OBJECT_LOGIN;
    if (strcmp(path, LWA_OBJECT_PATH) == 0)
        return OBJECT_BROKER;
    if (strcmp(path, "/") == 0 ||
        (strncmp(LWA_LOGIN_PATH_PREFIX, path, n) == 0 && LWA_LOGIN_PATH_PREFIX[n] == '/'))
        return OBJECT_BRANCH;
    return OBJECT_NONE;
}

static const struct method *const broker_methods[] = {
    broker1_methods, login1_methods,  accounts1_methods, audit1_methods,
    keys1_methods,   policy1_methods, status1_methods,
};

static const char *const broker_interfaces[] = {
    LWA_INTERFACE_BROKER, LWA_INTERFACE_LOGIN,  LWA_INTERFACE_ACCOUNTS, LWA_INTERFACE_AUDIT,
    LWA_INTERFACE_KEYS,   LWA_INTERFACE_POLICY, LWA_INTERFACE_STATUS,
};

static const struct method *find_in(const struct method *methods, const char *interface, const char *member)
{
    for (; methods->interface; methods++)
        if (strcmp(methods->interface, interface) == 0 && strcmp(methods->member, member) == 0)
            return methods;
    return NULL;
}

static const struct method *find_method(enum object object, const char *interface, const char *member)
{
    if (object == OBJECT_LOGIN)
        return find_in(login1_request_methods, interface, member);
    const struct method *found = NULL;
    for (size_t i = 0; object == OBJECT_BROKER && !found && i < ARRAY_SIZE(broker_methods); i++)
        found = find_in(broker_methods[i], interface, member);
    return found;
}

/* --- Introspectable ---------------------------------------------------------------------------------- */

static bool is_open_to(const struct peer *peer, const char *interface)
{
    return !identity_is_sandboxed(&peer->identity) || strcmp(interface, LWA_INTERFACE_BROKER) == 0;
}

static void add_interface(FILE *out, const char *name)
{
    for (const struct bus_interface *i = bus_interfaces; i->name; i++)
        if (strcmp(i->name, name) == 0)
            (void)fputs(i->xml, out);
}

/* The name of the next element of `of` below `path`. */
static void add_child(FILE *out, const char *path, const char *of)
{
    size_t n = strcmp(path, "/") == 0 ? 0 : strlen(path);
    if (strncmp(path, of, n) != 0 || of[n] != '/')
        return;
    const char *name = of + n + 1;
    (void)fprintf(out, "  <node name=\"%.*s\"/>\n", (int)strcspn(name, "/"), name);
}

static void add_children(FILE *out, const struct peer *peer, const char *path, enum object object)
{
    bool is_login_branch = object == OBJECT_BRANCH && strcmp(path, "/org/lwabroker/Broker1/login") == 0;
    const struct login *login;
    if (is_login_branch)
        LIST_FOREACH (login, &peer->logins, in_peer)
            add_child(out, path, login->path);
    else if (object != OBJECT_LOGIN)
        add_child(out, path, LWA_LOGIN_PATH_PREFIX);
}

static char *describe(const struct peer *peer, const char *path, enum object object)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    if (!out)
        return NULL;
    (void)fputs(INTROSPECTION_DOCTYPE "<node>\n", out);
    (void)fputs(standard_interfaces, out);
    for (size_t i = 0; object == OBJECT_BROKER && i < ARRAY_SIZE(broker_interfaces); i++)
        if (is_open_to(peer, broker_interfaces[i]))
            add_interface(out, broker_interfaces[i]);
    if (object == OBJECT_LOGIN)
        add_interface(out, LWA_INTERFACE_LOGIN_REQUEST);
    add_children(out, peer, path, object);
    (void)fputs("</node>\n", out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static void introspect(struct call *call, enum object object)
{
    _cleanup_free_ char *text = describe(call->peer, dbus_message_get_path(call->message), object);
    if (!text) {
        call_fail_no_memory(call);
        return;
    }
    struct writer w;
    DBusMessage *reply = call_reply(call, &w);
    if (reply)
        writer_string(&w, text);
    call_send(call, reply, &w);
}

/* --- Properties -------------------------------------------------------------------------------------- */

static bool write_properties(struct call *call, enum object object, struct login *login,
                             const char *interface, struct writer *w, const char *name)
{
    if (object == OBJECT_BROKER && strcmp(interface, LWA_INTERFACE_BROKER) == 0)
        return broker1_write_properties(call, w, name);
    if (object == OBJECT_LOGIN && strcmp(interface, LWA_INTERFACE_LOGIN_REQUEST) == 0)
        return login_write_properties(login, w, name);
    return !name; /* an interface without properties has none */
}

static void get_all(struct call *call, enum object object, struct login *login, const char *interface)
{
    struct writer w;
    DBusMessage *reply = call_reply(call, &w);
    if (reply) {
        writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
        (void)write_properties(call, object, login, interface, &w, NULL);
        writer_close(&w);
    }
    call_send(call, reply, &w);
}

/* The one value is taken out of the one entry that the property's writer makes. */
static DBusMessage *new_value_reply(struct call *call, DBusMessage *scratch)
{
    DBusMessageIter args, dict, entry, value, out, out_variant;
    (void)dbus_message_iter_init(scratch, &args);
    dbus_message_iter_recurse(&args, &dict);
    dbus_message_iter_recurse(&dict, &entry);
    dbus_message_iter_next(&entry);
    dbus_message_iter_recurse(&entry, &value);

    struct writer w;
    DBusMessage *reply = call_reply(call, &w);
    if (!reply)
        return NULL;
    int type = dbus_message_iter_get_arg_type(&value);
    bool is_array = type == DBUS_TYPE_ARRAY;
    char signature[] = {(char)type, '\0'};
    dbus_message_iter_init_append(reply, &out);
    dbus_bool_t done =
        dbus_message_iter_open_container(&out, DBUS_TYPE_VARIANT, is_array ? "as" : signature, &out_variant);
    if (done && is_array) {
        _cleanup_strv_ struct strv all = STRV_EMPTY;
        struct writer inner = {.depth = 0};
        inner.stack[0] = out_variant;
        done = reader_strv(&value, 256, &all) == 0;
        writer_strv(&inner, &all);
        done = done && writer_end(&inner) == 0;
        out_variant = inner.stack[0];
    } else if (done) {
        DBusBasicValue basic;
        dbus_message_iter_get_basic(&value, &basic);
        done = dbus_message_iter_append_basic(&out_variant, type, &basic);
    }
    if (!done || !dbus_message_iter_close_container(&out, &out_variant)) {
        dbus_message_unref(reply);
        return NULL;
    }
    return reply;
}

static void get_one(struct call *call, enum object object, struct login *login, const char *interface,
                    const char *name)
{
    struct writer w, done = {.error = 0};
    DBusMessage *scratch = dbus_message_new(DBUS_MESSAGE_TYPE_SIGNAL);
    if (!scratch) {
        call_fail_no_memory(call);
        return;
    }
    writer_begin(&w, scratch);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    bool exists = write_properties(call, object, login, interface, &w, name);
    writer_close(&w);
    if (!exists)
        call_fail_dbus(call, DBUS_ERROR_UNKNOWN_PROPERTY, "There is no such property.");
    else
        call_send(call, writer_end(&w) == 0 ? new_value_reply(call, scratch) : NULL, &done);
    dbus_message_unref(scratch);
}

static void handle_properties(struct call *call, enum object object, struct login *login)
{
    const char *member = dbus_message_get_member(call->message);
    const char *interface, *name;
    if (strcmp(member, "GetAll") == 0 && dbus_message_has_signature(call->message, "s") &&
        dbus_message_get_args(call->message, NULL, DBUS_TYPE_STRING, &interface, DBUS_TYPE_INVALID))
        get_all(call, object, login, interface);
    else if (strcmp(member, "Get") == 0 && dbus_message_has_signature(call->message, "ss") &&
             dbus_message_get_args(call->message, NULL, DBUS_TYPE_STRING, &interface, DBUS_TYPE_STRING, &name,
                                   DBUS_TYPE_INVALID))
        get_one(call, object, login, interface, name);
    else if (strcmp(member, "Set") == 0)
        call_fail_dbus(call, DBUS_ERROR_PROPERTY_READ_ONLY, "All properties are read only.");
    else
        call_fail_dbus(call, DBUS_ERROR_UNKNOWN_METHOD,
                       "There is no such method, or its arguments are others.");
}

/* --- dispatch ---------------------------------------------------------------------------------------- */

static void handle_peer_interface(struct call *call)
{
    const char *member = dbus_message_get_member(call->message);
    if (strcmp(member, "Ping") == 0) {
        call_done(call);
        return;
    }
    char *id = strcmp(member, "GetMachineId") == 0 ? dbus_try_get_local_machine_id(NULL) : NULL;
    if (!id) {
        call_fail_dbus(call, DBUS_ERROR_UNKNOWN_METHOD, "There is no such method.");
        return;
    }
    struct writer w;
    DBusMessage *reply = call_reply(call, &w);
    if (reply)
        writer_string(&w, id);
    dbus_free(id);
    call_send(call, reply, &w);
}

/* The signature of the contract, or the same with a{ss} where it has a{sv}: dbus-send and shells cannot write
 * variants, and an option that is a string needs none. */
static bool is_signature(const char *found, const char *expected)
{
    for (; *found && *expected; found++, expected++)
        if (*found != *expected && !(*found == 's' && *expected == 'v'))
            return false;
    return *found == *expected;
}

static void handle_own(struct call *call, enum object object, const char *interface, const char *member)
{
    const struct method *method = find_method(object, interface, member);
    if (!method)
        call_fail_dbus(call, DBUS_ERROR_UNKNOWN_METHOD, "There is no such method on this object.");
    else if (!is_signature(dbus_message_get_signature(call->message), method->signature))
        call_fail(call, BUS_E_INVALID_ARGUMENT, "The arguments of %s are (%s).", method->member,
                  method->signature);
    else
        method->handle(call);
}

static void fail_no_object(struct call *call)
{
    call_fail_dbus(call, DBUS_ERROR_UNKNOWN_OBJECT, "There is no such object.");
}

/* D-Bus's own interfaces, for who is identified: an object can have gone while that took its time. */
static void handle_standard(struct call *call)
{
    const char *interface = dbus_message_get_interface(call->message);
    const char *member = dbus_message_get_member(call->message);
    struct login *login;
    enum object object = find_object(call->peer, dbus_message_get_path(call->message), &login);
    if (strcmp(interface, DBUS_INTERFACE_PEER) == 0)
        handle_peer_interface(call);
    else if (object == OBJECT_NONE)
        fail_no_object(call);
    else if (strcmp(interface, DBUS_INTERFACE_PROPERTIES) == 0)
        handle_properties(call, object, login);
    else if (strcmp(member, "Introspect") == 0)
        introspect(call, object);
    else
        call_fail_dbus(call, DBUS_ERROR_UNKNOWN_METHOD, "There is no such method on this object.");
}

static bool is_standard(const char *interface)
{
    return strcmp(interface, DBUS_INTERFACE_PEER) == 0 || strcmp(interface, DBUS_INTERFACE_PROPERTIES) == 0 ||
           strcmp(interface, DBUS_INTERFACE_INTROSPECTABLE) == 0;
}

static void dispatch(struct call *call)
{
    const char *interface = dbus_message_get_interface(call->message);
    const char *member = dbus_message_get_member(call->message);
    struct login *login;
    enum object object = find_object(call->peer, dbus_message_get_path(call->message), &login);
    if (is_standard(interface))
        call_identify(call, handle_standard);
    else if (object == OBJECT_NONE)
        fail_no_object(call);
    else
        handle_own(call, object, interface, member);
}

/* These take one descriptor, and let go of it before they wait. The bus policy stops all others already, on a
 * bus that can tell. */
static bool takes_descriptor(DBusMessage *message)
{
    return dbus_message_is_method_call(message, LWA_INTERFACE_LOGIN, "Begin") ||
           dbus_message_is_method_call(message, LWA_INTERFACE_AUDIT, "FindToken") ||
           dbus_message_is_method_call(message, LWA_INTERFACE_AUDIT, "Verify");
}

/* Messages that never become calls, each with its fault. */
static const char *find_fault(DBusMessage *message, const char **ret_error)
{
    if (!dbus_message_get_interface(message)) {
        *ret_error = DBUS_ERROR_UNKNOWN_METHOD;
        return "Name the interface.";
    }
    if (dbus_message_contains_unix_fds(message) && !takes_descriptor(message)) {
        *ret_error = bus_error_name(BUS_E_INVALID_ARGUMENT);
        return "This method takes no descriptor.";
    }
    return NULL;
}

/* For the administrator, who is told who it is, and cannot be told so often that the log is full of it. */
static void tell_log(struct broker *broker, const struct peer *peer, const struct refusal *refusal)
{
    uint64_t now = boottime_usec();
    if (!peer || !peer->is_known ||
        (broker->refusal_told_usec && now - broker->refusal_told_usec < LIMIT_REFUSAL_LOG_SEC * USEC_PER_SEC))
        return;
    broker->refusal_told_usec = now;
    log_warning("%s (uid %u) is refused: %s", peer->identity.app, (unsigned)peer->identity.uid,
                refusal->what);
}

static void refuse(struct broker *broker, struct peer *peer, DBusMessage *message, int error,
                   const struct refusal *refusal)
{
    char sentence[REFUSAL_SENTENCE_SIZE];
    struct quota *quota = peer ? &peer->quota : &broker->quotas.strangers;
    if (error == -EUSERS)
        tell_log(broker, peer, refusal);
    if (error != -EUSERS) {
        call_refuse(broker, message, DBUS_ERROR_NO_MEMORY, BUS_NO_MEMORY_SENTENCE);
    } else if ((peer && refusal->remedy) || quota_answers_refusal(quota, boottime_usec())) {
        /* A count costs its caller a unit each time; a rate, or not even being remembered, costs nothing. */
        refusal_explain(refusal, sentence);
        call_refuse(broker, message, bus_error_name(BUS_E_RATE_LIMITED), sentence);
    }
}

/* What it costs to call this, by name alone: before anything else is read, and so that whoever is refused is
 * told the time after which this very call can be made. */
static unsigned cost_of(DBusMessage *message)
{
    static const struct {
        const char *member;
        unsigned cost;
    } dear[] = {
        {"Begin", COST_LOGIN},           {"Query", COST_AUDIT},   {"ListExposure", COST_AUDIT},
        {"Matrix", COST_AUDIT},          {"WhoHas", COST_AUDIT},  {"FindToken", COST_AUDIT},
        {"Verify", COST_VERIFY},         {"Setup", COST_CHANGE},  {"SetConsent", COST_CHANGE},
        {"RevokeApp", COST_REVOKE},      {"Check", COST_CHANGE},  {"Plan", COST_CHANGE},
        {"ReportRejected", COST_REPORT}, {"Remove", COST_CHANGE}, {"SetDefault", COST_CHANGE},
        {"Rename", COST_CHANGE},         {"Rekey", COST_CHANGE},  {"Complete", COST_CHANGE},
        {"Reload", COST_CHANGE},
    };
    const char *member = dbus_message_get_member(message);
    for (size_t i = 0; i < ARRAY_SIZE(dear); i++)
        if (strcmp(dear[i].member, member) == 0)
            return dear[i].cost;
    return 1;
}

/* The call, charged to its caller, or NULL when it has been refused. What is refused costs next to nothing:
 * it is neither read nor, as long as the caller is known, is anything looked up. */
static struct call *take_in(struct broker *broker, DBusMessage *message, const char *sender)
{
    struct peer *peer = NULL;
    struct call *call = NULL;
    struct refusal refusal;
    int r = peer_get(broker, sender, &peer, &refusal);
    if (r == 0)
        r = quota_take(&peer->quota, cost_of(message), boottime_usec(), &refusal);
    const char *error = NULL;
    const char *fault = r == 0 ? find_fault(message, &error) : NULL;
    if (fault) {
        call_refuse(broker, message, error, fault);
        return NULL;
    }
    if (r == 0)
        r = call_new(broker, peer, message, &call, &refusal);
    if (r < 0)
        refuse(broker, peer, message, r, &refusal);
    return call;
}

void server_handle(struct broker *broker, DBusMessage *message)
{
    const char *sender = dbus_message_get_sender(message);
    if (!sender || !dbus_message_get_path(message) || !dbus_message_get_member(message))
        return;
    if (broker->is_stopping) {
        call_refuse(broker, message, DBUS_ERROR_NO_REPLY, "The broker is stopping; call again.");
        return;
    }
    struct call *call = take_in(broker, message, sender);
    if (call)
        dispatch(call);
}
