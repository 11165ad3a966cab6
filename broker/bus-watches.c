/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/bus-watches.h"

#include <stdlib.h>

#define WATCHES_PER_FD 4

/* One descriptor of libdbus and all its watches. Freed when libuv has closed the poll handle. */
struct bus_fd {
    struct list node;
    struct bus_watches *owner;
    int fd;
    uv_poll_t poll;
    DBusWatch *watches[WATCHES_PER_FD];
};

/* One timeout of libdbus: periodic until it is removed. */
struct bus_timeout {
    uv_timer_t timer;
    DBusTimeout *timeout;
};

/* --- watches ------------------------------------------------------------------------------------------- */

static void on_fd_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct bus_fd *f = poll->data;
    DBusConnection *connection = dbus_connection_ref(f->owner->connection);

    unsigned flags = 0;
    if (status < 0)
        flags = DBUS_WATCH_ERROR | DBUS_WATCH_HANGUP;
    if (events & UV_READABLE)
        flags |= DBUS_WATCH_READABLE;
    if (events & UV_WRITABLE)
        flags |= DBUS_WATCH_WRITABLE;
    if (events & UV_DISCONNECT)
        flags |= DBUS_WATCH_HANGUP;

    /* A watch that is handled may take another one away: its place in the array is then NULL. */
    for (size_t i = 0; i < WATCHES_PER_FD; i++) {
        DBusWatch *watch = f->watches[i];
        if (!watch || !dbus_watch_get_enabled(watch))
            continue;
        unsigned fitting = flags & (dbus_watch_get_flags(watch) | DBUS_WATCH_ERROR | DBUS_WATCH_HANGUP);
        if (fitting)
            (void)dbus_watch_handle(watch, fitting);
    }
    dbus_connection_unref(connection);
}

static void update_poll(struct bus_fd *f)
{
    int events = 0;
    for (size_t i = 0; i < WATCHES_PER_FD; i++) {
        DBusWatch *watch = f->watches[i];
        if (!watch || !dbus_watch_get_enabled(watch))
            continue;
        unsigned flags = dbus_watch_get_flags(watch);
        events |= flags & DBUS_WATCH_READABLE ? UV_READABLE : 0;
        events |= flags & DBUS_WATCH_WRITABLE ? UV_WRITABLE : 0;
    }
    if (events)
        (void)uv_poll_start(&f->poll, events | UV_DISCONNECT, on_poll);
    else
        (void)uv_poll_stop(&f->poll);
}

static struct bus_fd *find_fd(struct bus_watches *w, int fd)
{
    struct bus_fd *f;
    LIST_FOREACH (f, &w->fds, node)
        if (f->fd == fd)
            return f;
    return NULL;
}

static struct bus_fd *new_fd(struct bus_watches *w, int fd)
{
    struct bus_fd *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    if (uv_poll_init(w->loop, &f->poll, fd) < 0) {
        free(f);
        return NULL;
    }
    f->owner = w;
    f->fd = fd;
    f->poll.data = f;
    list_append(&w->fds, &f->node);
    return f;
}

static dbus_bool_t add_watch(DBusWatch *watch, void *userdata)
{
    struct bus_watches *w = userdata;
    int fd = dbus_watch_get_unix_fd(watch);
    struct bus_fd *f = find_fd(w, fd);
    if (!f)
        f = new_fd(w, fd);
    if (!f)
        return FALSE;

    for (size_t i = 0; i < WATCHES_PER_FD; i++) {
        if (f->watches[i])
            continue;
        f->watches[i] = watch;
        dbus_watch_set_data(watch, f, NULL);
        update_poll(f);
        return TRUE;
    }
    return FALSE;
}

static void remove_watch(DBusWatch *watch, void *userdata _unused_)
{
    struct bus_fd *f = dbus_watch_get_data(watch);
    if (!f)
        return;
    bool any = false;
    for (size_t i = 0; i < WATCHES_PER_FD; i++) {
        if (f->watches[i] == watch)
            f->watches[i] = NULL;
        any = any || f->watches[i];
    }
    if (any) {
        update_poll(f);
        return;
    }
    list_remove(&f->node);
    uv_close((uv_handle_t *)&f->poll, on_fd_closed);
}

static void toggle_watch(DBusWatch *watch, void *userdata _unused_)
{
    struct bus_fd *f = dbus_watch_get_data(watch);
    if (f)
        update_poll(f);
}

/* --- timeouts ------------------------------------------------------------------------------------------ */

static void on_timeout_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_timeout(uv_timer_t *timer)
{
    struct bus_timeout *t = timer->data;
    (void)dbus_timeout_handle(t->timeout);
}

static void toggle_timeout(DBusTimeout *timeout, void *userdata _unused_)
{
    struct bus_timeout *t = dbus_timeout_get_data(timeout);
    uint64_t interval = (uint64_t)dbus_timeout_get_interval(timeout);
    if (dbus_timeout_get_enabled(timeout))
        (void)uv_timer_start(&t->timer, on_timeout, interval, interval ? interval : 1);
    else
        (void)uv_timer_stop(&t->timer);
}

static dbus_bool_t add_timeout(DBusTimeout *timeout, void *userdata)
{
    struct bus_watches *w = userdata;
    struct bus_timeout *t = calloc(1, sizeof(*t));
    if (!t)
        return FALSE;
    t->timeout = timeout;
    (void)uv_timer_init(w->loop, &t->timer);
    t->timer.data = t;
    dbus_timeout_set_data(timeout, t, NULL);
    toggle_timeout(timeout, w);
    return TRUE;
}

static void remove_timeout(DBusTimeout *timeout, void *userdata _unused_)
{
    struct bus_timeout *t = dbus_timeout_get_data(timeout);
    if (!t)
        return;
    dbus_timeout_set_data(timeout, NULL, NULL);
    uv_close((uv_handle_t *)&t->timer, on_timeout_closed);
}

/* --- both -------------------------------------------------------------------------------------------- */

int bus_watches_attach(struct bus_watches *w, uv_loop_t *loop, DBusConnection *connection)
{
    w->loop = loop;
    w->connection = connection;
    list_init(&w->fds);
    if (!dbus_connection_set_watch_functions(connection, add_watch, remove_watch, toggle_watch, w, NULL) ||
        !dbus_connection_set_timeout_functions(connection, add_timeout, remove_timeout, toggle_timeout, w,
                                               NULL))
        return -ENOMEM;
    return 0;
}

void bus_watches_detach(DBusConnection *connection)
{
    (void)dbus_connection_set_watch_functions(connection, NULL, NULL, NULL, NULL, NULL);
    (void)dbus_connection_set_timeout_functions(connection, NULL, NULL, NULL, NULL, NULL);
}
