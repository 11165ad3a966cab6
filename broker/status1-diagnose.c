/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Status1.Diagnose: diagnose.h for an administrator, one at a time. Who leaves meanwhile ends it. */

#include "broker/broker.h"
#include "broker/diagnose.h"
#include "broker/handlers.h"
#include "broker/peer.h"
#include "broker/permit.h"
#include "broker/status1.h"

struct diagnose_call {
    struct permit permit;
    struct call *call;
    struct diagnosis *diagnosis;
};

static void drop(void *state)
{
    struct diagnose_call *c = state;
    permit_drop(&c->permit);
    diagnosis_drop(c->diagnosis);
    free(c);
}

static void write_finding(struct writer *w, const struct finding *finding)
{
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_string(w, "check", finding->check);
    writer_entry_string(w, "subject", finding->subject);
    writer_entry_string(w, "level", finding_level_name(finding->level));
    writer_entry_string(w, "text", finding->text);
    writer_entry_string(w, "fix", finding->fix);
    writer_close(w);
}

static void on_findings(const struct findings *findings, void *userdata)
{
    struct diagnose_call *c = userdata;
    c->diagnosis = NULL;
    struct writer w;
    DBusMessage *reply = call_reply(c->call, &w);
    if (reply) {
        if (findings->error < 0)
            w.error = findings->error;
        writer_open(&w, DBUS_TYPE_ARRAY, "a{sv}");
        for (size_t i = 0; i < findings->n; i++)
            write_finding(&w, &findings->items[i]);
        writer_close(&w);
    }
    call_send(c->call, reply, &w);
}

static void diagnose(struct call *call)
{
    static const struct refusal busy = {
        .what = "Another diagnosis is under way",
        .remedy = "wait for its end",
        .n = 1,
    };
    struct diagnose_call *c = call->state;
    if (call->broker->diagnosis) {
        call_fail_limited(call, &busy);
        return;
    }
    int r = diagnosis_start(call->broker, &call->peer->identity, on_findings, c, &c->diagnosis);
    if (r < 0)
        call_fail_errno(call, r, NULL);
}

static void authorize(struct call *call)
{
    struct diagnose_call *c = call->state;
    permit_manage(&c->permit, call, "have the broker diagnosed", diagnose);
}

void status1_begin_diagnose(struct call *call)
{
    if (!handlers_read_options(call, 0, NULL, 0))
        return;
    struct diagnose_call *c = calloc(1, sizeof(*c));
    if (!c) {
        call_fail_no_memory(call);
        return;
    }
    c->call = call;
    call->state = c;
    call->drop_state = drop;
    call_identify_outside(call, authorize);
}
