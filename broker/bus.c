/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/bus.h"

#include "broker/bus-watches.h"
#include "broker/limits.h"
#include "util/log.h"

#include <string.h>

#define MEMORY_RETRY_MSEC 20

/* What memory could not hold when it was due. */
struct late {
    DBusMessage *message;
    bool is_refusal; /* it is a call, to be answered with NoMemory; else it is to be sent */
};

struct bus {
    uv_loop_t *loop;
    DBusConnection *connection;
    struct bus_handlers handlers;
    void *userdata;
    struct bus_watches watches;
    uv_prepare_t *prepare;
    uv_idle_t *idle;
    uv_timer_t *memory_timer; /* runs while libdbus or what is late waits for memory */
    struct late late[LIMIT_BUS_LATE];
    size_t n_late;
    bool is_lost;
};

struct bus_call {
    DBusPendingCall *pending;
    bus_reply_callback callback;
    void *userdata;
};

/* --- without memory ---------------------------------------------------------------------------------- */

static void on_memory_timer(uv_timer_t *timer _unused_)
{
    /* It only wakes the loop: the work is done before the next poll. */
}

static void wait_for_memory(struct bus *b)
{
    (void)uv_timer_start(b->memory_timer, on_memory_timer, MEMORY_RETRY_MSEC, 0);
}

static bool send_late(struct bus *b, const struct late *late)
{
    if (!late->is_refusal)
        return dbus_connection_send(b->connection, late->message, NULL);
    DBusMessage *error = dbus_message_new_error(late->message, DBUS_ERROR_NO_MEMORY, BUS_NO_MEMORY_SENTENCE);
    bool sent = error && dbus_connection_send(b->connection, error, NULL);
    if (error)
        dbus_message_unref(error);
    return sent;
}

/* In the order in which they were due. */
static void send_all_late(struct bus *b)
{
    size_t n = 0;
    while (n < b->n_late && send_late(b, &b->late[n]))
        dbus_message_unref(b->late[n++].message);
    b->n_late -= n;
    memmove(b->late, b->late + n, b->n_late * sizeof(b->late[0]));
    if (b->n_late > 0)
        wait_for_memory(b);
}

static void send_or_keep(struct bus *b, DBusMessage *message, bool is_refusal)
{
    const struct late late = {message, is_refusal};
    if (b->is_lost || (b->n_late == 0 && send_late(b, &late)))
        return;
    if (b->n_late == LIMIT_BUS_LATE) {
        log_error("no memory for a message on the bus; whom it was for is left to its own time-out");
        return;
    }
    b->late[b->n_late++] = (struct late){dbus_message_ref(message), is_refusal};
    wait_for_memory(b);
}

/* --- dispatch ------------------------------------------------------------------------------------------ */

static void on_idle(uv_idle_t *idle _unused_)
{
    /* Its being active keeps the loop from sleeping; the work is done before the next poll. */
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct bus *b = prepare->data;
    if (b->is_lost)
        return;

    send_all_late(b);
    DBusConnection *connection = dbus_connection_ref(b->connection);
    DBusDispatchStatus status = dbus_connection_get_dispatch_status(connection);
    for (unsigned n = 0; n < LIMIT_DISPATCH_PER_ROUND && status == DBUS_DISPATCH_DATA_REMAINS; n++)
        status = dbus_connection_dispatch(connection);

    if (status == DBUS_DISPATCH_DATA_REMAINS)
        (void)uv_idle_start(b->idle, on_idle);
    else
        (void)uv_idle_stop(b->idle);
    if (status == DBUS_DISPATCH_NEED_MEMORY && !b->is_lost)
        wait_for_memory(b);
    dbus_connection_unref(connection);
}

static DBusHandlerResult filter(DBusConnection *connection _unused_, DBusMessage *message, void *userdata)
{
    struct bus *b = userdata;
    if (dbus_message_is_signal(message, DBUS_INTERFACE_LOCAL, "Disconnected")) {
        if (!b->is_lost) {
            b->is_lost = true;
            b->handlers.lost(b->userdata);
        }
        return DBUS_HANDLER_RESULT_HANDLED;
    }
    switch (dbus_message_get_type(message)) {
    case DBUS_MESSAGE_TYPE_METHOD_CALL:
        b->handlers.method_call(message, b->userdata);
        return DBUS_HANDLER_RESULT_HANDLED;
    case DBUS_MESSAGE_TYPE_SIGNAL:
        b->handlers.signal(message, b->userdata);
        return DBUS_HANDLER_RESULT_HANDLED;
    default:
        return DBUS_HANDLER_RESULT_NOT_YET_HANDLED;
    }
}

/* --- life -------------------------------------------------------------------------------------------- */

static void on_handle_closed(uv_handle_t *handle)
{
    free(handle);
}

static int attach(struct bus *b)
{
    b->prepare = calloc(1, sizeof(*b->prepare));
    b->idle = calloc(1, sizeof(*b->idle));
    b->memory_timer = calloc(1, sizeof(*b->memory_timer));
    if (!b->prepare || !b->idle || !b->memory_timer) {
        free(b->prepare);
        free(b->idle);
        free(b->memory_timer);
        b->prepare = NULL;
        b->idle = NULL;
        b->memory_timer = NULL;
        return -ENOMEM;
    }
    (void)uv_prepare_init(b->loop, b->prepare);
    (void)uv_idle_init(b->loop, b->idle);
    (void)uv_timer_init(b->loop, b->memory_timer);
    b->prepare->data = b;
    (void)uv_prepare_start(b->prepare, on_prepare);

    int r = bus_watches_attach(&b->watches, b->loop, b->connection);
    if (r == 0 && !dbus_connection_add_filter(b->connection, filter, b, NULL))
        r = -ENOMEM;
    return r;
}

