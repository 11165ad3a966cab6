/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/fuzz/fakes.h"

#include "broker/bus.h"
#include "broker/store-internal.h"
#include "broker/timer.h"
#include "tests/fuzz/fuzz.h"

#include <dbus/dbus.h>

static struct list waiting = {&waiting, &waiting};
static struct list timers = {&timers, &timers};

void (*fakes_on_message)(DBusMessage *message);
void (*fakes_on_request)(const char *url, const struct http_field *fields, size_t n_fields);

static struct fake *fake_new(enum fake_kind kind, void *userdata)
{
    struct fake *f = calloc(1, sizeof(*f));
    require(f);
    f->kind = kind;
    f->userdata = userdata;
    list_append(kind == FAKE_TIMER ? &timers : &waiting, &f->node);
    return f;
}

static void fake_free(struct fake *f)
{
    if (!f)
        return;
    list_remove(&f->node);
    if (f->message)
        dbus_message_unref(f->message);
    free(f->url);
    free(f->text);
    free(f);
}

struct fake *fakes_first(void)
{
    return list_is_empty(&waiting) ? NULL : LIST_ENTRY(waiting.next, struct fake, node);
}

struct fake *fakes_first_timer(void)
{
    return list_is_empty(&timers) ? NULL : LIST_ENTRY(timers.next, struct fake, node);
}

void fake_answer_call(struct fake *f, DBusMessage *reply)
{
    bus_reply_callback callback = f->callback.reply;
    void *userdata = f->userdata;
    fake_free(f);
    callback(reply, userdata);
    dbus_message_unref(reply);
}

/* As in the real one, a request is gone when its callback returns, and may be dropped within it. */
void fake_answer_http(struct fake *f, const struct http_reply *reply)
{
    http_callback callback = f->callback.http;
    f->callback.http = NULL;
    callback(reply, f->userdata);
    fake_free(f);
}

void fake_answer_identity(struct fake *f, const struct identity *identity, const char *why)
{
    identity_callback callback = f->callback.identity;
    void *userdata = f->userdata;
    fake_free(f);
    callback(identity, why, userdata);
}

void fake_fire(struct fake *f)
{
    timer_callback callback = f->callback.timer;
    void *userdata = f->userdata;
    fake_free(f);
    callback(userdata);
}

/* --- timer.h ----------------------------------------------------------------------------------------- */

int timer_start(uv_loop_t *loop _unused_, uint64_t delay_usec _unused_, timer_callback callback,
                void *userdata, struct timer **ret)
{
    struct fake *f = fake_new(FAKE_TIMER, userdata);
    f->callback.timer = callback;
    *ret = (struct timer *)f;
    return 0;
}

void timer_drop(struct timer *t)
{
    fake_free((struct fake *)t);
}

/* --- identity.h -------------------------------------------------------------------------------------- */

int identity_look_up(struct broker *broker _unused_, const char *name, identity_callback callback,
                     void *userdata, struct identity_lookup **ret)
{
    struct fake *f = fake_new(FAKE_IDENTITY, userdata);
    f->callback.identity = callback;
    f->text = strdup(name);
    require(f->text);
    *ret = (struct identity_lookup *)f;
    return 0;
}

void identity_lookup_drop(struct identity_lookup *l)
{
    fake_free((struct fake *)l);
}

/* --- http.h ------------------------------------------------------------------------------------------ */

const char *http_failure_name(enum http_failure failure _unused_)
{
    return "failure";
}

int http_new(uv_loop_t *loop _unused_, const struct http_options *options _unused_, struct http **ret)
{
    *ret = NULL;
    return 0;
}

int http_set_options(struct http *h _unused_, const struct http_options *options _unused_)
{
    return 0;
}

void http_free(struct http *h _unused_)
{
}

static int request_new(const char *url, const struct http_field *fields, size_t n_fields,
                       http_callback callback, void *userdata, struct http_request **ret)
{
    if (fakes_on_request)
        fakes_on_request(url, fields, n_fields);
    struct fake *f = fake_new(FAKE_HTTP, userdata);
    const char *token = "";
    for (size_t i = 0; i < n_fields; i++)
        if (strcmp(fields[i].name, "refresh_token") == 0)
            token = fields[i].value;
    f->callback.http = callback;
    f->url = strdup(url);
    f->text = strdup(token);
    require(f->url && f->text);
    *ret = (struct http_request *)f;
    return 0;
}

int http_post(struct http *h _unused_, const char *url, const struct http_field *fields, size_t n_fields,
              const char *language _unused_, http_callback callback, void *userdata,
              struct http_request **ret)
{
    return request_new(url, fields, n_fields, callback, userdata, ret);
}

int http_get(struct http *h _unused_, const char *url, const char *bearer_header, const char *bearer,
             http_callback callback, void *userdata, struct http_request **ret)
{
    const struct http_field field = {bearer_header, bearer};
    return request_new(url, &field, bearer ? 1 : 0, callback, userdata, ret);
}

int http_head(struct http *h _unused_, const char *url, http_callback callback, void *userdata,
              struct http_request **ret)
{
    return request_new(url, NULL, 0, callback, userdata, ret);
}

void http_request_drop(struct http_request *r)
{
    struct fake *f = (struct fake *)r;
    if (f && f->callback.http)
        fake_free(f);
}

/* --- store-worker.c: a thread that ends at once ------------------------------------------------------- */

void store_worker_start(struct store *s _unused_)
{
}

void store_worker_main(void *store _unused_)
{
}

int store_repeats_set(struct store *s _unused_, int64_t sequence _unused_, uint64_t repeats _unused_)
{
    return 0;
}

/* --- bus.h ------------------------------------------------------------------------------------------- */

int bus_open(uv_loop_t *loop _unused_, const char *address _unused_,
             const struct bus_handlers *handlers _unused_, void *userdata _unused_, struct bus **ret)
{
    *ret = NULL;
    return 0;
}

void bus_close(struct bus *b _unused_)
{
}

int bus_request_name(struct bus *b _unused_, const char *name _unused_)
{
    return 0;
}

int bus_add_match(struct bus *b _unused_, const char *rule _unused_)
{
    return 0;
}

const char *bus_unique_name(const struct bus *b _unused_)
{
    return ":1.0";
}

bool bus_is_lost(const struct bus *b _unused_)
{
    return false;
}

void bus_send(struct bus *b _unused_, DBusMessage *message)
{
    if (fakes_on_message)
        fakes_on_message(message);
}

void bus_reply(struct bus *b, DBusMessage *call, DBusMessage *reply)
{
    require(reply); /* memory does not end here */
    if (!dbus_message_get_no_reply(call))
        bus_send(b, reply);
}

void bus_flush(struct bus *b _unused_)
{
}

int bus_call(struct bus *b _unused_, DBusMessage *message, int timeout_ms _unused_,
             bus_reply_callback callback, void *userdata, struct bus_call **ret)
{
    static dbus_uint32_t serial;
    if (dbus_message_get_serial(message) == 0)
        dbus_message_set_serial(message, ++serial);
    struct fake *f = fake_new(FAKE_BUS_CALL, userdata);
    f->callback.reply = callback;
    f->message = dbus_message_ref(message);
    *ret = (struct bus_call *)f;
    return 0;
}

void bus_call_drop(struct bus_call *c)
{
    fake_free((struct fake *)c);
}
