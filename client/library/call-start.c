/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/library/call.h"
#include "client/library/connection.h"
#include "client/library/request.h"
#include "util/clock.h"

/* A slot: it is in one of the handle's two lists, and to drop it is to cancel the call. */
struct lwa_request {
    struct list node;
    struct lwa_client *client;
    DBusMessage *message; /* NULL if it needs no call */
    const char *signature;
    DBusPendingCall *pending; /* NULL when it is not on the connection that there is */
    uint64_t deadline_usec;
    bool is_held;     /* it is not sent yet, since its descriptors cannot be */
    bool is_repeated; /* it has been sent on a second connection */
    bool is_called;   /* its callback is running */

    uint64_t arrival; /* of the answer */
    int result;
    DBusMessage *reply;
    struct lwa_error error;

    call_fn fn;
    void *userdata;
    void (*free_fn)(void *);
};

static void drop_pending(struct lwa_request *request)
{
    if (!request->pending)
        return;
    dbus_pending_call_cancel(request->pending);
    dbus_pending_call_unref(request->pending);
    request->pending = NULL;
}

static void request_free(struct lwa_request *request)
{
    list_remove(&request->node);
    drop_pending(request);
    dbus_message_unrefp(&request->message);
    dbus_message_unrefp(&request->reply);
    if (request->free_fn)
        request->free_fn(request->userdata);
    free(request);
}

/* --- answers ------------------------------------------------------------------------------------------- */

static void answer(struct lwa_request *request, int result)
{
    request->result = result;
    request->arrival = request->client->n_arrivals++;
    list_remove(&request->node);
    list_append(&request->client->answered, &request->node);
}

static void fail(struct lwa_request *request, enum own_error own)
{
    drop_pending(request);
    answer(request, error_set_own(&request->error, own, NULL));
}

/* --- sending ------------------------------------------------------------------------------------------- */

/* 0 also when it has failed, which its callback will tell; CALL_E_DEAD. */
static int send_request(struct lwa_request *request)
{
    int r = connection_open(request->client, &request->error);
    if (r < 0) {
        answer(request, r);
        return 0;
    }
    request->is_held = !connection_can_send(request->client, request->message);
    if (request->is_held)
        return 0; /* requests_collect() sends it */
    r = call_send(request->client, request->message, &request->pending);
    if (r < 0)
        fail(request, OWN_NO_MEMORY);
    return r > 0 ? r : 0;
}

static void collect(struct lwa_request *request)
{
    if (request->is_held && connection_can_send(request->client, request->message) &&
        send_request(request) != 0)
        return; /* the connection has died, as requests_handle_lost() will hear */
    if (!request->pending || !dbus_pending_call_get_completed(request->pending))
        return;
    DBusMessage *reply = call_take_reply(request->pending);
    request->pending = NULL;
    if (!reply)
        return; /* the same */
    int r = call_check_reply(reply, request->signature, &request->error);
    if (r == 0)
        request->reply = reply;
    else
        dbus_message_unref(reply);
    answer(request, r);
}

void requests_collect(struct lwa_client *client)
{
    struct lwa_request *request;
    struct lwa_request *after;
    LIST_FOREACH_SAFE (request, after, &client->requests, node)
        collect(request);
}

static void repeat(struct lwa_request *request)
{
    drop_pending(request);
    int r = request->is_repeated ? CALL_E_DEAD : call_renew(&request->message);
    request->is_repeated = true;
    if (r == 0)
        r = send_request(request);
    if (r != 0)
        fail(request, r < 0 ? OWN_NO_MEMORY : OWN_NO_BUS);
}

void requests_handle_lost(struct lwa_client *client)
{
    struct lwa_request *request;
    struct lwa_request *after;
    LIST_FOREACH_SAFE (request, after, &client->requests, node)
        repeat(request);
}

/* --- time ---------------------------------------------------------------------------------------------- */

void requests_expire(struct lwa_client *client)
{
    uint64_t now = list_is_empty(&client->requests) ? 0 : boottime_usec();
    struct lwa_request *request;
    struct lwa_request *after;
    LIST_FOREACH_SAFE (request, after, &client->requests, node)
        if (request->deadline_usec <= now)
            fail(request, OWN_NO_REPLY);
}

uint64_t requests_get_due_usec(const struct lwa_client *client)
{
    uint64_t due = UINT64_MAX;
    const struct lwa_request *request;
    LIST_FOREACH (request, &client->requests, node)
        if (request->deadline_usec < due)
            due = request->deadline_usec;
    return due;
}

/* --- callbacks ----------------------------------------------------------------------------------------- */

static struct lwa_request *first(const struct lwa_client *client)
{
    return LIST_ENTRY(client->answered.next, struct lwa_request, node);
}

uint64_t requests_get_first(const struct lwa_client *client)
{
    return list_is_empty(&client->answered) ? UINT64_MAX : first(client)->arrival;
}

void requests_deliver_first(struct lwa_client *client)
{
    struct lwa_request *request = first(client);
    list_remove(&request->node);
    request->is_called = true;
    request->fn(client, request->result, request->reply, request->result < 0 ? &request->error : NULL,
                request->userdata);
    request_free(request);
}

void requests_clear(struct lwa_client *client)
{
    while (!list_is_empty(&client->answered))
        request_free(first(client));
    while (!list_is_empty(&client->requests))
        request_free(LIST_ENTRY(client->requests.next, struct lwa_request, node));
}

void lwa_request_cancel(struct lwa_request *request)
{
    if (request && !request->is_called)
        request_free(request);
}

/* --- starts -------------------------------------------------------------------------------------------- */

static struct lwa_request *request_new(struct lwa_client *client, call_fn fn, void *userdata,
                                       void (*free_fn)(void *))
{
    struct lwa_request *request = calloc(1, sizeof(*request));
    if (!request) {
        if (free_fn)
            free_fn(userdata);
        (void)client_fail(client, OWN_NO_MEMORY, NULL);
        return NULL;
    }
    request->client = client;
    request->fn = fn;
    request->userdata = userdata;
    request->free_fn = free_fn;
    request->deadline_usec = call_get_deadline_usec(client);
    list_init(&request->node);
    return request;
}

int call_start(struct lwa_client *client, DBusMessage *message, const char *signature, call_fn fn,
               void *userdata, void (*free_fn)(void *), struct lwa_request **ret_request)
{
    struct lwa_request *request = request_new(client, fn, userdata, free_fn);
    if (!request)
        return -ENOMEM;
    request->message = dbus_message_ref(message);
    request->signature = signature;
    list_append(&client->requests, &request->node);
    if (send_request(request) == CALL_E_DEAD)
        connection_drop(client); /* which sends it once more, or fails it */
    if (ret_request)
        *ret_request = request;
    return 0;
}

int call_start_nothing(struct lwa_client *client, call_fn fn, void *userdata, void (*free_fn)(void *),
                       struct lwa_request **ret_request)
{
    struct lwa_request *request = request_new(client, fn, userdata, free_fn);
    if (!request)
        return -ENOMEM;
    answer(request, 0);
    if (ret_request)
        *ret_request = request;
    return 0;
}
