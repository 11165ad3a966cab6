/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/loop.h"

#include "broker/limits.h"

#include <fcntl.h>
#include <sys/eventfd.h>

static void ignore_poll(uv_poll_t *poll _unused_, int status _unused_, int events _unused_)
{
}

/* Watches a descriptor of a high number for a moment: the table is never made smaller. */
static int reserve_watches(uv_loop_t *loop)
{
    _cleanup_close_ int event = eventfd(0, EFD_CLOEXEC);
    if (event < 0)
        return -errno;
    _cleanup_close_ int high = -1;
    for (int n = LIMIT_WATCHED_DESCRIPTORS; high < 0; n /= 2) { /* the system may allow fewer */
        high = fcntl(event, F_DUPFD_CLOEXEC, n - 1);
        if (high < 0 && n < 64)
            return -errno;
    }
    uv_poll_t poll;
    int r = uv_poll_init(loop, &poll, high);
    if (r < 0)
        return r;
    r = uv_poll_start(&poll, UV_READABLE, ignore_poll);
    (void)uv_poll_stop(&poll);
    uv_close((uv_handle_t *)&poll, NULL);
    (void)uv_run(loop, UV_RUN_NOWAIT); /* the handle is on our stack */
    return r;
}

static void do_nothing(uv_work_t *work _unused_)
{
}

static int start_workers(uv_loop_t *loop)
{
    uv_work_t work;
    int r = uv_queue_work(loop, &work, do_nothing, NULL);
    if (r == 0)
        (void)uv_run(loop, UV_RUN_DEFAULT);
    return r;
}

int loop_prepare(uv_loop_t *loop)
{
    int r = reserve_watches(loop);
    return r < 0 ? r : start_workers(loop);
}
