/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the broker knows. It is asked (Status1.Diagnose), which is for administrators; anybody else gets what
 * Status1.Get tells him. Where it does not run, root starts its program once to look around
 * (lwa-brokerd --check). */

#include "client/lwactl/bus.h"
#include "client/lwactl/doctor.h"
#include "client/lwactl/outcome.h"
#include "dbus/names.h"

#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#define PROGRAM LIBEXECDIR "/lwa-brokerd"
#define CHECK "broker"
#define TIMEOUT_MSEC 90000
#define ROWS_MAX 4096
#define AS_ROOT "As root more can be seen: `sudo lwactl doctor`."

static void error_freep(DBusError *error)
{
    dbus_error_free(error);
}

#define _cleanup_error_ _cleanup_(error_freep)

/* --- rows of the broker's ---------------------------------------------------------------------------- */

/* Only the levels that we know: of a later broker's a row is shown all the same. */
static const char *level_of(const char *word)
{
    static const char *const levels[] = {DOCTOR_OK, DOCTOR_NOTE, DOCTOR_WARNING, DOCTOR_PROBLEM};
    for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
        if (strcmp(levels[i], word) == 0)
            return levels[i];
    return DOCTOR_UNKNOWN;
}

static void take_row(struct doctor *d, struct json_object *row)
{
    doctor_add(d, values_text(row, "check"), values_text(row, "subject"), level_of(values_text(row, "level")),
               values_text(row, "fix"), "%s", values_text(row, "text"));
}

static void take_reply(struct doctor *d, DBusMessage *reply)
{
    _cleanup_json_ struct json_object *rows = NULL;
    if (values_from_message(reply, 0, VALUES_EXACT, &rows) < 0) {
        d->error = -ENOMEM;
        return;
    }
    for (size_t i = 0; i < values_count(rows) && i < ROWS_MAX; i++)
        take_row(d, values_item(rows, i));
}

/* --- what anybody may see ---------------------------------------------------------------------------- */

static void tell_health(struct doctor *d, const char *check, const char *health, const char *good)
{
    bool is_ok = strcmp(health, "ok") == 0;
    doctor_add(d, check, NULL, is_ok ? DOCTOR_OK : DOCTOR_PROBLEM,
               is_ok ? NULL : "An administrator must look: `sudo lwactl doctor`.", "%s",
               is_ok ? good : health);
}

static void tell_grant(struct doctor *d, struct json_object *grant)
{
    const char *state = values_text(grant, "state"), *because = values_text(grant, "because");
    bool is_over = strcmp(state, "dead") == 0 || strcmp(state, "foreign") == 0;
    bool is_trouble = strcmp(state, "waiting") == 0 || strcmp(state, "clock") == 0;
    doctor_add(d, "login", values_text(grant, "account"),
               is_over      ? DOCTOR_PROBLEM
               : is_trouble ? DOCTOR_WARNING
                            : DOCTOR_OK,
               is_over      ? "`lwactl login`; `lwactl status` names the scopes."
               : is_trouble ? "`lwactl status` says what is in the way."
                            : NULL,
               "%s%s%s%s", state, *because ? " (" : "", because, *because ? ")" : "");
}

static void ask_status(struct doctor *d)
{
    _cleanup_error_ DBusError error = DBUS_ERROR_INIT;
    _cleanup_message_ DBusMessage *call =
        dbus_message_new_method_call(LWA_BUS_NAME, LWA_OBJECT_PATH, LWA_INTERFACE_STATUS, "Get");
    _cleanup_message_ DBusMessage *reply = doctor_call(d, call, &error);
    _cleanup_json_ struct json_object *status = NULL;
    if (!reply || !dbus_message_has_signature(reply, "a{sv}") ||
        values_from_message(reply, 0, VALUES_EXACT, &status) < 0)
        return;
    struct json_object *problems = values_list(status, "problems"), *grants = values_list(status, "grants");
    for (size_t i = 0; i < values_count(problems); i++)
        doctor_add(d, "grants.d", NULL, DOCTOR_PROBLEM, "An administrator must mend it.", "%s",
                   json_object_get_string(values_item(problems, i)));
    tell_health(d, "database", values_text(status, "store"), "can be written");
    tell_health(d, "trail", values_text(status, "audit"), "goes on from where it ended");
    tell_health(d, "actions", values_text(status, "polkit"), "polkit knows the action of every scope");
    for (size_t i = 0; i < values_count(grants); i++)
        tell_grant(d, values_item(grants, i));
}

/* --- the broker that runs ---------------------------------------------------------------------------- */

