/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/login.h"

#include "client/lwactl/browser.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/terminal.h"
#include "client/lwactl/values.h"
#include "dbus/names.h"
#include "util/clock.h"

#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#define CANCEL_USEC (5 * USEC_PER_SEC)
#define MEMBER_MATCH                                                                                         \
    "type='signal',sender='" DBUS_SERVICE_DBUS "',interface='" DBUS_INTERFACE_DBUS                           \
    "',member='NameOwnerChanged',arg0='" LWA_BUS_NAME "'"

void login_deinit(struct login *l)
{
    free(l->broker);
    free(l->path);
    l->signal_fd = close_fd(l->signal_fd);
}

static void end(struct login *l, int code)
{
    l->is_over = true;
    l->code = code;
}

int login_begin(struct login *l, DBusMessage *call)
{
    _cleanup_message_ DBusMessage *reply = NULL;
    DBusError error = DBUS_ERROR_INIT;
    const char *path, *sender;

    /* Before the login exists, so that its end cannot be missed. */
    dbus_bus_add_match(l->bus->connection, MEMBER_MATCH, &error);
    if (dbus_error_is_set(&error)) {
        int r = bus_report(error.name, error.message, NULL);
        dbus_error_free(&error);
        return r;
    }
    int r = bus_call(l->bus, call, "o", l->context, &reply);
    if (r != CTL_OK)
        return r;

    sender = dbus_message_get_sender(reply);
    if (!sender || !dbus_message_get_args(reply, NULL, DBUS_TYPE_OBJECT_PATH, &path, DBUS_TYPE_INVALID))
        return bus_report_unknown_answer();
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

/* --- the answer of a redirect ------------------------------------------------------------------------- */

/* Lets the person type, if it is a person who answers. */
static void ask(struct login *l)
{
    if (!l->answers->listener && isatty(STDIN_FILENO))
        login_view_ask(l->view);
}

/* The address to open is on the screen: from now on an answer can come. */
static void open_answers(struct login *l)
{
    int r = answers_open(l->answers, l->view->authorize_uri);
    if (r != CTL_OK) {
        end(l, r);
        return;
    }
    /* The browser is sent to us first, since others can see what it is started with. */
    if (l->wants_browser && browser_open(listener_begin_uri(l->answers->listener)))
        login_view_opened(l->view);
    else if (l->answers->listener && getenv("SSH_CONNECTION"))
        login_view_tell_of_ssh(l->view, listener_port(l->answers->listener));
    ask(l);
}

static void update_view(struct login *l, struct json_object *properties)
{
    login_view_update(l->view, properties);
    if (l->answers && l->view->has_shown_address && !l->answers->is_open)
        open_answers(l);
}

static int complete(struct login *l, const struct redirect *answer)
{
    _cleanup_message_ DBusMessage *call = NULL;
    int r = bus_new_call(l->path, LWA_INTERFACE_LOGIN_REQUEST, "Complete", &call);
    if (r != CTL_OK)
        return r;
    dbus_message_set_auto_start(call, FALSE);
    struct writer w;
    writer_begin(&w, call);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    if (*answer->error)
        writer_entry_string(&w, "error", answer->error);
    else
        writer_entry_string(&w, "code", answer->code);
    writer_entry_string(&w, "state", answer->state);
    if (answer->has_scope && !*answer->error)
        writer_entry_string(&w, "scope", answer->scope);
    writer_close(&w);
    r = bus_end_arguments(&w);
    if (r == CTL_OK && !dbus_connection_send(l->bus->connection, call, &l->complete_serial))
        r = report(CTL_FAILED, "out of memory");
    dbus_connection_flush(l->bus->connection);
    return r;
}

static void handle_answers(struct login *l)
{
    struct redirect answer;
    int code;
    enum answers_result result = answers_handle(l->answers, &answer, &code);
    if (answers_saw_stranger(l->answers)) {
        login_view_leave(l->view);
        (void)report(CTL_OK, "A program of another user has come to this login, and was turned away.");
        report_hint("the browser has to run as the user who logs in; where it cannot, use --redirect-uri");
    }
    if (result == ANSWERS_NONE)
        return;
    login_view_answered(l->view);
    if (result == ANSWERS_REFUSED) {
        ask(l);
        return;
    }
    if (result == ANSWERS_ONE) {
        code = complete(l, &answer);
        explicit_bzero(&answer, sizeof(answer));
    }
    if (code != CTL_OK)
        end(l, code);
}

/* The broker has taken the answer, or refuses it: then the login is open as before. */
static void handle_completed(struct login *l, DBusMessage *m)
{
    const char *error = dbus_message_get_error_name(m), *message = NULL;
    l->complete_serial = 0;
    if (!error || strcmp(error, DBUS_ERROR_UNKNOWN_OBJECT) == 0) /* over: Finished is among what has come */
        return;
    (void)dbus_message_get_args(m, NULL, DBUS_TYPE_STRING, &message, DBUS_TYPE_INVALID);
    login_view_leave(l->view);
    int code = bus_report(error, message, l->context);
    bool is_refused = bus_error_from_name(error) == BUS_E_INVALID_ARGUMENT;
    if (is_refused && answers_refuse(l->answers, &code) == ANSWERS_REFUSED)
        ask(l);
    else
        end(l, code);
}

/* --- what the broker sends ---------------------------------------------------------------------------- */

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
        update_view(l, properties);
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
    update_view(l, changed);
    if (values_count(invalidated) > 0) {
        int r = fetch_properties(l);
        if (r != CTL_OK)
            end(l, r);
    }
}

/* For programs: the outcome, and all that the broker says of it. */
static int print_finished(DBusMessage *m)
{
    _cleanup_json_ struct json_object *outcome = NULL, *details = NULL;
    int r = values_from_message(m, 0, VALUES_EXACT, &outcome);
    if (r == 0)
        r = values_from_message(m, 1, VALUES_EXACT, &details);
    if (r == 0 && json_object_object_add(details, "outcome", json_object_get(outcome)) < 0)
        r = -ENOMEM;
    return r == 0 ? values_print(details, false, stdout) : r;
}

static void handle_finished(struct login *l, DBusMessage *m)
{
    _cleanup_json_ struct json_object *outcome = NULL, *details = NULL;
    if (values_from_message(m, 0, VALUES_SAFE, &outcome) < 0 ||
        values_from_message(m, 1, VALUES_SAFE, &details) < 0 || (l->wants_json && print_finished(m) < 0))
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
    if (l->complete_serial != 0 && dbus_message_get_reply_serial(m) == l->complete_serial) {
        handle_completed(l, m);
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
    struct pollfd fds[2 + ANSWERS_FDS_MAX] = {{.fd = -1, .events = POLLIN},
                                              {.fd = l->signal_fd, .events = POLLIN}};
    int timeout_msec = login_view_tick_msec(l->view);
    size_t n = 2;
    if (!dbus_connection_get_unix_fd(l->bus->connection, &fds[0].fd))
        fds[0].fd = -1;
    bool wants_answers = l->answers && l->cancel_deadline_usec == 0;
    if (wants_answers)
        n += answers_poll(l->answers, fds + 2, &timeout_msec);
    (void)poll(fds, n, timeout_msec);
    if (fds[1].revents & POLLIN)
        handle_signal(l);
    else if (wants_answers)
        handle_answers(l);
}

int login_follow(struct login *l)
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
