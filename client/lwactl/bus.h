/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The system bus and the broker on it, with blocking calls. Each function returns an exit code, and what is
 * not CTL_OK has been said on standard error, with the next step. */

#include "client/lwactl/options.h"
#include "dbus/errors.h"
#include "dbus/writer.h"

#include <dbus/dbus.h>

struct bus {
    DBusConnection *connection;
    bool interactive; /* let polkit ask a person */
};

int bus_open(const struct arguments *arguments, struct bus *ret) _must_check_;
/* Whether polkit may ask a person: as the options say, else if there seems to be one. */
bool bus_may_ask(const struct arguments *arguments);
/* As bus_open(), and says nothing: for what would only be nice to know. */
bool bus_try_open(const struct arguments *arguments, struct bus *ret) _must_check_;
void bus_close(struct bus *bus);

#define _cleanup_bus_ _cleanup_(bus_close)

static inline void dbus_message_unrefp(DBusMessage **m)
{
    if (*m)
        dbus_message_unref(*m);
}

#define _cleanup_message_ _cleanup_(dbus_message_unrefp)

/* What a hint can name. All may be NULL. */
struct bus_context {
    const struct strv *scopes;
    const char *account;
    const char *login_options; /* of `lwactl login`, with a blank at the end */
    bool is_app;               /* it is the caller that would hold the scopes */
};

int bus_new_call(const char *path, const char *interface, const char *member, DBusMessage **ret) _must_check_;
/* Ends the arguments of a call: text that is not UTF-8 came from the command line. */
int bus_end_arguments(struct writer *w) _must_check_;

/* Sends and waits. The reply has the signature that is asked for. */
int bus_call(struct bus *bus, DBusMessage *call, const char *signature, const struct bus_context *context,
             DBusMessage **ret_reply) _must_check_;
/* The same, but waits and tries again where the broker says that there were too many calls: for what comes in
 * many pieces, of which the first was given. */
int bus_call_patiently(struct bus *bus, DBusMessage *call, const char *signature,
                       DBusMessage **ret_reply) _must_check_;
/* Sends and waits, without a prompt, and says nothing when it fails: NULL. For what would only be nice to
 * know. */
DBusMessage *bus_try(struct bus *bus, DBusMessage *call, const char *signature);
/* Says an error by its name and the message that came with it (NULL or "": none), and what to do next. */
int bus_report(const char *name, const char *message, const struct bus_context *context);
/* The same, with advice for an app that asks the broker over `bus`. */
int bus_report_with(struct bus *bus, const char *name, const char *message,
                    const struct bus_context *context);
/* For an answer of another shape than the contract's. */
int bus_report_unknown_answer(void);
/* "login SCOPE…" as a hint. */
void bus_hint_login(const struct bus_context *context);
