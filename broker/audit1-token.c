/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Audit1.FindToken: which records are about a token that was found somewhere.
 *
 * 1. The token is read at once and only its fingerprint is kept; it is wiped, and the descriptor let go.
 * 2. Who may read the whole trail is shown all. Of who may not that is asked without a prompt: an owner is
 * not to be asked for an administrator's password about his own token.
 * 3. Everyone else is shown the records of his own accounts. */

#include "broker/audit1.h"
#include "broker/broker.h"
#include "broker/handed-token.h"
#include "broker/peer.h"

#include <string.h>

struct find_token {
    struct permit permit;
    struct call *call;
    struct polkit_check *check;
    struct audit_filter filter;
    struct store_op *op;
};

static void find_token_free(void *state)
{
    struct find_token *t = state;
    permit_drop(&t->permit);
    polkit_check_drop(t->check);
    store_op_drop(t->op);
    free(t);
}

/* --- 3 ----------------------------------------------------------------------------------------------- */

static void on_records(struct store_reply *stored, void *userdata)
{
    struct find_token *t = userdata;
    t->op = NULL;
    if (stored->r != 0)
        audit1_fail_unreadable(t->call);
    else
        audit1_reply(t->call, stored->records, stored->n_records, NULL);
}

static void find(struct call *call)
{
    struct find_token *t = call->state;
    const struct store_page page = {.limit = STORE_QUERY_RECORDS_MAX};
    int r = store_audit_query(call->broker->store, &t->filter, &page, call->peer->identity.uid, on_records, t,
                              &t->op);
    if (r < 0)
        audit1_fail_errno(call, r);
}

static void find_own(struct call *call)
{
    struct find_token *t = call->state;
    audit1_restrict_to_own(&t->filter, call);
    find(call);
}

/* --- 2 ----------------------------------------------------------------------------------------------- */

static void on_answer(const struct polkit_answer *answer, void *userdata)
{
    struct find_token *t = userdata;
    t->check = NULL;
    if (answer->result == POLKIT_YES)
        find(t->call);
    else
        audit1_permit(&t->permit, t->call, true, find_own);
}

static void permit(struct call *call)
{
    struct find_token *t = call->state;
    struct authorize_question nothing;
    authorize_question_init(&nothing);
    int r = authorize_action(call->peer, ACTION_AUDIT_READ, &nothing, false, on_answer, t, &t->check);
    if (r < 0)
        authorize_fail(call, r);
}

/* --- 1 ----------------------------------------------------------------------------------------------- */

/* 0, or a negative errno: -EINVAL when it is no token, -EMFILE without a descriptor. */
static int read_token(struct find_token *t)
{
    _cleanup_close_ int fd = -1;
    _cleanup_(secret_freep) struct secret *token = NULL;
    DBusMessageIter args;
    (void)dbus_message_iter_init(t->call->message, &args);
    dbus_message_iter_get_basic(&args, &fd); /* a duplicate */
    if (fd < 0)
        return -EMFILE;
    int r = handed_token_read(fd, &token);
    if (r < 0)
        return r;
    store_fingerprint(t->call->broker->store, secret_bytes(token), secret_size(token), t->filter.fingerprint);
    t->filter.has_fingerprint = true;
    return 0;
}

static void fail_token(struct call *call, int error)
{
    if (error == -EINVAL)
        call_fail(
            call, BUS_E_INVALID_ARGUMENT,
            "A token is a memfd, sealed against writing, growing and shrinking, with 1 to 2048 bytes of "
            "printable ASCII.");
    else if (error == -EMFILE)
        call_fail_dbus(call, DBUS_ERROR_LIMITS_EXCEEDED, "The broker is short of descriptors; try again.");
    else
        call_fail_no_memory(call);
}

void audit1_begin_find_token(struct call *call)
{
    struct find_token *t = calloc(1, sizeof(*t));
    if (!t) {
        call_fail_no_memory(call);
        return;
    }
    t->call = call;
    audit_filter_init(&t->filter);
    call->state = t;
    call->drop_state = find_token_free;
    int r = read_token(t);
    if (r == 0)
        r = call_release_body(call);
    if (r < 0)
        fail_token(call, r);
    else
        call_identify_outside(call, permit);
}
