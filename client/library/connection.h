/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A private connection to the system bus, made when a call needs it, and again after it was lost.
 *
 *   1. connection_open() connects, and sends without waiting: Hello, AddMatch for the owner of the broker's
 *      name, GetNameOwner. Calls may follow at once, since the bus keeps their order.
 *   2. The answers, and the broker's signals, are read by connection_pump().
 *   3. It is lost: connection_drop(). The cache forgets everything, and the app will be told.
 *
 * One epoll descriptor lives as long as the handle. In it is a duplicate of libdbus's socket: libdbus closes
 * its own when the bus is gone, and if a child still holds a copy, such a descriptor could never be taken out
 * of the set again.
 *
 * libdbus is driven without its watches and timeouts: it reads and writes when the descriptor says so, and
 * the time-outs of requests are kept here. Of its watches, one tells whether there is something to write.
 * That leaves nothing to spin on. */

#include "client/library/client.h"

enum {
    CONNECTION_E_LOST = 1,
};

int connection_new(struct connection **ret) _must_check_;
/* `is_child`: closes the copies of the descriptors that fork() made, and no more. */
struct connection *connection_free(struct connection *connection, bool is_child);
int connection_get_fd(const struct connection *connection);

/* Connects if there is no connection. Does not wait for the bus. */
int connection_open(struct lwa_client *client, struct lwa_error *error) _must_check_;
/* NULL while there is none. */
DBusConnection *connection_get(const struct lwa_client *client);
/* Whether this message can be sent by now. Descriptors have to wait until the bus has answered Hello: what
 * comes together with the end of the authentication it reads without them. */
bool connection_can_send(const struct lwa_client *client, DBusMessage *message);
/* Reads and writes what can be without waiting, handles what came: step 1 of client.h. */
void connection_pump(struct lwa_client *client);
/* Does the same until a call of this connection's is answered. 0; -ETIMEDOUT when the time of CLOCK_BOOTTIME
 * has come (UINT64_MAX: never); CONNECTION_E_LOST: this connection is lost, and has been dropped. libdbus
 * would wait, too. But then it leaves other messages where they are, and if memory ends meanwhile does not
 * look again at what it has already read. */
int connection_wait(struct lwa_client *client, DBusPendingCall *call, uint64_t deadline_usec) _must_check_;
/* The same, until this message can be sent. */
int connection_await(struct lwa_client *client, DBusMessage *message, uint64_t deadline_usec) _must_check_;
/* To be called after anything was sent: waits for room in the socket if that has to wait. */
void connection_update(struct lwa_client *client);
/* It has been found dead: takes out what had been received, then forgets it. */
void connection_drop(struct lwa_client *client);

/* If the app wants to be told of something, tries to come back, less and less often. From the dispatch. */
void connection_handle_due(struct lwa_client *client);
/* When connection_handle_due() or connection_pump() has to be called again: 0 now, UINT64_MAX never. */
uint64_t connection_get_due_usec(const struct lwa_client *client);
