/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/bus.h"

#include "client/lwactl/advice.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/terminal.h"
#include "dbus/names.h"

#include <poll.h>
#include <string.h>

/* libdbus' own 25 s would end a call while the broker waits for Amazon (its request_timeout is 60 s). Where a
 * person may be asked, perhaps several questions one after another, the broker ends each by its
 * prompt_timeout, which is the administrator's to choose: to leave earlier would take the question away. */
#define TIMEOUT_MSEC 90000
/* The broker's budget of a user is full again within seconds, by its default within four. */
#define PATIENT_MSEC 500
#define PATIENT_TRIES 120

static void error_freep(DBusError *error)
{
    dbus_error_free(error);
}

#define _cleanup_error_ _cleanup_(error_freep)

bool bus_may_ask(const struct arguments *arguments)
{
    return arguments->given[OPTION_INTERACTIVE] ||
           (!arguments->given[OPTION_NO_INTERACTIVE] && isatty(STDIN_FILENO));
}

static bool connect_to_bus(const struct arguments *arguments, struct bus *ret, DBusError *error)
{
    DBusConnection *connection = dbus_bus_get_private(DBUS_BUS_SYSTEM, error);
    if (!connection)
        return false;
    dbus_connection_set_exit_on_disconnect(connection, FALSE);
    *ret = (struct bus){connection, bus_may_ask(arguments)};
    return true;
}

static int report_no_bus(const char *message)
{
    (void)report(CTL_NO_BROKER, "cannot reach the system bus: %s", message ? message : "");
    report_hint("check that dbus-daemon runs, and DBUS_SYSTEM_BUS_ADDRESS if it is set");
    return CTL_NO_BROKER;
}

int bus_open(const struct arguments *arguments, struct bus *ret)
{
    _cleanup_error_ DBusError error = DBUS_ERROR_INIT;
    return connect_to_bus(arguments, ret, &error) ? CTL_OK : report_no_bus(error.message);
}

bool bus_try_open(const struct arguments *arguments, struct bus *ret)
{
    return connect_to_bus(arguments, ret, NULL);
}

void bus_close(struct bus *bus)
{
    if (!bus->connection)
        return;
    dbus_connection_close(bus->connection);
    dbus_connection_unref(bus->connection);
    bus->connection = NULL;
}

int bus_new_call(const char *path, const char *interface, const char *member, DBusMessage **ret)
{
    *ret = dbus_message_new_method_call(LWA_BUS_NAME, path, interface, member);
    return *ret ? CTL_OK : report(CTL_FAILED, "out of memory");
}

int bus_end_arguments(struct writer *w)
{
    int r = writer_end(w);
    if (r == -EILSEQ)
        return report(CTL_USAGE, "an argument is not valid UTF-8");
    return r < 0 ? report(CTL_FAILED, "out of memory") : CTL_OK;
}

void bus_hint_login(const struct bus_context *context)
{
    const char *account = context ? context->account : NULL;
    _cleanup_free_ char *scopes = context && context->scopes ? strv_join(context->scopes, " ") : NULL;
    const char *options = context && context->login_options ? context->login_options : "";
    report_hint("lwactl login %s%s%s%s%s", options, account ? "--account " : "", account ? account : "",
                account ? " " : "", scopes && *scopes ? scopes : "SCOPE...");
}

static bool is_any_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

/* Errors of the bus itself. */
static int report_foreign(const char *name, const char *message)
{
    static const char *const gone[] = {
        DBUS_ERROR_SERVICE_UNKNOWN,
        DBUS_ERROR_NAME_HAS_NO_OWNER,
        DBUS_ERROR_DISCONNECTED,
        DBUS_ERROR_SPAWN_EXEC_FAILED,
        DBUS_ERROR_SPAWN_FAILED,
        DBUS_ERROR_SPAWN_CHILD_EXITED,
        DBUS_ERROR_SPAWN_CHILD_SIGNALED,
        DBUS_ERROR_SPAWN_SERVICE_NOT_FOUND,
        DBUS_ERROR_NO_SERVER,
        NULL,
    };
    static const char *const silent[] = {DBUS_ERROR_NO_REPLY, DBUS_ERROR_TIMEOUT, DBUS_ERROR_TIMED_OUT, NULL};
    static const char *const other[] = {
        DBUS_ERROR_UNKNOWN_METHOD,
        DBUS_ERROR_UNKNOWN_INTERFACE,
        DBUS_ERROR_UNKNOWN_OBJECT,
        NULL,
    };
    int code = CTL_FAILED;

    if (is_any_of(name, gone)) {
        code = report(CTL_NO_BROKER, "The broker is not running, and the bus could not start it.");
        report_hint("`lwactl doctor`, as root, tells why");
    } else if (is_any_of(name, silent)) {
        code = report(CTL_NO_BROKER, "The broker did not answer.");
        report_hint("try again; if that does not help, look at the broker's log");
    } else if (strcmp(name, DBUS_ERROR_ACCESS_DENIED) == 0) {
        code = report(CTL_DENIED, "The bus does not let this program speak to the broker.");
        report_hint("inside of a sandbox it needs --system-talk-name=" LWA_BUS_NAME);
    } else if (is_any_of(name, other)) {
        code = report(CTL_NOT_SUPPORTED, "The broker does not know this call.");
        report_hint("%s", outcome_of_error(BUS_E_NOT_SUPPORTED)->hint);
    } else {
        code = report(CTL_FAILED, "The call failed: %s (%s)",
                      message && *message ? message : "no reason given", name);
    }
    return code;
}

