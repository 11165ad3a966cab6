/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/follow.h"

#include "client/lwactl/outcome.h"
#include "client/lwactl/terminal.h"
#include "util/clock.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

int follow_begin(struct follow *f, struct bus *bus)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    *f = (struct follow){.bus = bus, .signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK)};
    if (f->signal_fd < 0)
        return report(CTL_FAILED, "cannot wait for signals: %s", strerror(errno));
    return CTL_OK;
}

void follow_end(struct follow *f)
{
    close_fd(f->signal_fd);
    f->signal_fd = -1;
}

static void end(struct follow *f, int code)
{
    f->is_over = true;
    f->code = code;
}

/* Waits for the bus, too. */
static void wait_for_more(struct follow *f, bool wants_bus, int msec)
{
    struct pollfd fds[] = {{.fd = -1, .events = POLLIN},
                           {.fd = f->signal_fd, .events = POLLIN},
                           {.fd = STDOUT_FILENO}}; /* only that its reader left */
    if (wants_bus && !dbus_connection_get_unix_fd(f->bus->connection, &fds[0].fd))
        fds[0].fd = -1;
    (void)poll(fds, ARRAY_SIZE(fds), msec);
    if (fds[1].revents)
        end(f, CTL_OK);
    else if (fds[2].revents)
        end(f, CTL_FAILED);
}

/* The answer to this call, if it has come; what else has come is nothing that anyone waits for. */
static DBusMessage *take_answer(struct follow *f, dbus_uint32_t serial)
{
    DBusConnection *connection = f->bus->connection;
    bool is_connected = dbus_connection_read_write(connection, 0);
    for (;;) {
        _cleanup_message_ DBusMessage *m = dbus_connection_pop_message(connection);
        if (m && dbus_message_get_reply_serial(m) == serial)
            return TAKE_PTR(m);
        if (!m)
            break;
    }
    if (!is_connected)
        end(f, report(CTL_NO_BROKER, "The connection to the system bus is lost."));
    return NULL;
}

DBusMessage *follow_call(struct follow *f, DBusMessage *call)
{
    dbus_uint32_t serial = 0;
    dbus_message_set_auto_start(call, FALSE);
    dbus_message_set_allow_interactive_authorization(call, f->bus->interactive);
    if (!dbus_connection_send(f->bus->connection, call, &serial)) {
        end(f, report(CTL_FAILED, "out of memory"));
        return NULL;
    }
    while (!f->is_over) {
        DBusMessage *answer = take_answer(f, serial);
        if (answer)
            return answer;
        /* All that could not be written at once goes out as the socket takes it, which nothing here waits
         * for: hence the second. */
        if (!f->is_over)
            wait_for_more(f, true, dbus_connection_has_messages_to_send(f->bus->connection) ? 10 : 1000);
    }
    return NULL;
}

void follow_pause(struct follow *f, int msec)
{
    uint64_t until = boottime_usec() + (uint64_t)msec * USEC_PER_MSEC;
    for (uint64_t now = boottime_usec(); !f->is_over && now < until; now = boottime_usec())
        wait_for_more(f, false, (int)((until - now) / USEC_PER_MSEC) + 1);
}