static DBusConnection *connect_to(const char *address, DBusError *error)
{
    if (!address)
        return dbus_bus_get_private(DBUS_BUS_SYSTEM, error);

    DBusConnection *connection = dbus_connection_open_private(address, error);
    if (connection && !dbus_bus_register(connection, error)) {
        dbus_connection_close(connection);
        dbus_connection_unref(connection);
        return NULL;
    }
    return connection;
}

int bus_open(uv_loop_t *loop, const char *address, const struct bus_handlers *handlers, void *userdata,
             struct bus **ret)
{
    _cleanup_(bus_closep) struct bus *b = calloc(1, sizeof(*b));
    if (!b)
        return -ENOMEM;
    b->loop = loop;
    b->handlers = *handlers;
    b->userdata = userdata;

    dbus_connection_set_change_sigpipe(FALSE);
    DBusError error = DBUS_ERROR_INIT;
    b->connection = connect_to(address, &error);
    if (!b->connection)
        log_error("bus: %s", error.message ? error.message : "no reason given");
    dbus_error_free(&error);
    if (!b->connection)
        return -ENOTCONN;
    dbus_connection_set_exit_on_disconnect(b->connection, FALSE);
    /* libdbus would answer Ping by itself, past all limits. */
    dbus_connection_set_route_peer_messages(b->connection, TRUE);

    int r = attach(b);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(b);
    return 0;
}

void bus_close(struct bus *b)
{
    if (!b)
        return;
    b->is_lost = true;
    while (b->n_late > 0)
        dbus_message_unref(b->late[--b->n_late].message);
    if (b->connection) {
        dbus_connection_remove_filter(b->connection, filter, b);
        dbus_connection_close(b->connection);
        bus_watches_detach(b->connection);
        dbus_connection_unref(b->connection);
    }
    if (b->prepare)
        uv_close((uv_handle_t *)b->prepare, on_handle_closed);
    if (b->idle)
        uv_close((uv_handle_t *)b->idle, on_handle_closed);
    if (b->memory_timer)
        uv_close((uv_handle_t *)b->memory_timer, on_handle_closed);
    free(b);
}

int bus_request_name(struct bus *b, const char *name)
{
    int r = dbus_bus_request_name(b->connection, name, DBUS_NAME_FLAG_DO_NOT_QUEUE, NULL);
    if (r < 0)
        return -EPERM;
    return r == DBUS_REQUEST_NAME_REPLY_PRIMARY_OWNER ? 0 : -EEXIST;
}

int bus_add_match(struct bus *b, const char *rule)
{
    DBusError error = DBUS_ERROR_INIT;
    dbus_bus_add_match(b->connection, rule, &error);
    int r = dbus_error_is_set(&error) ? -EPERM : 0;
    dbus_error_free(&error);
    return r;
}

const char *bus_unique_name(const struct bus *b)
{
    return dbus_bus_get_unique_name(b->connection);
}

bool bus_is_lost(const struct bus *b)
{
    return b->is_lost;
}

void bus_send(struct bus *b, DBusMessage *message)
{
    send_or_keep(b, message, false);
}

void bus_reply(struct bus *b, DBusMessage *call, DBusMessage *reply)
{
    if (dbus_message_get_no_reply(call))
        return;
    if (reply)
        send_or_keep(b, reply, false);
    else
        send_or_keep(b, call, true);
}

void bus_flush(struct bus *b)
{
    if (b->is_lost)
        return;
    send_all_late(b);
    dbus_connection_flush(b->connection);
}

/* --- calls ------------------------------------------------------------------------------------------- */

static void on_reply(DBusPendingCall *pending, void *userdata)
{
    struct bus_call *c = userdata;
    bus_reply_callback callback = c->callback;
    void *callback_userdata = c->userdata;

    DBusMessage *reply = dbus_pending_call_steal_reply(pending);
    bus_call_drop(c);
    callback(reply, callback_userdata);
    dbus_message_unref(reply);
}

int bus_call(struct bus *b, DBusMessage *message, int timeout_ms, bus_reply_callback callback, void *userdata,
             struct bus_call **ret)
{
    _cleanup_free_ struct bus_call *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->callback = callback;
    c->userdata = userdata;
    if (b->is_lost)
        return -ENOTCONN;
    if (!dbus_connection_send_with_reply(b->connection, message, &c->pending, timeout_ms))
        return -ENOMEM;
    if (!c->pending)
        return -ENOTCONN;
    if (!dbus_pending_call_set_notify(c->pending, on_reply, c, NULL)) {
        dbus_pending_call_cancel(c->pending);
        dbus_pending_call_unref(c->pending);
        return -ENOMEM;
    }
    *ret = TAKE_PTR(c);
    return 0;
}

void bus_call_drop(struct bus_call *c)
{
    if (!c)
        return;
    dbus_pending_call_cancel(c->pending);
    dbus_pending_call_unref(c->pending);
    free(c);
}
