/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tells the service manager how the daemon is doing, as sd_notify(3) has it: one datagram a message, to the
 * socket that the manager has named. Nothing waits for it: what it does not take at once is sent again a
 * little later, and of several such messages the last one, since each says a whole state.
 *
 * The watchdog's message comes from a timer of the loop, at half of the time that the manager allows: a loop
 * that hangs sends none, and is ended and started again. */

#include "util/cleanup.h"

#include <stdint.h>
#include <uv.h>

struct notify_systemd;

/* As they stood in the environment; NULL: not there. Only read by notify_systemd_new(). */
struct notify_systemd_options {
    const char *socket;        /* NOTIFY_SOCKET */
    const char *watchdog_usec; /* WATCHDOG_USEC */
    const char *watchdog_pid;  /* WATCHDOG_PID */
};

/* Without a socket *ret is NULL, which the functions below take: they do nothing then. -EINVAL when the
 * socket's name is none that can be sent to, or another negative errno. */
int notify_systemd_new(uv_loop_t *loop, const struct notify_systemd_options *options,
                       struct notify_systemd **ret) _must_check_;
void notify_systemd_free(struct notify_systemd *n);
DEFINE_CLEANUP(struct notify_systemd, notify_systemd_free);

/* Serving, at the start and after a reload. `status` is one line, for a person. The first call starts the
 * watchdog, if the manager wants one: before that there is no loop that could hang. */
void notify_systemd_ready(struct notify_systemd *n, const char *status);
/* The configuration is read again; notify_systemd_ready() follows. */
void notify_systemd_reloading(struct notify_systemd *n);
/* The last state: what comes after it is not told any more. */
void notify_systemd_stopping(struct notify_systemd *n, const char *status);
