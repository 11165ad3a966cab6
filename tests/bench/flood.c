/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A caller that does not care what it is answered: it sends at its rate, and throws away what comes back. */

#include "tests/bench/bench.h"

#define BURST 32 /* calls between two looks at the socket, when there is no rate */

static void drop_answers(DBusConnection *connection)
{
    DBusMessage *message;
    (void)dbus_connection_read_write(connection, 0);
    while ((message = dbus_connection_pop_message(connection)))
        dbus_message_unref(message); /* and with it the descriptor */
}

static void send_one(DBusConnection *connection)
{
    DBusMessage *call = new_call(TARGET_BROKER);
    if (!dbus_connection_send(connection, call, NULL))
        die("a call could not be sent");
    dbus_message_unref(call);
}

/* Backlog beyond what the socket takes would only grow in our own memory. */
static void send_burst(DBusConnection *connection)
{
    for (unsigned i = 0; i < BURST; i++)
        send_one(connection);
    dbus_connection_flush(connection);
}

void flood(const char *address, unsigned rate)
{
    DBusConnection *connection = connect_to(address);
    uint64_t due = clock_usec(CLOCK_MONOTONIC);
    while (dbus_connection_get_is_connected(connection)) {
        if (rate == 0) {
            send_burst(connection);
        } else {
            send_one(connection);
            due += USEC_PER_SEC / rate;
            uint64_t now = clock_usec(CLOCK_MONOTONIC);
            if (due > now)
                (void)usleep((unsigned)(due - now));
        }
        drop_answers(connection);
    }
}
