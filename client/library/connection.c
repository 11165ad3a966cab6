/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/library/connection.h"

#include "client/library/call.h"
#include "client/library/notice.h"
#include "client/library/request.h"
#include "dbus/names.h"
#include "util/clock.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>

#define DEFAULT_ADDRESS "unix:path=/var/run/dbus/system_bus_socket" /* of the specification of D-Bus */
#define OWNER_RULE                                                                                           \
    "type='signal',sender='" DBUS_SERVICE_DBUS "',interface='" DBUS_INTERFACE_DBUS                           \
    "',member='NameOwnerChanged',arg0='" LWA_BUS_NAME "'"

#define DELAY_MIN_USEC (100 * USEC_PER_MSEC)
#define DELAY_MAX_USEC (30 * USEC_PER_SEC)
#define MEMORY_RETRY_MSEC 20
#define DISPATCH_PER_ROUND 64 /* messages; the rest comes with the next dispatch, which is due at once */

struct connection {
    int epoll_fd;
    DBusConnection *dbus; /* NULL: there is none */
    int socket_fd;        /* the duplicate in the epoll set */
    uint32_t events;      /* what the set waits for */
    DBusWatch *writing;   /* libdbus's own: enabled while there is something to write */
    DBusPendingCall *hello;
    DBusPendingCall *owner_call;
    char owner[DBUS_MAXIMUM_NAME_LENGTH + 1]; /* unique name of the broker's connection; "": there is none */
    bool is_lost;                             /* to be dropped when libdbus is done with its messages */
    bool is_comeback;                         /* the app has been told, or has seen, that there was no bus */
    uint64_t retry_usec;
    uint64_t delay_usec; /* before the try after the next */
};

/* --- life ---------------------------------------------------------------------------------------------- */

int connection_new(struct connection **ret)
{
    struct connection *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->socket_fd = -1;
    c->delay_usec = DELAY_MIN_USEC;
    c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (c->epoll_fd < 0) {
        int r = -errno;
        free(c);
        return r;
    }
    *ret = c;
    return 0;
}

static DBusPendingCall *drop_call(DBusPendingCall *call)
{
    if (call) {
        dbus_pending_call_cancel(call);
        dbus_pending_call_unref(call);
    }
    return NULL;
}

/* The epoll set is the parent's as well: a child must leave it alone. */
static void disconnect(struct connection *c, bool is_child)
{
    if (c->socket_fd >= 0 && !is_child)
        (void)epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, c->socket_fd, NULL);
    c->socket_fd = close_fd(c->socket_fd);
    c->hello = drop_call(c->hello);
    c->owner_call = drop_call(c->owner_call);
    if (c->dbus) {
        dbus_connection_close(c->dbus); /* sends nothing */
        dbus_connection_unref(c->dbus);
    }
    c->dbus = NULL;
    c->owner[0] = '\0';
    c->is_lost = false;
}

struct connection *connection_free(struct connection *c, bool is_child)
{
    if (!c)
        return NULL;
    disconnect(c, is_child);
    close_fd(c->epoll_fd);
    free(c);
    return NULL;
}

int connection_get_fd(const struct connection *c)
{
    return c->epoll_fd;
}

DBusConnection *connection_get(const struct lwa_client *client)
{
    return client->connection->dbus;
}

/* --- what the bus says --------------------------------------------------------------------------------- */

static void set_owner(struct connection *c, const char *name)
{
    (void)snprintf(c->owner, sizeof(c->owner), "%s", name);
}

/* All that the broker knew of us is gone. */
static void end_epoch(struct lwa_client *client)
{
    client->epoch++;
    client->is_gone_due = true;
    client->is_changed_due = true;
    cache_handle_gone(client);
}

static void handle_owner_changed(struct lwa_client *client, DBusMessage *m)
{
    const char *name = NULL;
    const char *before = NULL;
    const char *now = NULL;
    if (!dbus_message_get_args(m, NULL, DBUS_TYPE_STRING, &name, DBUS_TYPE_STRING, &before, DBUS_TYPE_STRING,
                               &now, DBUS_TYPE_INVALID) ||
        strcmp(name, LWA_BUS_NAME) != 0)
        return;
    set_owner(client->connection, now);
    client->is_changed_due = true;
    if (*before)
        end_epoch(client);
}

