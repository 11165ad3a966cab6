/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Policy1.Check says what Reload would find. Policy1.Reload: what stands in the files and in polkit's rules
 * when it is called holds for every call that is received after its answer. polkitd is waited for first
 * (polkit-settle.h), then the files are read and every remembered decision goes; what was begun under the old
 * policy starts over. */

#include "broker/broker.h"
#include "broker/handlers.h"
#include "broker/permit.h"
#include "broker/policy1.h"
#include "broker/polkit-settle.h"
#include "broker/reload.h"

struct reload {
    struct permit permit;
    struct polkit_settle *settle;
    struct call *call;
};

static void drop_reload(void *state)
{
    struct reload *l = state;
    permit_drop(&l->permit);
    polkit_settle_drop(l->settle);
    free(l);
}

static void write_problem(struct writer *w, const char *file, unsigned line, const char *problem)
{
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_string(w, "file", file);
    writer_entry_uint32(w, "line", line);
    writer_entry_string(w, "problem", problem);
    writer_close(w);
}

static void write_problems(struct writer *w, const struct broker *broker,
                           int (*list)(const struct broker *broker, struct policy_problems *ret))
{
    _cleanup_(policy_problems_clear) struct policy_problems problems = {NULL, 0};
    if (list(broker, &problems) < 0)
        w->error = -ENOMEM;
    writer_open(w, DBUS_TYPE_ARRAY, "a{sv}");
    for (size_t i = 0; i < problems.n; i++) {
        const struct table_problem *p = &problems.items[i];
        write_problem(w, p->file, p->problem.line, p->problem.reason);
    }
    writer_close(w);
}

static void on_settled(void *userdata)
{
    struct reload *l = userdata;
    l->settle = NULL;
    struct broker *broker = l->call->broker;
    (void)reload_all(broker, l->call); /* what is wrong is in the answer */
    broker->polkit_epoch++;
    broker_policy_changed(broker); /* polkit's rules may have changed even if a file was refused */
    struct writer w;
    DBusMessage *reply = call_reply(l->call, &w);
    if (reply)
        write_problems(&w, broker, reload_list_problems);
    call_send(l->call, reply, &w);
}

static void settle(struct call *call)
{
    struct reload *l = call->state;
    int r = polkit_settle(call->broker->loop, call->broker->bus, on_settled, l, &l->settle);
    if (r < 0)
        call_fail_errno(call, r, NULL);
}

static void authorize(struct call *call)
{
    struct reload *l = call->state;
    permit_manage(&l->permit, call, "re-read the policy", settle);
}

void policy1_begin_reload(struct call *call)
{
    struct reload *l = calloc(1, sizeof(*l));
    if (!l) {
        call_fail_no_memory(call);
        return;
    }
    l->call = call;
    call->state = l;
    call->drop_state = drop_reload;
    call_identify_outside(call, authorize);
}

/* --- Check ------------------------------------------------------------------------------------------- */

static void check(struct call *call)
{
    struct writer w;
    DBusMessage *reply = call_reply(call, &w);
    if (reply)
        write_problems(&w, call->broker, reload_check);
    call_send(call, reply, &w);
}

static void authorize_check(struct call *call)
{
    struct reload *l = call->state;
    permit_manage(&l->permit, call, "check the policy's files", check);
}

void policy1_begin_check(struct call *call)
{
    if (!handlers_read_options(call, 0, NULL, 0))
        return;
    struct reload *l = calloc(1, sizeof(*l));
    if (!l) {
        call_fail_no_memory(call);
        return;
    }
    l->call = call;
    call->state = l;
    call->drop_state = drop_reload;
    call_identify_outside(call, authorize_check);
}
