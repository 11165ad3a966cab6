/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Audit1.Verify: what can be proven of the trail. With the verification secret of a setup all since then;
 * else only that the records fit each other, and the present epoch. */

#include "broker/audit-secret.h"
#include "broker/audit-text.h"
#include "broker/audit1.h"
#include "broker/broker.h"
#include "broker/handed-token.h"
#include "broker/handlers.h"
#include "broker/peer.h"
#include "broker/permit.h"
#include "broker/store-verify.h"

#include <string.h>

struct verify_call {
    struct permit permit;
    struct call *call;
    struct audit_chain_key secret;
    struct audit_head head;
    struct store_op *op;
};

static void drop_verify(void *state)
{
    struct verify_call *v = state;
    permit_drop(&v->permit);
    store_op_drop(v->op);
    audit_chain_key_clear(&v->secret);
    free(v);
}

/* --- the answer -------------------------------------------------------------------------------------- */

static void write_finding(struct writer *w, const struct store_verify_finding *finding)
{
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_string(w, "kind", finding->kind);
    writer_entry_bool(w, "damage", finding->is_damage);
    writer_entry_uint64(w, "sequence", (uint64_t)finding->sequence);
    writer_entry_string(w, "text", finding->text);
    writer_close(w);
}

static void write_findings(struct writer *w, const struct store_verify *verify)
{
    writer_entry_array_open(w, "findings", "aa{sv}", "a{sv}");
    for (unsigned i = 0; i < verify->n_findings; i++)
        write_finding(w, &verify->findings[i]);
    writer_entry_array_close(w);
}

static void write_head(struct writer *w, const struct audit_verify_report *report)
{
    char text[AUDIT_HEAD_TEXT_SIZE];
    struct audit_head head = {.sequence = report->last};
    memcpy(head.hash, report->last_hash, sizeof(head.hash));
    audit_head_format(&head, text);
    writer_entry_string(w, "head", text);
}

static void write_result(struct writer *w, const struct store_verify *verify)
{
    static const char *const secrets[] = {"none", "fits", "other"};
    const struct audit_verify_report *report = &verify->report;
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_string(w, "verdict", verify->n_damage > 0 ? "damaged" : "intact");
    writer_entry_uint64(w, "records", report->n_records);
    writer_entry_uint64(w, "unchained", report->n_unchained);
    writer_entry_uint64(w, "proven", report->n_proven);
    writer_entry_uint64(w, "first", (uint64_t)report->first);
    writer_entry_uint64(w, "last", (uint64_t)report->last);
    write_head(w, report);
    writer_entry_uint64(w, "first_proven_epoch", report->first_proven_epoch);
    writer_entry_uint64(w, "last_proven_epoch", report->last_proven_epoch);
    writer_entry_uint64(w, "last_epoch", report->last_epoch);
    writer_entry_string(w, "secret", secrets[verify->secret]);
    writer_entry_uint64(w, "removed_up_to", (uint64_t)verify->removed_up_to);
    writer_entry_uint32(w, "damage", verify->n_damage);
    write_findings(w, verify);
    writer_close(w);
}

static void on_verified(struct store_reply *stored, void *userdata)
{
    struct verify_call *v = userdata;
    v->op = NULL;
    if (stored->r != 0) {
        audit1_fail_unreadable(v->call);
        return;
    }
    struct writer w;
    DBusMessage *reply = call_reply(v->call, &w);
    if (reply)
        write_result(&w, stored->verify);
    call_send(v->call, reply, &w);
}

/* --- the call ---------------------------------------------------------------------------------------- */

static void verify(struct call *call)
{
    struct verify_call *v = call->state;
    const struct store_verify_request request = {.secret = v->secret.key ? &v->secret : NULL,
                                                 .head = v->head};
    int r =
        store_verify_query(call->broker->store, call->peer->identity.uid, &request, on_verified, v, &v->op);
    audit_chain_key_clear(&v->secret);
    if (r < 0)
        audit1_fail_errno(call, r);
}

static void authorize(struct call *call)
{
    struct verify_call *v = call->state;
    permit_ask(&v->permit, call, ACTION_AUDIT_READ, "verify the audit trail", NULL, verify);
}

/* Answers InvalidArgument and returns false when it is none. */
static bool read_secret(struct call *call, int fd, struct audit_chain_key *ret)
{
    _cleanup_(secret_freep) struct secret *text = NULL;
    int r = handed_token_read(fd, &text);
    if (r == 0)
        r = audit_secret_parse((const char *)secret_bytes(text), secret_size(text), ret);
    if (r == -ENOMEM)
        call_fail_no_memory(call);
    else if (r != 0)
        call_fail(
            call, BUS_E_INVALID_ARGUMENT,
            "This is no verification secret, or a letter of it is wrong: it is a sealed memory file that "
            "holds lwa-audit:EPOCH:KEY:ID, as `lwactl audit setup` showed it.");
    return r == 0;
}

static bool read_arguments(struct call *call, struct verify_call *v)
{
    _cleanup_close_ int fd = -1;
    const char *head = "";
    struct reader_option options[] = {
        {"secret", DBUS_TYPE_UNIX_FD, &fd, false},
        {"head", DBUS_TYPE_STRING, &head, false},
    };
    if (!handlers_read_options(call, 0, options, ARRAY_SIZE(options)))
        return false;
    if (options[1].seen && !audit_head_parse(head, &v->head)) {
        call_fail(call, BUS_E_INVALID_ARGUMENT,
                  "A head is a record's number, a colon, and the 64 hex digits of its hash, as `lwactl audit "
                  "verify` printed it.");
        return false;
    }
    return fd < 0 || read_secret(call, fd, &v->secret);
}

void audit1_begin_verify(struct call *call)
{
    struct verify_call *v = calloc(1, sizeof(*v));
    if (!v) {
        call_fail_no_memory(call);
        return;
    }
    v->call = call;
    call->state = v;
    call->drop_state = drop_verify;
    if (!read_arguments(call, v))
        return;
    if (call_release_body(call) < 0)
        call_fail_no_memory(call);
    else
        call_identify_outside(call, authorize);
}