/* Whether the broker's sentence already ends with the command that the hint would give. */
static bool names_login(const char *message, const struct bus_context *context)
{
    return message && strstr(message, "lwactl login ") && !(context && context->account);
}

static bool is_told(const struct outcome *outcome, const char *message)
{
    for (size_t i = 0; message && i < OUTCOME_TOLD_BY_MAX && outcome->told_by[i]; i++)
        if (strstr(message, outcome->told_by[i]))
            return true;
    return false;
}

/* `bus` may be NULL: then nothing is asked for a better hint. */
int bus_report_with(struct bus *bus, const char *name, const char *message, const struct bus_context *context)
{
    enum bus_error error = bus_error_from_name(name);
    if (error == BUS_OK && strncmp(name, LWA_ERROR_PREFIX, strlen(LWA_ERROR_PREFIX)) != 0)
        return report_foreign(name, message);

    const struct outcome *outcome = outcome_of_error(error);
    (void)report(outcome->code, "%s", message && *message ? message : outcome->sentence);
    if (outcome->code == CTL_LOGIN && !names_login(message, context))
        bus_hint_login(context);
    bool is_advised = bus && context && context->is_app && advice_print(bus, error, context);
    if (!is_advised && outcome->code != CTL_LOGIN && outcome->hint && !is_told(outcome, message))
        report_hint("%s", outcome->hint);
    return outcome->code;
}

int bus_report(const char *name, const char *message, const struct bus_context *context)
{
    return bus_report_with(NULL, name, message, context);
}

int bus_report_unknown_answer(void)
{
    (void)report(CTL_FAILED, "The broker answered in a way that this lwactl does not know.");
    report_hint("%s", outcome_of_error(BUS_E_NOT_SUPPORTED)->hint);
    return CTL_FAILED;
}

static DBusMessage *send_and_wait(struct bus *bus, DBusMessage *call, DBusError *error)
{
    dbus_message_set_allow_interactive_authorization(call, bus->interactive);
    return dbus_connection_send_with_reply_and_block(
        bus->connection, call, bus->interactive ? DBUS_TIMEOUT_INFINITE : TIMEOUT_MSEC, error);
}

static int take_reply(struct bus *bus, DBusMessage *reply, const DBusError *error, const char *signature,
                      const struct bus_context *context, DBusMessage **ret_reply)
{
    if (!reply)
        return bus_report_with(bus, error->name ? error->name : DBUS_ERROR_NO_MEMORY, error->message,
                               context);
    if (!dbus_message_has_signature(reply, signature)) {
        dbus_message_unref(reply);
        return bus_report_unknown_answer();
    }
    *ret_reply = reply;
    return CTL_OK;
}

int bus_call(struct bus *bus, DBusMessage *call, const char *signature, const struct bus_context *context,
             DBusMessage **ret_reply)
{
    _cleanup_error_ DBusError error = DBUS_ERROR_INIT;
    DBusMessage *reply = send_and_wait(bus, call, &error);
    return take_reply(bus, reply, &error, signature, context, ret_reply);
}

int bus_call_patiently(struct bus *bus, DBusMessage *call, const char *signature, DBusMessage **ret_reply)
{
    for (unsigned tries = 1;; tries++) {
        _cleanup_error_ DBusError error = DBUS_ERROR_INIT;
        _cleanup_message_ DBusMessage *copy = dbus_message_copy(call); /* one that was sent is spent */
        if (!copy)
            return report(CTL_FAILED, "out of memory");
        DBusMessage *reply = send_and_wait(bus, copy, &error);
        bool is_limited = !reply && error.name && bus_error_from_name(error.name) == BUS_E_RATE_LIMITED;
        if (!is_limited || tries == PATIENT_TRIES)
            return take_reply(bus, reply, &error, signature, NULL, ret_reply);
        (void)poll(NULL, 0, PATIENT_MSEC);
    }
}

DBusMessage *bus_try(struct bus *bus, DBusMessage *call, const char *signature)
{
    _cleanup_message_ DBusMessage *reply =
        dbus_connection_send_with_reply_and_block(bus->connection, call, TIMEOUT_MSEC, NULL);
    return reply && dbus_message_has_signature(reply, signature) ? TAKE_PTR(reply) : NULL;
}
