/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One login request at the broker, from Begin to Finished.
 *
 *   1. Begin makes a request object of ours; it dies with our connection.
 *   2. Its properties bring what to show; they are asked for once, and then followed by PropertiesChanged. A
 *      signal that came before the answer is older than it, and says nothing else.
 *   3. Where Amazon sends a browser back, what it brings is handed in with Complete. If the broker does not
 * take it, the login stays open, and another can be handed in.
 *   4. Finished brings the outcome. Ctrl-C calls Cancel and still waits for Finished, since the login may
 *      have been linked at that moment.
 *
 * Invariant: only what the broker's own connection sends is believed. Anyone on the bus can send us a signal
 * with this path and interface, and with it a code of his own to be typed in. */

#include "client/lwactl/answers.h"
#include "client/lwactl/bus.h"
#include "client/lwactl/login-view.h"

struct login {
    struct bus *bus;
    const struct bus_context *context;
    struct login_view *view;
    struct answers *answers; /* NULL: none are to come */
    bool wants_browser;      /* open one */
    bool wants_json;         /* of the outcome, on standard output */
    char *broker;            /* its unique name */
    char *path;
    dbus_uint32_t fetch_serial;    /* of the latest GetAll */
    dbus_uint32_t complete_serial; /* of the latest Complete; 0: none */
    int signal_fd;
    bool is_over;
    int code;                      /* the exit code, once it is over */
    uint64_t cancel_deadline_usec; /* 0: not cancelled */
};

void login_deinit(struct login *l);

/* Both return an exit code, and what is not CTL_OK has been said. `call` is a call of Begin. */
int login_begin(struct login *l, DBusMessage *call) _must_check_;
/* Until it is over. */
int login_follow(struct login *l) _must_check_;
