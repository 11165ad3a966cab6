/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The connection to the message bus, driven by the loop (bus-watches.h). After bus_open() and the other calls
 * of start-up nothing here blocks.
 *
 * - Messages can be queued while the socket is silent: dispatch runs before the loop sleeps, at most
 *   LIMIT_DISPATCH_PER_ROUND messages a round, and keeps the loop awake while more are there.
 * - What waits for memory, in libdbus or here, is tried again every few milliseconds. */

#include "util/cleanup.h"

#include <dbus/dbus.h>
#include <stdint.h>
#include <uv.h>

struct bus;
struct bus_call;

struct bus_handlers {
    void (*method_call)(DBusMessage *message, void *userdata);
    void (*signal)(DBusMessage *message, void *userdata);
    void (*lost)(void *userdata); /* once; the bus is only good to be closed */
};

/* Connects and says Hello. `address` NULL is the system bus as libdbus finds it. Blocks: at start only. */
int bus_open(uv_loop_t *loop, const char *address, const struct bus_handlers *handlers, void *userdata,
             struct bus **ret) _must_check_;
void bus_close(struct bus *b);
DEFINE_CLEANUP(struct bus, bus_close);

/* The name that the bus gave this connection, good for as long as it is. */
const char *bus_unique_name(const struct bus *b);

/* Blocks: at start only. -EEXIST when another connection owns the name, -EPERM when the bus refuses it. */
int bus_request_name(struct bus *b, const char *name) _must_check_;
/* Blocks: at start only. */
int bus_add_match(struct bus *b, const char *rule) _must_check_;

/* The connection is gone; the bus is only good to be closed. */
bool bus_is_lost(const struct bus *b);

#define BUS_NO_MEMORY_SENTENCE "Out of memory; try again."

/* Queues the message; writes what the socket takes. One that memory cannot hold in the queue is kept and sent
 * when it can, as are those after it; beyond LIMIT_BUS_LATE of them they are dropped. */
void bus_send(struct bus *b, DBusMessage *message);
/* Sends the reply to a call that wants one. NULL, for one that could not be made, becomes the error NoMemory
 * as soon as there is memory for that: a caller is never left without an answer for want of it. */
void bus_reply(struct bus *b, DBusMessage *call, DBusMessage *reply);
/* Blocks until what is queued has been written: at the end only. */
void bus_flush(struct bus *b);

typedef void (*bus_reply_callback)(DBusMessage *reply, void *userdata);

/* Sends a method call; the callback gets the reply, an error reply included (a time-out and a disconnect are
 * such). It never runs from within bus_call(). timeout_ms -1 is libdbus's default of 25 s;
 * DBUS_TIMEOUT_INFINITE waits for ever. The slot is gone when the callback begins. */
int bus_call(struct bus *b, DBusMessage *message, int timeout_ms, bus_reply_callback callback, void *userdata,
             struct bus_call **ret) _must_check_;
void bus_call_drop(struct bus_call *c);
DEFINE_CLEANUP(struct bus_call, bus_call_drop);
