/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* libdbus's watches and timeouts on libuv's loop.
 *
 * - libdbus adds several watches for one descriptor: they share one uv_poll_t.
 * - No connection method is called from a watch function: libdbus holds its lock there.
 * - A handle is freed by libuv after the round in which it was closed, so that what is left of the round
 *   finds it. */

#include "util/cleanup.h"
#include "util/list.h"

#include <dbus/dbus.h>
#include <uv.h>

/* Its owner keeps it in place until after bus_watches_detach(). */
struct bus_watches {
    uv_loop_t *loop;
    DBusConnection *connection;
    struct list fds;
};

/* 0 or -ENOMEM; to be detached in either case. */
int bus_watches_attach(struct bus_watches *w, uv_loop_t *loop, DBusConnection *connection) _must_check_;
/* Takes all of them away. */
void bus_watches_detach(DBusConnection *connection);
