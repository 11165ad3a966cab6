/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/call.h"

#include "broker/broker.h"
#include "broker/gate.h"
#include "broker/limits.h"
#include "broker/peer.h"
#include "util/clock.h"

#include <stdarg.h>

#define SENTENCE_SIZE 1024

int call_new(struct broker *broker, struct peer *peer, DBusMessage *message, struct call **ret,
             struct refusal *ret_refusal)
{
    struct call *call = calloc(1, sizeof(*call));
    if (!call)
        return -ENOMEM;
    int r = quota_charge(&peer->quota, QUOTA_CALLS, &call->charge, ret_refusal);
    if (r < 0) {
        free(call);
        return r;
    }
    call->broker = broker;
    call->reply_unit_bytes = COST_REPLY_BYTES;
    call->peer = peer;
    (void)snprintf(call->request, sizeof(call->request), "%08x-%llx", broker->run_id,
                   (unsigned long long)++broker->last_request);
    call->message = dbus_message_ref(message);
    list_append(&peer->calls, &call->node);
    *ret = call;
    return 0;
}

void call_drop(struct call *call)
{
    list_remove(&call->node);
    charge_release(&call->charge);
    gate_drop(call->gate);
    if (call->state)
        call->drop_state(call->state);
    dbus_message_unref(call->message);
    struct broker *broker = call->broker;
    free(call);
    broker_work_ended(broker);
}

static void go_on(struct call *call)
{
    void (*next)(struct call *) = call->next;
    call->next = NULL;
    if (call->peer->why_refused)
        call_fail(call, BUS_E_ACCESS_DENIED,
                  "It cannot be told who is calling, and nothing is given out: %s.", call->peer->why_refused);
    else
        gate_pass(call, next);
}

void call_identify(struct call *call, void (*next)(struct call *call))
{
    call->next = next;
    if (call->peer->is_known || call->peer->why_refused)
        go_on(call);
}

void call_identify_outside(struct call *call, void (*next)(struct call *call))
{
    call->is_closed_to_sandboxes = true;
    call_identify(call, next);
}

void call_resume_identified(struct peer *peer)
{
    /* Going on may end calls, but only the one that goes on: those behind it stay in the list. */
    struct call *call, *after;
    LIST_FOREACH_SAFE (call, after, &peer->calls, node)
        if (call->next)
            go_on(call);
}

int call_release_body(struct call *call)
{
    DBusMessage *full = call->message;
    DBusMessage *bare =
        dbus_message_new_method_call(dbus_message_get_destination(full), dbus_message_get_path(full),
                                     dbus_message_get_interface(full), dbus_message_get_member(full));
    if (!bare)
        return -ENOMEM;
    if (!dbus_message_set_sender(bare, dbus_message_get_sender(full))) {
        dbus_message_unref(bare);
        return -ENOMEM;
    }
    dbus_message_set_serial(bare, dbus_message_get_serial(full));
    dbus_message_set_no_reply(bare, dbus_message_get_no_reply(full));
    dbus_message_set_allow_interactive_authorization(bare,
                                                     dbus_message_get_allow_interactive_authorization(full));
    call->message = bare;
    dbus_message_unref(full);
    return 0;
}

DBusMessage *call_reply(struct call *call, struct writer *w)
{
    DBusMessage *reply = dbus_message_new_method_return(call->message);
    if (reply)
        writer_begin(w, reply);
    return reply;
}

static void send_and_drop(struct call *call, DBusMessage *reply)
{
    bus_reply(call->broker->bus, call->message, reply);
    call_drop(call);
}

void call_send(struct call *call, DBusMessage *reply, struct writer *w)
{
    if (!reply || writer_end(w) < 0) {
        if (reply)
            dbus_message_unref(reply);
        call_fail_no_memory(call);
        return;
    }
    /* The bus holds an answer against us until it is read: who asks for much pays for it. */
    if (w->n_bytes > call->reply_unit_bytes)
        quota_force(&call->peer->quota, (unsigned)(w->n_bytes / call->reply_unit_bytes), boottime_usec());
    send_and_drop(call, reply);
    dbus_message_unref(reply);
}

void call_done(struct call *call)
{
    DBusMessage *reply = dbus_message_new_method_return(call->message);
    send_and_drop(call, reply);
    if (reply)
        dbus_message_unref(reply);
}

void call_fail(struct call *call, enum bus_error error, const char *format, ...)
{
    char sentence[SENTENCE_SIZE];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    call_fail_dbus(call, bus_error_name(error), sentence);
}

static void send_error(struct broker *broker, DBusMessage *message, const char *name, const char *sentence)
{
    if (!dbus_validate_utf8(sentence, NULL))
        sentence = "Refused."; /* cannot be: sentences quote ASCII only; but libdbus would abort() */
    DBusMessage *reply = dbus_message_new_error(message, name, sentence);
    bus_reply(broker->bus, message, reply);
    if (reply)
        dbus_message_unref(reply);
}

void call_fail_limited(struct call *call, const struct refusal *refusal)
{
    char sentence[REFUSAL_SENTENCE_SIZE];
    refusal_explain(refusal, sentence);
    call_fail_dbus(call, bus_error_name(BUS_E_RATE_LIMITED), sentence);
}

void call_fail_no_memory(struct call *call)
{
    call_fail_dbus(call, DBUS_ERROR_NO_MEMORY, BUS_NO_MEMORY_SENTENCE);
}

void call_fail_errno(struct call *call, int error, const struct refusal *refusal)
{
    if (error == -EUSERS)
        call_fail_limited(call, refusal);
    else if (error == -ENOMEM)
        call_fail_no_memory(call);
    else
        call_fail(call, BUS_E_STORE_UNAVAILABLE, "The broker is short of resources; try again later.");
}

void call_fail_dbus(struct call *call, const char *name, const char *sentence)
{
    send_error(call->broker, call->message, name, sentence);
    call_drop(call);
}

void call_refuse(struct broker *broker, DBusMessage *message, const char *name, const char *sentence)
{
    send_error(broker, message, name, sentence);
}
