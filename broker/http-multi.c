/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Why the descriptors are handled as they are: libuv aborts the process when a descriptor that it watches has
 * been closed behind its back, and curl may close one first and tell later, or re-use its number at once. So
 * curl closes its sockets through on_close(), which stops the watch before the descriptor goes, and a watch
 * is always found by its number, never by a pointer kept inside curl.
 *
 * Teardown: transfers are gone -> curl_multi_cleanup(), which still calls the callbacks to stop the watches
 * -> whatever is left of the watches, and the timer, are closed -> the last close callback frees. */

#include "broker/http-multi.h"

#include "broker/http-memory.h"
#include "broker/reserve.h"
#include "util/list.h"

#define POOL_CONNECTIONS_MAX 4
#define CONNECTIONS_MAX 64 /* further transfers wait; their total time-out runs */

struct http_multi {
    unsigned n_refs;
    unsigned n_handles; /* uv handles that are not closed yet */
    CURLM *curl;
    uv_loop_t *loop;
    uv_timer_t timer;
    struct list watches;
    struct http_multi_events events;
};

struct watch {
    struct list node;
    struct http_multi *multi;
    uv_poll_t poll;
    curl_socket_t fd;
    int events; /* what curl wants: UV_READABLE, UV_WRITABLE */
};

static void handle_closed(struct http_multi *m)
{
    if (--m->n_handles == 0)
        free(m);
}

static void on_timer_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

/* --- curl's side: what to watch, when to wake up ----------------------------------------------------- */

static void on_poll(uv_poll_t *poll, int status, int events);
static void drive(struct http_multi *m, curl_socket_t fd, int mask);

static struct watch *watch_find(struct http_multi *m, curl_socket_t fd)
{
    struct watch *w;
    LIST_FOREACH (w, &m->watches, node)
        if (w->fd == fd)
            return w;
    return NULL;
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct watch *w = handle->data;
    handle_closed(w->multi);
    free(w);
}

static void watch_close(struct watch *w)
{
    if (!w)
        return;
    list_remove(&w->node);
    (void)uv_poll_stop(&w->poll);
    uv_close((uv_handle_t *)&w->poll, on_watch_closed);
}

static struct watch *watch_new(struct http_multi *m, curl_socket_t fd)
{
    struct watch *w = reserve_calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    if (uv_poll_init(m->loop, &w->poll, fd) < 0) {
        free(w);
        return NULL;
    }
    w->multi = m;
    w->fd = fd;
    w->poll.data = w;
    list_append(&m->watches, &w->node);
    m->n_handles++;
    return w;
}

static int watch_start(struct watch *w, int what)
{
    w->events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    return uv_poll_start(&w->poll, w->events, on_poll);
}

/* -1 makes curl give up the whole multi, which is what is left when a descriptor cannot be watched. */
static int on_socket(CURL *easy _unused_, curl_socket_t fd, int what, void *userdata,
                     void *socket_data _unused_)
{
    struct http_multi *m = userdata;
    struct watch *w = watch_find(m, fd);
    if (what == CURL_POLL_REMOVE) {
        watch_close(w); /* NULL when the descriptor went before the news of it */
        return 0;
    }
    if (!w)
        w = watch_new(m, fd);
    return w && watch_start(w, what) == 0 ? 0 : -1;
}

static int on_close(void *userdata, curl_socket_t fd)
{
    watch_close(watch_find(userdata, fd));
    return close(fd);
}

static void on_timer(uv_timer_t *timer)
{
    uv_update_time(timer->loop);
    drive(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

/* A time of 0 means soon, never now: curl must not be called from its own callback. */
static int on_set_timer(CURLM *curl _unused_, long msec, void *userdata)
{
    struct http_multi *m = userdata;
    if (msec < 0)
        return uv_timer_stop(&m->timer);
    uv_update_time(m->loop);
    return uv_timer_start(&m->timer, on_timer, (uint64_t)msec, 0) == 0 ? 0 : -1;
}

/* --- the loop's side --------------------------------------------------------------------------------- */

/* The message dies with the removal of its handle: what is needed of it is copied first. */
static void hand_over_finished(struct http_multi *m)
{
    int queued;
    for (CURLMsg *message; (message = curl_multi_info_read(m->curl, &queued));) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURL *easy = message->easy_handle;
        CURLcode result = message->data.result;
        (void)curl_multi_remove_handle(m->curl, easy);
        m->events.done(easy, result);
    }
}

static void drive(struct http_multi *m, curl_socket_t fd, int mask)
{
    /* What runs below may drop every other reference. */
    _cleanup_(http_multi_unrefp) struct http_multi *held = http_multi_ref(m);
    int running;
    if (curl_multi_socket_action(held->curl, fd, mask, &running) == CURLM_OK)
        hand_over_finished(held);
    else
        held->events.broken(held, held->events.userdata);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;
    struct http_multi *m = w->multi;
    curl_socket_t fd = w->fd;
    int mask = (events & UV_READABLE ? CURL_CSELECT_IN : 0) | (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
    if (status < 0) {
        /* libuv has stopped the watch. A mask of 0 has curl look at the socket itself: unlike
         * CURL_CSELECT_ERR, that lets it read what came before the error. */
        mask = 0;
        (void)uv_poll_start(poll, w->events, on_poll);
    }
    drive(m, fd, mask);
}

/* --- life -------------------------------------------------------------------------------------------- */

static bool multi_setup(struct http_multi *m)
{
    bool failed = false;
    failed |= curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, on_socket) != CURLM_OK;
    failed |= curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m) != CURLM_OK;
    failed |= curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, on_set_timer) != CURLM_OK;
    failed |= curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m) != CURLM_OK;
    failed |= curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, (long)POOL_CONNECTIONS_MAX) != CURLM_OK;
    failed |= curl_multi_setopt(m->curl, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)CONNECTIONS_MAX) != CURLM_OK;
    return !failed;
}

int http_multi_new(uv_loop_t *loop, const struct http_multi_events *events, struct http_multi **ret)
{
    int r = http_memory_init();
    if (r < 0)
        return r;
    struct http_multi *m = calloc(1, sizeof(*m));
    CURLM *curl = m ? curl_multi_init() : NULL;
    if (!curl) {
        free(m);
        curl_global_cleanup();
        return -ENOMEM;
    }

    *m = (struct http_multi){.n_refs = 1, .n_handles = 1, .curl = curl, .loop = loop, .events = *events};
    list_init(&m->watches);
    (void)uv_timer_init(loop, &m->timer); /* cannot fail */
    m->timer.data = m;
    if (!multi_setup(m)) {
        http_multi_unref(m);
        return -ENOMEM;
    }
    *ret = m;
    return 0;
}

struct http_multi *http_multi_ref(struct http_multi *m)
{
    m->n_refs++;
    return m;
}

void http_multi_unref(struct http_multi *m)
{
    if (!m || --m->n_refs > 0)
        return;
    (void)curl_multi_cleanup(m->curl);
    curl_global_cleanup();

    struct watch *w, *after;
    LIST_FOREACH_SAFE (w, after, &m->watches, node)
        watch_close(w);
    uv_close((uv_handle_t *)&m->timer, on_timer_closed);
}

int http_multi_add(struct http_multi *m, CURL *easy)
{
    if (curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, m) != CURLE_OK)
        return -ENOMEM;
    return curl_multi_add_handle(m->curl, easy) == CURLM_OK ? 0 : -ENOMEM;
}

void http_multi_remove(struct http_multi *m, CURL *easy)
{
    (void)curl_multi_remove_handle(m->curl, easy);
}
