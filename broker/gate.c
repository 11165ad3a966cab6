/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/gate.h"

#include "broker/broker.h"
#include "broker/call.h"
#include "broker/denials.h"
#include "broker/limits.h"
#include "broker/peer.h"
#include "util/clock.h"

#include <string.h>

#define ACTION_SANDBOX "org.lwabroker.sandbox.allow"

struct gate {
    struct call *call;
    struct polkit_check *check;
    void (*next)(struct call *call);
};

void gate_drop(struct gate *gate)
{
    if (!gate)
        return;
    polkit_check_drop(gate->check);
    free(gate);
}

static void refuse_unknown(struct call *call)
{
    struct authorize_question nothing;
    authorize_question_init(&nothing);
    (void)denials_add(call, &nothing, BUS_E_ACCESS_DENIED, "identity", NULL);
    if (call->peer->identity.label == SNAP_LABEL_UNUSABLE)
        call_fail(call, BUS_E_ACCESS_DENIED,
                  "The caller's AppArmor label is a snap's, but not that of one app whose confinement is "
                  "enforced; install the snap with strict confinement, and call from one of its apps.");
    else
        call_fail(call, BUS_E_ACCESS_DENIED,
                  "The caller runs in a sandbox in which nothing says which app it is; run it as a Flatpak "
                  "or a Snap, as a system service (a unit that grants.d names, for a person's uid), or "
                  "outside of the sandbox.");
}

static void refuse_closed(struct call *call)
{
    call_fail(
        call, BUS_E_ACCESS_DENIED,
        "This interface is closed to sandboxed apps, which have org.lwabroker.Broker1; call from outside "
        "of the sandbox, or let an administrator write a polkit rule for " ACTION_SANDBOX ".");
}

static void refuse_root(struct call *call)
{
    call_fail(call, BUS_E_ACCESS_DENIED,
              "This interface is closed to sandboxed apps, and no polkit rule can open it to one of root; "
              "call from outside of the sandbox.");
}

static void on_checked(const struct polkit_answer *answer, void *userdata)
{
    struct call *call = userdata;
    struct gate *gate = call->gate;
    void (*next)(struct call * call) = gate->next;
    gate->check = NULL;
    call->gate = NULL;
    gate_drop(gate);
    if (answer->result == POLKIT_YES)
        next(call);
    else
        refuse_closed(call);
}

static int ask(struct gate *gate)
{
    struct call *call = gate->call;
    struct peer *peer = call->peer;
    const struct identity *id = &peer->identity;
    const struct polkit_detail details[] = {
        {"app", id->app},
        {"app_kind", identity_kind_name(id)},
        {"strength", identity_strength_name(id)},
        {"pinned", id->is_pinned ? "yes" : "no"},
        {"exe", id->exe},
        {"interface", dbus_message_get_interface(call->message)},
        {"member", dbus_message_get_member(call->message)},
    };
    quota_force(&peer->quota, COST_POLKIT_CHECK, boottime_usec());
    return polkit_check(call->broker->polkit, peer->name, id->uid, ACTION_SANDBOX, details,
                        ARRAY_SIZE(details), 0, on_checked, call, &gate->check);
}

static void ask_polkit(struct call *call, void (*next)(struct call *call))
{
    struct gate *gate = calloc(1, sizeof(*gate));
    if (!gate) {
        call_fail_no_memory(call);
        return;
    }
    gate->call = call;
    gate->next = next;
    call->gate = gate;
    int r = ask(gate);
    if (r < 0)
        authorize_fail(call, r);
}

void gate_pass(struct call *call, void (*next)(struct call *call))
{
    const struct identity *id = &call->peer->identity;
    if (id->kind == SUBJECT_UNKNOWN)
        refuse_unknown(call);
    else if (!call->is_closed_to_sandboxes || !identity_is_sandboxed(id))
        next(call);
    else if (id->uid == 0)
        refuse_root(call);
    else
        ask_polkit(call, next);
}
