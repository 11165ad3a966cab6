/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Broker1.ReportRejected: the API refused a token.
 *
 * - Only who holds the token can report it: an id that is unknown or another's is `false`, without effect.
 * - A token that is no longer the current one was renewed since, by whoever reported first: `true`.
 * - A report while a refresh is under way waits for that one. So however many report a token, there is one
 *   refresh, and one record of it on the trail.
 * - A report that leads to a refresh is taken from the budget of its app and from that of the login, so that
 *   no app can have tokens renewed for ever, nor use up what the others may (reporters.h). */

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/handlers.h"
#include "broker/peer.h"
#include "broker/token.h"
#include "broker/trail.h"
#include "util/clock.h"

#include <string.h>

struct report {
    struct call *call;
    char token_id[TOKEN_ID_SIZE];
    int64_t grant_row;
    struct renewal_wait *wait;
};

static void report_free(void *state)
{
    struct report *r = state;
    renewal_wait_drop(r->wait);
    free(r);
}

static void reply_bool(struct call *call, bool value)
{
    struct writer w;
    DBusMessage *reply = call_reply(call, &w);
    if (reply)
        writer_bool(&w, value);
    call_send(call, reply, &w);
}

static void reply_result(struct report *r, enum renewal_result result)
{
    if (result == RENEWAL_OK)
        reply_bool(r->call, true);
    else /* looked up again: it may be gone */
        handlers_fail_renewal(r->call, grant_find(r->call->broker, r->grant_row), result);
}

static void on_renewed(enum renewal_result result, void *userdata)
{
    struct report *r = userdata;
    r->wait = NULL;
    reply_result(r, result);
}

/* On the trail when it leads to a refresh: the others cannot fill it. */
static void record_report(struct call *call, const struct token *token)
{
    const struct grant *grant = token->grant;
    const struct trail_facts facts = {
        .peer = call->peer,
        .account = grant->account ? grant->account->id : NULL,
        .owner = &grant->owner,
        .carried = &token->may_carry,
        .request = call->request,
        .grant = grant->row,
        .token = token,
    };
    trail_write(call->broker, AUDIT_TOKEN_REJECTED, &facts);
}

static void report(struct call *call)
{
    struct report *r = call->state;
    struct token *token = token_find_held(call->peer, r->token_id);
    if (!token || !token->grant || !token->is_current) {
        /* An older token of this caller: it was renewed since, by whoever reported first. */
        reply_bool(call, token && token->grant && token->grant->token);
        return;
    }
    struct grant *grant = token->grant;
    r->grant_row = grant->row;
    struct broker *broker = call->broker;
    bool is_first = renewal_would_refresh(grant);
    struct refusal refusal;
    if (is_first && reporters_take(&broker->reporters, &broker->config->limits, &call->peer->identity,
                                   grant->row, &grant->renewal.reports, boottime_usec(), &refusal) < 0) {
        call_fail_limited(call, &refusal);
        return;
    }
    enum renewal_result result;
    int e = renewal_force(grant, call->request, on_renewed, r, &result, &r->wait);
    if (e < 0)
        call_fail_errno(call, e, NULL);
    else if (e == RENEWAL_ANSWERED)
        reply_result(r, result);
    else if (is_first)
        record_report(call, token);
}

void broker1_report_rejected(struct call *call)
{
    const char *token_id;
    if (!dbus_message_get_args(call->message, NULL, DBUS_TYPE_STRING, &token_id, DBUS_TYPE_INVALID)) {
        call_fail_no_memory(call);
        return;
    }
    struct report *r = calloc(1, sizeof(*r));
    if (!r) {
        call_fail_no_memory(call);
        return;
    }
    r->call = call;
    call->state = r;
    call->drop_state = report_free;
    if (strlen(token_id) == TOKEN_ID_SIZE - 1) /* one of another length is nobody's, as is "" */
        memcpy(r->token_id, token_id, TOKEN_ID_SIZE);
    /* A message of any size is not kept until it is known who sent it: libdbus stops reading when it holds
     * too much. */
    if (call_release_body(call) < 0)
        call_fail_no_memory(call);
    else
        call_identify(call, report);
}