/* Anybody may send us a signal that looks like the broker's; the bus vouches for the sender alone. */
static int handle_signal(struct lwa_client *client, DBusMessage *m)
{
    const struct connection *c = client->connection;
    if (dbus_message_has_sender(m, DBUS_SERVICE_DBUS)) {
        if (dbus_message_is_signal(m, DBUS_INTERFACE_DBUS, "NameOwnerChanged"))
            handle_owner_changed(client, m);
        return 0;
    }
    if (!*c->owner || !dbus_message_has_sender(m, c->owner))
        return 0;
    cache_handle_signal(client, m);
    return notice_add(client, m);
}

static DBusHandlerResult filter(DBusConnection *dbus _unused_, DBusMessage *m, void *userdata)
{
    struct lwa_client *client = userdata;
    if (dbus_message_get_type(m) != DBUS_MESSAGE_TYPE_SIGNAL)
        return DBUS_HANDLER_RESULT_NOT_YET_HANDLED;
    if (dbus_message_is_signal(m, DBUS_INTERFACE_LOCAL, "Disconnected"))
        client->connection->is_lost = true;
    else if (handle_signal(client, m) < 0) {
        client->is_short = true;
        return DBUS_HANDLER_RESULT_NEED_MEMORY; /* libdbus keeps it for the next time */
    }
    return DBUS_HANDLER_RESULT_HANDLED;
}

/* NULL while there is no answer; else the call is over. */
static DBusMessage *take_answer(DBusPendingCall **call)
{
    if (!*call || !dbus_pending_call_get_completed(*call))
        return NULL;
    DBusMessage *reply = dbus_pending_call_steal_reply(*call);
    dbus_pending_call_unref(*call);
    *call = NULL;
    return reply;
}

static void handle_answers(struct lwa_client *client)
{
    struct connection *c = client->connection;
    _cleanup_message_ DBusMessage *hello = take_answer(&c->hello);
    if (hello && dbus_message_get_type(hello) == DBUS_MESSAGE_TYPE_ERROR)
        c->is_lost = true;
    else if (hello) {
        c->delay_usec = DELAY_MIN_USEC;
        client->is_changed_due |= c->is_comeback;
        c->is_comeback = false;
    }
    _cleanup_message_ DBusMessage *owner = take_answer(&c->owner_call);
    const char *name = NULL;
    if (owner && dbus_message_get_args(owner, NULL, DBUS_TYPE_STRING, &name, DBUS_TYPE_INVALID))
        set_owner(c, name);
}

void connection_update(struct lwa_client *client)
{
    struct connection *c = client->connection;
    if (c->socket_fd < 0)
        return;
    bool is_writing = c->writing && dbus_watch_get_enabled(c->writing);
    uint32_t events = EPOLLIN | (is_writing ? EPOLLOUT : 0);
    struct epoll_event event = {.events = events};
    if (events != c->events && epoll_ctl(c->epoll_fd, EPOLL_CTL_MOD, c->socket_fd, &event) == 0)
        c->events = events;
}

/* --- coming up ----------------------------------------------------------------------------------------- */

/* Without `ret_call` no answer is asked for. */
static int send_to_bus(struct connection *c, const char *member, const char *argument,
                       DBusPendingCall **ret_call)
{
    _cleanup_message_ DBusMessage *m =
        dbus_message_new_method_call(DBUS_SERVICE_DBUS, DBUS_PATH_DBUS, DBUS_INTERFACE_DBUS, member);
    if (!m || (argument && !dbus_message_append_args(m, DBUS_TYPE_STRING, &argument, DBUS_TYPE_INVALID)))
        return -ENOMEM;
    dbus_message_set_no_reply(m, !ret_call);
    if (ret_call)
        return dbus_connection_send_with_reply(c->dbus, m, ret_call, DBUS_TIMEOUT_INFINITE) ? 0 : -ENOMEM;
    return dbus_connection_send(c->dbus, m, NULL) ? 0 : -ENOMEM;
}

