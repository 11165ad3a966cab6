/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Finds the handler of a method call: by path, interface and member. Introspectable, Peer and Properties are
 * answered here for every object. A login request's object exists for its creator only: to everyone else, and
 * to introspection by anyone else, there is UnknownObject. */

#include <dbus/dbus.h>

struct broker;

void server_handle(struct broker *broker, DBusMessage *message);
