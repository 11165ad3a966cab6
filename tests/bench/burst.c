/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bench/bench.h"

#include <poll.h>

#define CONNECTIONS_MAX 64
#define ANSWER_TIMEOUT_MSEC 60000

struct burst {
    unsigned n_open;
};

static void on_answer(DBusPendingCall *pending, void *userdata)
{
    struct burst *burst = userdata;
    DBusMessage *reply = dbus_pending_call_steal_reply(pending);
    read_reply(TARGET_BROKER, reply);
    dbus_message_unref(reply);
    burst->n_open--;
}

static void send_call(DBusConnection *connection, struct burst *burst)
{
    DBusPendingCall *pending = NULL;
    DBusMessage *call = new_call(TARGET_BROKER);
    if (!dbus_connection_send_with_reply(connection, call, &pending, ANSWER_TIMEOUT_MSEC) || !pending ||
        !dbus_pending_call_set_notify(pending, on_answer, burst, NULL))
        die("a call could not be sent");
    dbus_pending_call_unref(pending);
    dbus_message_unref(call);
    burst->n_open++;
}

static void read_answers(DBusConnection **connections, unsigned n, struct burst *burst)
{
    struct pollfd fds[CONNECTIONS_MAX];
    for (unsigned i = 0; i < n; i++) {
        fds[i] = (struct pollfd){.events = POLLIN};
        if (!dbus_connection_get_unix_fd(connections[i], &fds[i].fd))
            die("a connection was lost");
    }
    while (burst->n_open > 0) {
        if (poll(fds, n, ANSWER_TIMEOUT_MSEC) <= 0)
            die("%u calls were not answered", burst->n_open);
        for (unsigned i = 0; i < n; i++) {
            (void)dbus_connection_read_write(connections[i], 0);
            while (dbus_connection_dispatch(connections[i]) == DBUS_DISPATCH_DATA_REMAINS)
                ;
        }
    }
}

void measure_burst(const char *address, unsigned connections, unsigned calls)
{
    DBusConnection *all[CONNECTIONS_MAX];
    struct burst burst = {.n_open = 0};
    if (connections > CONNECTIONS_MAX)
        die("too many connections");
    for (unsigned i = 0; i < connections; i++)
        all[i] = connect_to(address);
    uint64_t start = clock_usec(CLOCK_MONOTONIC);
    for (unsigned k = 0; k < calls; k++)
        for (unsigned i = 0; i < connections; i++)
            send_call(all[i], &burst);
    for (unsigned i = 0; i < connections; i++)
        dbus_connection_flush(all[i]);
    read_answers(all, connections, &burst);
    figures_add("expired_1000_ms", (double)(clock_usec(CLOCK_MONOTONIC) - start) / 1e3);
    for (unsigned i = 0; i < connections; i++)
        disconnect(all[i]);
}