static int greet(struct lwa_client *client)
{
    struct connection *c = client->connection;
    if (!dbus_connection_add_filter(c->dbus, filter, client, NULL))
        return -ENOMEM;
    int r = send_to_bus(c, "Hello", NULL, &c->hello);
    if (r == 0)
        r = send_to_bus(c, "AddMatch", OWNER_RULE, NULL);
    if (r == 0)
        r = send_to_bus(c, "GetNameOwner", LWA_BUS_NAME, &c->owner_call);
    return r;
}

/* Both run inside of libdbus, and must call nothing of the connection's. */
static dbus_bool_t add_watch(DBusWatch *w, void *userdata)
{
    struct connection *c = userdata;
    if (dbus_watch_get_flags(w) & DBUS_WATCH_WRITABLE)
        c->writing = w;
    return TRUE;
}

static void remove_watch(DBusWatch *w, void *userdata)
{
    struct connection *c = userdata;
    if (c->writing == w)
        c->writing = NULL;
}

static int watch(struct connection *c)
{
    int fd = -1;
    if (!dbus_connection_set_watch_functions(c->dbus, add_watch, remove_watch, NULL, c, NULL))
        return -ENOMEM;
    if (!dbus_connection_get_socket(c->dbus, &fd))
        return -ENOTCONN; /* it is dead already */
    c->socket_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (c->socket_fd < 0)
        return -errno;
    c->events = EPOLLIN;
    struct epoll_event event = {.events = c->events};
    return epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, c->socket_fd, &event) < 0 ? -errno : 0;
}

static int fail_to_connect(int r, const DBusError *reason, struct lwa_error *error)
{
    if (r == -ENOMEM || (reason && dbus_error_has_name(reason, DBUS_ERROR_NO_MEMORY)))
        return error_set_own(error, OWN_NO_MEMORY, NULL);
    char text[ERROR_TEXT_BYTES_MAX];
    (void)snprintf(text, sizeof(text), "The system bus cannot be reached: %s.",
                   reason && reason->message ? reason->message : strerrordesc_np(-r));
    (void)error_set_own(error, OWN_NO_BUS, text);
    if (r == -EMFILE || r == -ENFILE || (reason && dbus_error_has_name(reason, DBUS_ERROR_LIMITS_EXCEEDED)))
        error->code = r == -ENFILE ? r : -EMFILE;
    return error->code;
}

static int connect_to_bus(struct connection *c, struct lwa_error *error)
{
    const char *address = secure_getenv("DBUS_SYSTEM_BUS_ADDRESS");
    DBusError reason = DBUS_ERROR_INIT;
    /* Else libdbus would make the process ignore SIGPIPE, which it has no need of: it sends with
     * MSG_NOSIGNAL. */
    dbus_connection_set_change_sigpipe(FALSE);
    c->dbus = dbus_connection_open_private(address && *address ? address : DEFAULT_ADDRESS, &reason);
    int r = c->dbus ? 0 : fail_to_connect(-ENOTCONN, &reason, error);
    dbus_error_free(&reason);
    return r;
}

int connection_open(struct lwa_client *client, struct lwa_error *error)
{
    struct connection *c = client->connection;
    if (c->dbus)
        return 0;
    int r = connect_to_bus(c, error);
    if (r == 0) {
        r = watch(c);
        if (r == 0)
            r = greet(client);
        if (r < 0)
            r = fail_to_connect(r, NULL, error);
    }
    connection_update(client);
    if (r < 0) {
        disconnect(c, false);
        c->is_comeback = true;
    }
    return r;
}

bool connection_can_send(const struct lwa_client *client, DBusMessage *message)
{
    const struct connection *c = client->connection;
    bool is_greeted = !c->hello || dbus_pending_call_get_completed(c->hello);
    return c->dbus && (is_greeted || !dbus_message_contains_unix_fds(message));
}

/* --- at work ------------------------------------------------------------------------------------------- */

static void handle_messages(struct lwa_client *client, unsigned n_max)
{
    struct connection *c = client->connection;
    client->is_short = false;
    DBusDispatchStatus status = dbus_connection_get_dispatch_status(c->dbus);
    for (; n_max > 0 && status == DBUS_DISPATCH_DATA_REMAINS && !client->is_short; n_max--) {
        status = dbus_connection_dispatch(c->dbus);
        /* After each: a signal that follows may depend on the owner, and comes after an answer. */
        handle_answers(client);
        requests_collect(client);
    }
    if (status == DBUS_DISPATCH_NEED_MEMORY)
        client->is_short = true;
}