static DBusMessage *diagnose(struct doctor *d, DBusError *error)
{
    const struct arguments *a = d->arguments;
    bool is_interactive =
        a->given[OPTION_INTERACTIVE] || (!a->given[OPTION_NO_INTERACTIVE] && isatty(STDIN_FILENO));
    _cleanup_message_ DBusMessage *call =
        dbus_message_new_method_call(LWA_BUS_NAME, LWA_OBJECT_PATH, LWA_INTERFACE_STATUS, "Diagnose");
    struct writer w;
    if (!call)
        return NULL;
    writer_begin(&w, call);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    writer_close(&w);
    if (writer_end(&w) < 0)
        return NULL;
    dbus_message_set_allow_interactive_authorization(call, is_interactive);
    return dbus_connection_send_with_reply_and_block(
        d->bus, call, is_interactive ? DBUS_TIMEOUT_INFINITE : TIMEOUT_MSEC, error);
}

static void explain(struct doctor *d, const DBusError *error)
{
    enum bus_error known = bus_error_from_name(error->name ? error->name : "");
    if (known == BUS_E_ACCESS_DENIED || known == BUS_E_CONSENT_REQUIRED || known == BUS_E_CANCELLED)
        doctor_add(d, CHECK, NULL, DOCTOR_UNKNOWN, AS_ROOT,
                   "the broker tells only an administrator how it is in detail");
    else
        doctor_add(d, CHECK, NULL, DOCTOR_UNKNOWN, known == BUS_E_RATE_LIMITED ? "Try again." : AS_ROOT,
                   "the broker could not be asked: %s",
                   error->message && *error->message ? error->message : "no reason given");
    ask_status(d);
}

/* --- its program, where it does not run --------------------------------------------------------------- */

static void read_rows(struct doctor *d, FILE *file, size_t *ret_n)
{
    char *line = NULL;
    size_t size = 0;
    while (*ret_n < ROWS_MAX && getline(&line, &size, file) > 0) {
        _cleanup_json_ struct json_object *row = json_tokener_parse(line);
        if (!row || !json_object_is_type(row, json_type_object))
            continue;
        take_row(d, row);
        ++*ret_n;
    }
    free(line);
}

/* 0 and the end of a pipe that it writes to. Nothing of our environment goes along. */
static int spawn(pid_t *ret_pid, int *ret_fd)
{
    static char name[] = "lwa-brokerd", check[] = "--check";
    char *const argv[] = {name, check, NULL};
    char *const environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    int r = posix_spawn_file_actions_init(&actions);
    if (r == 0) {
        r = posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
        if (r == 0)
            r = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        if (r == 0)
            r = posix_spawn(ret_pid, PROGRAM, &actions, NULL, argv, environment);
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    (void)close(fds[1]);
    if (r == 0)
        *ret_fd = fds[0];
    else
        (void)close(fds[0]);
    return -r;
}

static void run_program(struct doctor *d)
{
    pid_t pid = -1;
    int fd = -1, status = 0;
    size_t n = 0;
    int r = spawn(&pid, &fd);
    if (r < 0) {
        doctor_add(d, CHECK, PROGRAM, DOCTOR_PROBLEM, "Install lwa-broker again.", "cannot be started: %s",
                   strerrordesc_np(-r));
        return;
    }
    FILE *file = fdopen(fd, "re");
    if (file) {
        read_rows(d, file, &n);
        (void)fclose(file); /* if it has more to say than was read, it ends at that */
    } else
        (void)close(fd);
    if (waitpid(pid, &status, 0) != pid || n == 0)
        doctor_add(d, CHECK, PROGRAM, DOCTOR_PROBLEM, "Run `" PROGRAM " --check` and see what it says.",
                   "ended without having looked around");
}

/* --- all of it --------------------------------------------------------------------------------------- */

void doctor_check_broker(struct doctor *d)
{
    _cleanup_error_ DBusError error = DBUS_ERROR_INIT;
    if (!d->owner && getuid() == 0) {
        run_program(d);
        return;
    }
    if (!d->owner) {
        doctor_add(d, CHECK, NULL, DOCTOR_UNKNOWN, AS_ROOT, "why it does not run only root can find out");
        return;
    }
    _cleanup_message_ DBusMessage *reply = diagnose(d, &error);
    if (!reply)
        explain(d, &error);
    else if (dbus_message_has_signature(reply, "aa{sv}"))
        take_reply(d, reply);
    else
        doctor_add(d, CHECK, NULL, DOCTOR_UNKNOWN, "Install lwactl and lwa-broker of the same version.",
                   "the broker answered in a way that this lwactl does not know");
}
