/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is around the broker's handlers, in the place of the modules of these names: the bus, HTTP,
 * identities, timers and the thread of the store. Nothing happens by itself: what the broker waits for stands
 * in a queue, until the entry says what comes of it. */

#include "broker/http.h"
#include "broker/identity.h"
#include "util/list.h"

#include <dbus/dbus.h>

enum fake_kind { FAKE_BUS_CALL, FAKE_HTTP, FAKE_IDENTITY, FAKE_TIMER };

/* Something the broker waits for. */
struct fake {
    struct list node;
    enum fake_kind kind;
    void *userdata;
    DBusMessage *message; /* of a call on the bus */
    char *url;            /* of a request */
    char *text;           /* the connection whose identity is asked for, or the refresh token of a request */
    union {
        void (*reply)(DBusMessage *reply, void *userdata);
        http_callback http;
        identity_callback identity;
        void (*timer)(void *userdata);
    } callback;
};

/* The first that waits, of any kind but timers; NULL for none. */
struct fake *fakes_first(void);
struct fake *fakes_first_timer(void);
/* Each runs the callback; the fake is gone when it begins. */
void fake_answer_call(struct fake *f, DBusMessage *reply);
void fake_answer_http(struct fake *f, const struct http_reply *reply);
void fake_answer_identity(struct fake *f, const struct identity *identity, const char *why);
void fake_fire(struct fake *f);

/* Called with each message that the broker sends. */
extern void (*fakes_on_message)(DBusMessage *message);
/* Called with each request: the URL, and a form's fields. */
extern void (*fakes_on_request)(const char *url, const struct http_field *fields, size_t n_fields);