static void lose(struct lwa_client *client)
{
    struct connection *c = client->connection;
    disconnect(c, false);
    c->is_comeback = true;
    c->retry_usec = boottime_usec() + c->delay_usec;
    c->delay_usec = c->delay_usec * 2 < DELAY_MAX_USEC ? c->delay_usec * 2 : DELAY_MAX_USEC;
    end_epoch(client);
    requests_handle_lost(client);
}

void connection_drop(struct lwa_client *client)
{
    struct connection *c = client->connection;
    if (!c->dbus)
        return;
    handle_messages(client, UINT_MAX);
    lose(client);
}

static void pump(struct lwa_client *client, int timeout_msec)
{
    struct connection *c = client->connection;
    if (!c->dbus)
        return;
    (void)dbus_connection_read_write(c->dbus, timeout_msec);
    handle_messages(client, DISPATCH_PER_ROUND);
    if (c->is_lost)
        lose(client);
    connection_update(client);
}

void connection_pump(struct lwa_client *client)
{
    pump(client, 0);
}

/* How long the next round may sleep; -1: until something comes. */
static int get_sleep_msec(const struct lwa_client *client, uint64_t left_usec)
{
    if (client->is_short)
        return MEMORY_RETRY_MSEC;
    if (dbus_connection_get_dispatch_status(client->connection->dbus) == DBUS_DISPATCH_DATA_REMAINS)
        return 0;
    if (left_usec >= INT_MAX * USEC_PER_MSEC)
        return -1;
    return (int)((left_usec + USEC_PER_MSEC - 1) / USEC_PER_MSEC);
}

static int wait_for(struct lwa_client *client, DBusPendingCall *call, uint64_t deadline_usec)
{
    const struct connection *c = client->connection;
    const DBusConnection *dbus = c->dbus;
    while (!dbus_pending_call_get_completed(call)) {
        uint64_t now = deadline_usec == UINT64_MAX ? 0 : boottime_usec();
        if (now >= deadline_usec)
            return -ETIMEDOUT;
        pump(client, get_sleep_msec(client, deadline_usec - now));
        if (c->dbus != dbus)
            return CONNECTION_E_LOST;
    }
    return 0;
}

int connection_wait(struct lwa_client *client, DBusPendingCall *call, uint64_t deadline_usec)
{
    /* Held, so that another cannot have its address. */
    DBusConnection *dbus = dbus_connection_ref(client->connection->dbus);
    int r = wait_for(client, call, deadline_usec);
    dbus_connection_unref(dbus);
    return r;
}

int connection_await(struct lwa_client *client, DBusMessage *message, uint64_t deadline_usec)
{
    if (connection_can_send(client, message))
        return 0;
    DBusPendingCall *hello = dbus_pending_call_ref(client->connection->hello);
    int r = connection_wait(client, hello, deadline_usec);
    dbus_pending_call_unref(hello);
    return r;
}

static bool is_wanted(const struct lwa_client *client)
{
    return client->revoked_fn || client->changed_fn || !list_is_empty(&client->logins);
}

void connection_handle_due(struct lwa_client *client)
{
    struct connection *c = client->connection;
    uint64_t now = boottime_usec();
    if (c->dbus || !is_wanted(client) || now < c->retry_usec)
        return;
    struct lwa_error error;
    if (connection_open(client, &error) == 0)
        return;
    c->retry_usec = now + c->delay_usec;
    c->delay_usec = c->delay_usec * 2 < DELAY_MAX_USEC ? c->delay_usec * 2 : DELAY_MAX_USEC;
}

uint64_t connection_get_due_usec(const struct lwa_client *client)
{
    const struct connection *c = client->connection;
    if (!c->dbus)
        return is_wanted(client) ? c->retry_usec : UINT64_MAX;
    return dbus_connection_get_dispatch_status(c->dbus) == DBUS_DISPATCH_COMPLETE ? UINT64_MAX : 0;
}
