/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One method call at the broker. Both ways check the reply's signature, and both connect first if there is no
 * connection; what fails has been noted in the handle's error. A call that was on a connection when that died
 * is sent once more on a new one, if it may be: all that apps ask for may be. */

#include "client/library/client.h"

#include <dbus/dbus.h>

static inline void dbus_message_unrefp(DBusMessage **m)
{
    if (*m)
        dbus_message_unref(*m);
}

#define _cleanup_message_ _cleanup_(dbus_message_unrefp)

/* An empty call; fill it with dbus/writer.h. 0 or a negative errno, as all of these. */
int call_new(struct lwa_client *client, const char *path, const char *interface, const char *member,
             DBusMessage **ret) _must_check_;
/* Ends the arguments: -EINVAL if a text of the caller's is not UTF-8. */
struct writer;
int call_end(struct lwa_client *client, struct writer *w) _must_check_;

/* Sends and waits. What else comes meanwhile is told by the next dispatch, so that no callback of the app's
 * runs inside of a call. */
int call_wait(struct lwa_client *client, DBusMessage *message, const char *signature,
              DBusMessage **ret_reply) _must_check_;

/* `reply` is the library's, NULL if result < 0. Called from the dispatch, once, unless the request is
 * cancelled. */
typedef void (*call_fn)(struct lwa_client *client, int result, DBusMessage *reply,
                        const struct lwa_error *error, void *userdata);
/* `userdata` is given to `free_fn` (may be NULL) when the request ends: after `fn`, when it is cancelled, or
 * when this fails. `signature` is static. That there is no bus or no broker, the callback tells. */
int call_start(struct lwa_client *client, DBusMessage *message, const char *signature, call_fn fn,
               void *userdata, void (*free_fn)(void *), struct lwa_request **ret_request) _must_check_;
/* For what needs no call (a token that is kept): `fn` is called by the next dispatch, with 0 and no reply. */
int call_start_nothing(struct lwa_client *client, call_fn fn, void *userdata, void (*free_fn)(void *),
                       struct lwa_request **ret_request) _must_check_;

/* --- for call-start.c ---------------------------------------------------------------------------------- */

enum {
    CALL_E_DEAD = 1, /* the connection was dead */
};

/* On the connection that there is, without a time-out of libdbus's. 0, -ENOMEM or CALL_E_DEAD. */
int call_send(struct lwa_client *client, DBusMessage *message, DBusPendingCall **ret_pending) _must_check_;
/* When a call that begins now has to be given up; UINT64_MAX: never. */
uint64_t call_get_deadline_usec(const struct lwa_client *client);
/* The reply of a call that has ended, which is over then: NULL if the connection died. */
DBusMessage *call_take_reply(DBusPendingCall *pending);
/* 0 if the reply is as it has to be. */
int call_check_reply(DBusMessage *reply, const char *signature, struct lwa_error *error) _must_check_;
/* Makes *message one that can be sent on another connection. 0, -ENOMEM; CALL_E_DEAD: it must not be. */
int call_renew(DBusMessage **message) _must_check_;
