/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The timers of a loop are a heap by their deadlines, in an array; each knows its place in it, so that it can
 * be taken out from the middle. The timerfd is armed for the first of them. */

#include "broker/timer.h"

#include "util/clock.h"

#include <assert.h>
#include <sys/timerfd.h>

#define ROOM_FIRST 16

struct timer {
    struct timers *timers;
    uint64_t deadline_usec;
    uint64_t number; /* in the order of their starts */
    size_t place;
    timer_callback callback;
    void *userdata;
};

struct timers {
    uv_loop_t *loop;
    uv_poll_t poll;
    int fd;
    struct timer **heap;
    size_t n;
    size_t room;
    uint64_t last_number;
    uint64_t armed_usec; /* what the timerfd is armed for; 0: nothing */
    struct timer *spare; /* the one whose callback runs: for the next that it starts */
    bool is_firing;
};

/* --- the heap ---------------------------------------------------------------------------------------- */

static bool is_before(const struct timer *a, const struct timer *b)
{
    return a->deadline_usec != b->deadline_usec ? a->deadline_usec < b->deadline_usec : a->number < b->number;
}

static void put(struct timers *ts, struct timer *t, size_t place)
{
    ts->heap[place] = t;
    t->place = place;
}

/* Puts the timer where it belongs, given that the place is free. */
static void sift(struct timers *ts, struct timer *t, size_t place)
{
    for (; place > 0 && is_before(t, ts->heap[(place - 1) / 2]); place = (place - 1) / 2)
        put(ts, ts->heap[(place - 1) / 2], place);
    for (size_t child; (child = 2 * place + 1) < ts->n; place = child) {
        if (child + 1 < ts->n && is_before(ts->heap[child + 1], ts->heap[child]))
            child++;
        if (!is_before(ts->heap[child], t))
            break;
        put(ts, ts->heap[child], place);
    }
    put(ts, t, place);
}

static int add(struct timers *ts, struct timer *t)
{
    if (ts->n == ts->room) {
        size_t room = ts->room ? ts->room * 2 : ROOM_FIRST;
        struct timer **heap = reallocarray(ts->heap, room, sizeof(*heap));
        if (!heap)
            return -ENOMEM;
        ts->heap = heap;
        ts->room = room;
    }
    ts->n++;
    sift(ts, t, ts->n - 1);
    return 0;
}

static void take_out(struct timers *ts, struct timer *t)
{
    struct timer *last = ts->heap[--ts->n];
    if (last != t)
        sift(ts, last, t->place);
}

/* --- the timerfd ------------------------------------------------------------------------------------- */

/* One that is armed for a timer that was dropped wakes up for nothing, once. */
static void arm(struct timers *ts)
{
    uint64_t at = ts->n > 0 ? ts->heap[0]->deadline_usec : 0;
    if (at == 0 || at == ts->armed_usec)
        return;
    const struct itimerspec when = {
        .it_value = {(time_t)(at / USEC_PER_SEC), (long)(at % USEC_PER_SEC * 1000)}};
    int r = timerfd_settime(ts->fd, TFD_TIMER_ABSTIME, &when, NULL);
    assert(r == 0); /* fails only for arguments that make no sense */
    ts->armed_usec = at;
}

static void on_closed(uv_handle_t *handle)
{
    struct timers *ts = handle->data;
    (void)close(ts->fd);
    free(ts->heap);
    free(ts);
}

static void close_if_empty(struct timers *ts)
{
    if (ts->n > 0 || ts->is_firing)
        return;
    ts->loop->data = NULL;
    uv_close((uv_handle_t *)&ts->poll, on_closed);
}

static void on_ready(uv_poll_t *poll, int status _unused_, int events _unused_)
{
    struct timers *ts = poll->data;
    uint64_t n_expired, now = boottime_usec(), last_number = ts->last_number;
    if (read(ts->fd, &n_expired, sizeof(n_expired)) == (ssize_t)sizeof(n_expired))
        ts->armed_usec = 0;
    ts->is_firing = true;
    while (ts->n > 0) {
        struct timer *t = ts->heap[0];
        if (t->deadline_usec > now || t->number > last_number)
            break;
        timer_callback callback = t->callback;
        void *userdata = t->userdata;
        take_out(ts, t);
        free(ts->spare);
        ts->spare = t;
        callback(userdata);
    }
    ts->is_firing = false;
    free(ts->spare);
    ts->spare = NULL;
    arm(ts);
    close_if_empty(ts);
}

static int timers_new(uv_loop_t *loop, struct timers **ret)
{
    struct timers *ts = calloc(1, sizeof(*ts));
    if (!ts)
        return -ENOMEM;
    ts->loop = loop;
    ts->fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (ts->fd < 0) {
        free(ts);
        return -EMFILE; /* whatever it was: errno may be another by now */
    }
    int r = uv_poll_init(loop, &ts->poll, ts->fd);
    if (r < 0) {
        (void)close(ts->fd);
        free(ts);
        return r;
    }
    ts->poll.data = ts;
    (void)uv_poll_start(&ts->poll, UV_READABLE, on_ready); /* fails only when closing */
    loop->data = ts;
    *ret = ts;
    return 0;
}

/* --- timers ------------------------------------------------------------------------------------------ */

int timer_start(uv_loop_t *loop, uint64_t delay_usec, timer_callback callback, void *userdata,
                struct timer **ret)
{
    struct timers *ts = loop->data;
    int r = ts ? 0 : timers_new(loop, &ts);
    if (r < 0)
        return r;
    _cleanup_free_ struct timer *t = ts->spare ? TAKE_PTR(ts->spare) : malloc(sizeof(*t));
    if (!t) {
        close_if_empty(ts);
        return -ENOMEM;
    }
    *t = (struct timer){.timers = ts,
                        .deadline_usec = boottime_usec() + delay_usec,
                        .number = ++ts->last_number,
                        .callback = callback,
                        .userdata = userdata};
    r = add(ts, t);
    if (r == 0 && !ts->is_firing)
        arm(ts);
    close_if_empty(ts);
    if (r == 0)
        *ret = TAKE_PTR(t);
    return r;
}

void timer_drop(struct timer *t)
{
    if (!t)
        return;
    struct timers *ts = t->timers;
    take_out(ts, t);
    free(t);
    close_if_empty(ts);
}
