/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/audit1.h"

#include "broker/authorize.h"
#include "broker/broker.h"
#include "broker/handlers.h"
#include "broker/peer.h"

#define WHAT_ALL "read the audit trail of all accounts (with --own: of own accounts)"
#define WHAT_OWN "read the audit trail of own accounts"

void audit1_permit(struct permit *p, struct call *call, bool is_own, void (*next)(struct call *call))
{
    const struct identity *id = &call->peer->identity;
    struct authorize_question question;
    authorize_question_init(&question);
    if (is_own) {
        question.owner.uid = id->uid;
        (void)snprintf(question.owner.name, sizeof(question.owner.name), "%s", id->user);
        permit_ask(p, call, ACTION_AUDIT_READ_OWN, WHAT_OWN, &question, next);
        return;
    }
    permit_ask(p, call, ACTION_AUDIT_READ, WHAT_ALL, &question, next);
}

void audit1_fail_unreadable(struct call *call)
{
    call_fail(call, BUS_E_AUDIT_UNAVAILABLE, "The audit trail cannot be read; see `lwactl status`.");
}

void audit1_fail_errno(struct call *call, int error)
{
    if (error == -ENOMEM)
        call_fail_no_memory(call);
    else
        call_fail(call, BUS_E_AUDIT_UNAVAILABLE, "The broker is short of resources; try again later.");
}

const struct method audit1_methods[] = {
    {LWA_INTERFACE_AUDIT, "Query", "a{sv}tu", audit1_begin_query},
    {LWA_INTERFACE_AUDIT, "WhoHas", "sa{sv}", audit1_begin_who_has},
    {LWA_INTERFACE_AUDIT, "FindToken", "h", audit1_begin_find_token},
    {LWA_INTERFACE_AUDIT, "Matrix", "a{sv}", audit1_begin_matrix},
    {LWA_INTERFACE_AUDIT, "Verify", "a{sv}", audit1_begin_verify},
    {LWA_INTERFACE_AUDIT, "Setup", "a{sv}", audit1_begin_setup},
    {NULL, NULL, NULL, NULL},
};
