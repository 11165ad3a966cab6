/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl login: links the device to an Amazon account by code.
 *
 *   1. Begin makes a request object of ours; it dies with our connection.
 *   2. Its properties bring the code and the address to show; they are asked for once, and then followed by
 *      PropertiesChanged. A signal that came before the answer is older than it, and says nothing else.
 *   3. Finished brings the outcome. Ctrl-C calls Cancel and still waits for Finished, since the login may
 * have been linked at that moment.
 *
 * Invariant: only what the broker's own connection sends is believed. Anyone on the bus can send us a signal
 * with this path and interface, and with it a code of his own to be typed in. */

#include "client/bus.h"
#include "client/login-view.h"
#include "client/outcome.h"
#include "client/terminal.h"
#include "client/values.h"
#include "dbus/names.h"
#include "util/clock.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#define CANCEL_USEC (5 * USEC_PER_SEC)
#define MEMBER_MATCH                                                                                         \
    "type='signal',sender='" DBUS_SERVICE_DBUS "',interface='" DBUS_INTERFACE_DBUS                           \
    "',member='NameOwnerChanged',arg0='" LWA_BUS_NAME "'"

struct login {
    struct bus *bus;
    const struct bus_context *context;
    struct login_view *view;
    char *broker; /* its unique name */
    char *path;
    dbus_uint32_t fetch_serial; /* of the latest GetAll */
    int signal_fd;
    bool is_over;
    int code;                      /* the exit code, once it is over */
    uint64_t cancel_deadline_usec; /* 0: not cancelled */
};

static void login_deinit(struct login *l)
{
    free(l->broker);
    free(l->path);
    close_fd(l->signal_fd);
}

static void end(struct login *l, int code)
{
    l->is_over = true;
    l->code = code;
}

static int new_begin(const struct arguments *arguments, const struct strv *scopes, DBusMessage **ret)
{
    static const struct {
        enum ctl_option option;
        const char *name;
    } texts[] = {
        {OPTION_ACCOUNT, "account"},
        {OPTION_LABEL, "label"},
        {OPTION_LOCALE, "locale"},
        {OPTION_SCOPE_DATA, "scope_data"},
    };
    _cleanup_message_ DBusMessage *call = NULL;
    int r = bus_new_call(LWA_OBJECT_PATH, LWA_INTERFACE_LOGIN, "Begin", &call);
    if (r != CTL_OK)
        return r;

    struct writer w;
    writer_begin(&w, call);
    writer_string(&w, "device-code");
    writer_strv(&w, scopes);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (arguments->given[texts[i].option])
            writer_entry_string(&w, texts[i].name, arguments->values[texts[i].option]);
    if (arguments->given[OPTION_DEVICE])
        writer_entry_string(&w, "owner", "device");
    writer_close(&w);
    r = bus_end_arguments(&w);
    if (r == CTL_OK)
        *ret = TAKE_PTR(call);
    return r;
}

static int begin(struct login *l, const struct arguments *arguments)
{
    _cleanup_message_ DBusMessage *call = NULL, *reply = NULL;
    DBusError error = DBUS_ERROR_INIT;
    const char *path, *sender;

    /* Before the login exists, so that its end cannot be missed. */
    dbus_bus_add_match(l->bus->connection, MEMBER_MATCH, &error);
    if (dbus_error_is_set(&error)) {
        int r = bus_report(error.name, error.message, NULL);
        dbus_error_free(&error);
        return r;
    }
    int r = new_begin(arguments, l->context->scopes, &call);
    if (r == CTL_OK)
        r = bus_call(l->bus, call, "o", l->context, &reply);
    if (r != CTL_OK)
        return r;

    sender = dbus_message_get_sender(reply);
    if (!sender || !dbus_message_get_args(reply, NULL, DBUS_TYPE_OBJECT_PATH, &path, DBUS_TYPE_INVALID))
        return report(CTL_FAILED, "The broker answered in a way that this lwactl does not know.");
    l->broker = strdup(sender);
    l->path = strdup(path);
    return l->broker && l->path ? CTL_OK : report(CTL_FAILED, "out of memory");
}

/* Asks for all properties; the answer comes with the other messages, so that Ctrl-C works meanwhile. */
static int fetch_properties(struct login *l)
{
    _cleanup_message_ DBusMessage *call = NULL;
    int r = bus_new_call(l->path, DBUS_INTERFACE_PROPERTIES, "GetAll", &call);
    if (r != CTL_OK)
        return r;
    dbus_message_set_auto_start(call, FALSE);
    struct writer w;
    writer_begin(&w, call);
    writer_string(&w, LWA_INTERFACE_LOGIN_REQUEST);
    r = bus_end_arguments(&w);
    if (r == CTL_OK && !dbus_connection_send(l->bus->connection, call, &l->fetch_serial))
        r = report(CTL_FAILED, "out of memory");
    dbus_connection_flush(l->bus->connection);
    return r;
}

