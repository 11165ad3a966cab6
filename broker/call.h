/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One method call under way. It lives until it is answered, or until its caller leaves the bus; either way
 * its state is dropped, and with that whatever it was waiting for. A handler goes: parse, validate, identify,
 * authorise, act, reply. */

#include "broker/quota.h"
#include "dbus/errors.h"
#include "dbus/writer.h"
#include "util/list.h"

#define CALL_REQUEST_SIZE 26 /* 8 hex digits of this run of the broker, "-", a number in hex */

struct broker;
struct peer;

struct call {
    struct list node; /* in peer->calls */
    struct broker *broker;
    struct peer *peer;
    DBusMessage *message;
    struct charge charge;
    char request[CALL_REQUEST_SIZE]; /* names it on the trail, as no other call of any run of the broker */
    void (*next)(struct call *call); /* while it waits for the caller's identity */
    bool is_closed_to_sandboxes;
    unsigned reply_unit_bytes; /* of its answer, that cost one unit more: COST_REPLY_BYTES */
    struct gate *gate;         /* while polkit is asked whether it is open to this sandbox */
    void *state;               /* the handler's own */
    void (*drop_state)(void *state);
};

/* Takes the call in; the peer owns it. -EUSERS with *ret_refusal when too many are under way; or -ENOMEM. */
int call_new(struct broker *broker, struct peer *peer, DBusMessage *message, struct call **ret,
             struct refusal *ret_refusal) _must_check_;
/* Ends it without an answer. */
void call_drop(struct call *call);

/* Goes on with `next` when it is known who the caller is; at once if it is already. A caller who cannot be
 * identified is answered AccessDenied (I5), and so is an unknown sandbox. */
void call_identify(struct call *call, void (*next)(struct call *call));
/* The same, for everything but Broker1: a sandboxed app is answered AccessDenied (I8), unless a polkit rule
 * names it (gate.h). */
void call_identify_outside(struct call *call, void (*next)(struct call *call));
void call_resume_identified(struct peer *peer);

/* Lets go of the arguments, descriptors among them, where a call is going to wait: whom to answer and how
 * stays. 0 or -ENOMEM. */
int call_release_body(struct call *call) _must_check_;

/* An empty reply with a writer on it; call_send() ends the call with it, or with an error if it failed. */
DBusMessage *call_reply(struct call *call, struct writer *w) _must_check_;
void call_send(struct call *call, DBusMessage *reply, struct writer *w);
/* Ends the call with a reply without arguments. */
void call_done(struct call *call);
/* Ends the call with an error. The sentence says what to do next and quotes validated values only. */
void call_fail(struct call *call, enum bus_error error, const char *format, ...) _printf_(3, 4);
/* RateLimited, for this reason. */
void call_fail_limited(struct call *call, const struct refusal *refusal);
/* -EUSERS with its refusal, -ENOMEM, or whatever else keeps the broker from answering. */
void call_fail_errno(struct call *call, int error, const struct refusal *refusal);
/* NoMemory. */
void call_fail_no_memory(struct call *call);
/* As call_fail(), with one of D-Bus's own error names. */
void call_fail_dbus(struct call *call, const char *name, const char *sentence);
/* Answers a message that never became a call. */
void call_refuse(struct broker *broker, DBusMessage *message, const char *name, const char *sentence);
