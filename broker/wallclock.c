/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A timer of the wall clock that never runs out, and that the kernel cancels when the clock is set. */

#include "broker/wallclock.h"

#include "util/clock.h"

#include <assert.h>
#include <sys/timerfd.h>

#define TIME_MAX (sizeof(time_t) == 8 ? (time_t)INT64_MAX : (time_t)INT32_MAX)
#define LEAST_SEC INT64_C(1767225600) /* 2026: no device ran this before */
#define SLACK_SEC 86400               /* a clock that is a little slow is no reason to speak of it */

struct wallclock {
    uv_poll_t poll;
    int fd;
    int64_t least_sec;
    wallclock_callback callback;
    void *userdata;
};

static void arm(const struct wallclock *w)
{
    /* The end of time: a date that the clock can be set to would run out, again and again. */
    const struct itimerspec when = {.it_value = {.tv_sec = TIME_MAX}};
    int r = timerfd_settime(w->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &when, NULL);
    assert(r == 0); /* fails only for arguments that make no sense */
}

static void on_ready(uv_poll_t *poll, int status _unused_, int events _unused_)
{
    const struct wallclock *w = poll->data;
    uint64_t n_expired;
    (void)!read(w->fd, &n_expired, sizeof(n_expired)); /* ECANCELED is the news */
    arm(w);
    w->callback(w->userdata);
}

static void on_closed(uv_handle_t *handle)
{
    struct wallclock *w = handle->data;
    (void)close(w->fd);
    free(w);
}

int wallclock_new(uv_loop_t *loop, wallclock_callback callback, void *userdata, struct wallclock **ret)
{
    _cleanup_free_ struct wallclock *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    *w = (struct wallclock){.least_sec = LEAST_SEC, .callback = callback, .userdata = userdata};
    w->fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (w->fd < 0)
        return -errno;
    int r = uv_poll_init(loop, &w->poll, w->fd);
    if (r < 0) {
        (void)close(w->fd);
        return r;
    }
    w->poll.data = w;
    arm(w);
    (void)uv_poll_start(&w->poll, UV_READABLE, on_ready); /* fails only when closing */
    *ret = TAKE_PTR(w);
    return 0;
}

void wallclock_free(struct wallclock *w)
{
    if (w)
        uv_close((uv_handle_t *)&w->poll, on_closed);
}

void wallclock_note(struct wallclock *w, int64_t sec)
{
    if (w && sec > w->least_sec)
        w->least_sec = sec;
}

bool wallclock_is_plausible(const struct wallclock *w)
{
    return !w || wall_sec() >= w->least_sec - SLACK_SEC;
}
