/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/timer.h"

struct timer {
    uv_timer_t handle;
    timer_callback callback;
    void *userdata;
};

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void timer_drop(struct timer *t)
{
    if (t)
        uv_close((uv_handle_t *)&t->handle, on_closed);
}

static void on_timer(uv_timer_t *handle)
{
    struct timer *t = handle->data;
    timer_callback callback = t->callback;
    void *userdata = t->userdata;
    timer_drop(t);
    callback(userdata);
}

int timer_start(uv_loop_t *loop, uint64_t delay_usec, timer_callback callback, void *userdata,
                struct timer **ret)
{
    struct timer *t = malloc(sizeof(*t));
    if (!t)
        return -ENOMEM;
    t->callback = callback;
    t->userdata = userdata;
    (void)uv_timer_init(loop, &t->handle); /* cannot fail */
    t->handle.data = t;
    (void)uv_timer_start(&t->handle, on_timer, (delay_usec + 999) / 1000, 0); /* only fails when closing */
    *ret = t;
    return 0;
}