/* The answer to fetch_properties(). The request may be gone already: then Finished is among what has come. */
static void handle_properties(struct login *l, DBusMessage *m)
{
    _cleanup_json_ struct json_object *properties = NULL;
    const char *error = dbus_message_get_error_name(m);
    if (error && strcmp(error, DBUS_ERROR_UNKNOWN_OBJECT) == 0)
        return;
    if (error || !dbus_message_has_signature(m, "a{sv}")) {
        login_view_leave(l->view);
        end(l, bus_report(error ? error : DBUS_ERROR_INVALID_SIGNATURE, NULL, l->context));
        return;
    }
    if (values_from_message(m, 0, VALUES_SAFE, &properties) < 0)
        end(l, report(CTL_FAILED, "out of memory"));
    else
        login_view_update(l->view, properties);
}

static void handle_changed(struct login *l, DBusMessage *m)
{
    _cleanup_json_ struct json_object *interface = NULL, *changed = NULL, *invalidated = NULL;
    if (values_from_message(m, 0, VALUES_EXACT, &interface) < 0 ||
        values_from_message(m, 1, VALUES_SAFE, &changed) < 0 ||
        values_from_message(m, 2, VALUES_EXACT, &invalidated) < 0) {
        end(l, report(CTL_FAILED, "out of memory"));
        return;
    }
    if (strcmp(json_object_get_string(interface), LWA_INTERFACE_LOGIN_REQUEST) != 0)
        return;
    login_view_update(l->view, changed);
    if (values_count(invalidated) > 0) {
        int r = fetch_properties(l);
        if (r != CTL_OK)
            end(l, r);
    }
}

static void handle_finished(struct login *l, DBusMessage *m)
{
    _cleanup_json_ struct json_object *outcome = NULL, *details = NULL;
    if (values_from_message(m, 0, VALUES_SAFE, &outcome) < 0 ||
        values_from_message(m, 1, VALUES_SAFE, &details) < 0)
        end(l, report(CTL_FAILED, "out of memory"));
    else
        end(l, login_view_finish(l->view, json_object_get_string(outcome), details, l->context));
}

static bool is_broker_gone(const struct login *l, DBusMessage *m)
{
    const char *name, *before, *after;
    return dbus_message_is_signal(m, DBUS_INTERFACE_DBUS, "NameOwnerChanged") &&
           dbus_message_has_sender(m, DBUS_SERVICE_DBUS) &&
           dbus_message_get_args(m, NULL, DBUS_TYPE_STRING, &name, DBUS_TYPE_STRING, &before,
                                 DBUS_TYPE_STRING, &after, DBUS_TYPE_INVALID) &&
           strcmp(name, LWA_BUS_NAME) == 0 && strcmp(before, l->broker) == 0;
}

static void handle_message(struct login *l, DBusMessage *m)
{
    if (is_broker_gone(l, m)) {
        login_view_leave(l->view);
        (void)report(CTL_NO_BROKER,
                     "The broker has left the bus, and the login with it. Nothing was linked.");
        report_hint("once it runs again (`lwactl status`), log in again");
        end(l, CTL_NO_BROKER);
        return;
    }
    if (!dbus_message_has_sender(m, l->broker))
        return;
    if (dbus_message_get_reply_serial(m) == l->fetch_serial) {
        handle_properties(l, m);
        return;
    }
    if (!dbus_message_has_path(m, l->path))
        return;
    if (dbus_message_is_signal(m, DBUS_INTERFACE_PROPERTIES, "PropertiesChanged") &&
        dbus_message_has_signature(m, "sa{sv}as"))
        handle_changed(l, m);
    else if (dbus_message_is_signal(m, LWA_INTERFACE_LOGIN_REQUEST, "Finished") &&
             dbus_message_has_signature(m, "sa{sv}"))
        handle_finished(l, m);
}

static void handle_messages(struct login *l)
{
    DBusConnection *connection = l->bus->connection;
    bool connected = dbus_connection_read_write(connection, 0);
    while (!l->is_over) {
        _cleanup_message_ DBusMessage *m = dbus_connection_pop_message(connection);
        if (!m)
            break;
        handle_message(l, m);
    }
    if (!l->is_over && !connected) {
        login_view_leave(l->view);
        (void)report(CTL_NO_BROKER, "The connection to the system bus is lost, and the login with it.");
        report_hint("log in again once the bus is back");
        end(l, CTL_NO_BROKER);
    }
}

