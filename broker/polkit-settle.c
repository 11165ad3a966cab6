/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/polkit-settle.h"

#include "broker/limits.h"
#include "broker/timer.h"
#include "dbus/writer.h"

#define POLKIT_NAME "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"

struct polkit_settle {
    uv_loop_t *loop;
    struct bus *bus;
    struct bus_call *call;
    struct timer *timer;
    bool has_paused;
    void (*callback)(void *userdata);
    void *userdata;
};

static void finish(struct polkit_settle *s)
{
    void (*callback)(void *) = s->callback;
    void *userdata = s->userdata;
    polkit_settle_drop(s);
    callback(userdata);
}

static int ask(struct polkit_settle *s);

static void on_pause_over(void *userdata)
{
    struct polkit_settle *s = userdata;
    s->timer = NULL;
    s->has_paused = true;
    if (ask(s) < 0)
        finish(s);
}

static void on_answered(DBusMessage *reply _unused_, void *userdata)
{
    struct polkit_settle *s = userdata;
    s->call = NULL;
    if (s->has_paused ||
        timer_start(s->loop, LIMIT_POLKIT_SETTLE_MSEC * UINT64_C(1000), on_pause_over, s, &s->timer) < 0)
        finish(s);
}

/* A property, since Ping is answered by another thread than the one that watches. */
static int ask(struct polkit_settle *s)
{
    DBusMessage *message =
        dbus_message_new_method_call(POLKIT_NAME, POLKIT_PATH, DBUS_INTERFACE_PROPERTIES, "Get");
    if (!message)
        return -ENOMEM;
    struct writer w;
    writer_begin(&w, message);
    writer_string(&w, POLKIT_INTERFACE);
    writer_string(&w, "BackendVersion");
    int r = writer_end(&w);
    if (r == 0)
        r = bus_call(s->bus, message, LIMIT_POLKIT_TIMEOUT_SEC * 1000, on_answered, s, &s->call);
    dbus_message_unref(message);
    return r;
}

int polkit_settle(uv_loop_t *loop, struct bus *bus, void (*callback)(void *userdata), void *userdata,
                  struct polkit_settle **ret)
{
    _cleanup_(polkit_settle_dropp) struct polkit_settle *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->loop = loop;
    s->bus = bus;
    s->callback = callback;
    s->userdata = userdata;
    int r = ask(s);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(s);
    return 0;
}

void polkit_settle_drop(struct polkit_settle *s)
{
    if (!s)
        return;
    bus_call_drop(s->call);
    timer_drop(s->timer);
    free(s);
}
