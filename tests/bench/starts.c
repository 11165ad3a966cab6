/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bench/bench.h"

#include "dbus/names.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define OWNED_TIMEOUT_MSEC 20000
#define RULE                                                                                                 \
    "type='signal',sender='" DBUS_SERVICE_DBUS "',interface='" DBUS_INTERFACE_DBUS                           \
    "',member='NameOwnerChanged',arg0='" LWA_BUS_NAME "'"

static pid_t spawn(char **argv)
{
    pid_t pid = fork();
    if (pid < 0)
        die("no more processes");
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* lost when it changes its user, which is soon enough */
        (void)execv(argv[0], argv);
        die("%s cannot be run", argv[0]);
    }
    return pid;
}

/* Whether the message says that the name has (or no longer has) an owner. */
static bool says(DBusMessage *message, bool is_owned)
{
    const char *name, *before, *after;
    return dbus_message_is_signal(message, DBUS_INTERFACE_DBUS, "NameOwnerChanged") &&
           dbus_message_get_args(message, NULL, DBUS_TYPE_STRING, &name, DBUS_TYPE_STRING, &before,
                                 DBUS_TYPE_STRING, &after, DBUS_TYPE_INVALID) &&
           (after[0] != '\0') == is_owned;
}

static void await_owner(DBusConnection *connection, bool is_owned)
{
    uint64_t deadline = clock_usec(CLOCK_MONOTONIC) + OWNED_TIMEOUT_MSEC * USEC_PER_MSEC;
    for (bool found = false; !found;) {
        DBusMessage *message = dbus_connection_pop_message(connection);
        if (message) {
            found = says(message, is_owned);
            dbus_message_unref(message);
        } else if (clock_usec(CLOCK_MONOTONIC) > deadline || !dbus_connection_read_write(connection, 100)) {
            die("the daemon did not %s", is_owned ? "take its name" : "end");
        }
    }
}

void measure_starts(const char *address, unsigned times, char **argv)
{
    struct samples ms = {.n = 0};
    DBusConnection *connection = connect_to(address);
    DBusError error = DBUS_ERROR_INIT;
    dbus_bus_add_match(connection, RULE, &error);
    if (dbus_error_is_set(&error))
        die("%s", error.message);

    for (unsigned i = 0; i < times; i++) {
        int status = 0;
        uint64_t start = clock_usec(CLOCK_MONOTONIC);
        pid_t pid = spawn(argv);
        await_owner(connection, true);
        samples_add(&ms, (double)(clock_usec(CLOCK_MONOTONIC) - start) / 1e3);
        (void)kill(pid, SIGTERM);
        await_owner(connection, false);
        if (waitpid(pid, &status, 0) != pid || status != 0)
            die("the daemon did not end well");
    }
    disconnect(connection);
    figures_add("ms", samples_quantile(&ms, 0.5));
    figures_add("max_ms", samples_quantile(&ms, 1));
    samples_clear(&ms);
}