/* The first time asks the broker to cancel and waits for its word; the second time leaves at once, and the
 * request dies with the connection. */
static void handle_signal(struct login *l)
{
    struct signalfd_siginfo info;
    if (read(l->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    login_view_leave(l->view);
    _cleanup_message_ DBusMessage *call =
        dbus_message_new_method_call(LWA_BUS_NAME, l->path, LWA_INTERFACE_LOGIN_REQUEST, "Cancel");
    if (l->cancel_deadline_usec > 0 || !call) {
        end(l, report(CTL_CANCELLED, "Cancelled."));
        return;
    }
    dbus_message_set_no_reply(call, TRUE);
    dbus_message_set_auto_start(call, FALSE);
    (void)dbus_connection_send(l->bus->connection, call, NULL);
    dbus_connection_flush(l->bus->connection);
    l->cancel_deadline_usec = boottime_usec() + CANCEL_USEC;
    login_view_cancelling(l->view);
}

static void wait_for_more(struct login *l)
{
    struct pollfd fds[] = {{.fd = -1, .events = POLLIN}, {.fd = l->signal_fd, .events = POLLIN}};
    if (!dbus_connection_get_unix_fd(l->bus->connection, &fds[0].fd))
        fds[0].fd = -1;
    (void)poll(fds, ARRAY_SIZE(fds), login_view_tick_msec(l->view));
    if (fds[1].revents & POLLIN)
        handle_signal(l);
}

static int follow(struct login *l)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    l->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (l->signal_fd < 0)
        return report(CTL_FAILED, "cannot wait for signals: %s", strerror(errno));

    int r = fetch_properties(l);
    while (r == CTL_OK && !l->is_over) {
        handle_messages(l);
        if (l->is_over)
            break;
        if (l->cancel_deadline_usec > 0 && boottime_usec() >= l->cancel_deadline_usec)
            return report(CTL_CANCELLED, "Cancelled; the broker has not confirmed it.");
        login_view_draw(l->view);
        r = terminal_flush();
        if (r == CTL_OK)
            wait_for_more(l);
    }
    return r == CTL_OK ? l->code : r;
}

static int run(const struct command *command, const struct arguments *arguments)
{
    _cleanup_strv_ struct strv scopes = STRV_EMPTY;
    const char *data = arguments->values[OPTION_SCOPE_DATA];
    int r = options_scopes(command, arguments, &scopes);
    if (r != CTL_OK)
        return r;
    _cleanup_json_ struct json_object *parsed = data ? json_tokener_parse(data) : NULL;
    if (data && !json_object_is_type(parsed, json_type_object))
        return options_usage(command, "--scope-data is no JSON object");

    struct bus_context context = {&scopes, arguments->values[OPTION_ACCOUNT]};
    _cleanup_bus_ struct bus bus = {NULL};
    struct login_view view = {.wants_qr = !arguments->given[OPTION_NO_QR]};
    _cleanup_(login_deinit) struct login login = {
        .bus = &bus,
        .context = &context,
        .view = &view,
        .signal_fd = -1,
    };
    r = bus_open(arguments, &bus);
    if (r == CTL_OK)
        r = begin(&login, arguments);
    return r == CTL_OK ? follow(&login) : r;
}

static const struct option_spec options[] = {
    {OPTION_SCOPES, "scopes", "\"SCOPE...\"", "the scopes, in one argument (or as operands)"},
    {OPTION_DEVICE, "device", NULL, "make it the device's account, shared by policy"},
    {OPTION_ACCOUNT, "account", "ID", "add to this account: the same customer has to log in"},
    {OPTION_LABEL, "label", "TEXT", "what a new account is called"},
    {OPTION_SCOPE_DATA, "scope-data", "JSON", "what some scopes want to know, such as alexa:all"},
    {OPTION_LOCALE, "locale", "LOCALE", "language of Amazon's page, such as de-DE"},
    {OPTION_NO_QR, "no-qr", NULL, "show no QR code"},
};

const struct command command_login = {
    .name = "login",
    .synopsis = "login SCOPE... [--device] [--account ID] [--label TEXT]\n"
                "      [--scope-data JSON] [--locale LOCALE] [--no-qr]\n"
                "login --scopes \"SCOPE...\" [OPTION]...",
    .summary = "Link this device to an Amazon account, by a code",
    .details = "Shows a code and an address; the person opens the address on any device, logs in to\n"
               "Amazon and types the code. Ctrl-C cancels.\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .run = run,
};
