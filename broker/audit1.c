/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.lwabroker.Audit1: reading the trail. All of it needs audit.read, the records of one's own accounts
 * audit.read-own. */

#include "broker/audit1.h"
#include "broker/broker.h"
#include "broker/handlers.h"
#include "broker/limits.h"
#include "broker/peer.h"

struct query {
    struct call *call;
    bool is_newest;
    bool is_own;
    int64_t after;
    unsigned limit;
    struct polkit_check *check;
    struct store_op *op;
};

static void query_free(void *state)
{
    struct query *q = state;
    polkit_check_drop(q->check);
    store_op_drop(q->op);
    free(q);
}

static void write_token(struct writer *w, const struct audit_record *record)
{
    static const char digits[] = "0123456789abcdef";
    char hex[AUDIT_FINGERPRINT_BYTES * 2 + 1] = "";
    for (size_t i = 0; record->has_fingerprint && i < AUDIT_FINGERPRINT_BYTES; i++) {
        hex[2 * i] = digits[record->fingerprint[i] >> 4];
        hex[2 * i + 1] = digits[record->fingerprint[i] & 15];
        hex[2 * i + 2] = '\0';
    }
    writer_entry_string(w, "token", hex);
}

static void write_record(struct writer *w, const struct audit_record *record)
{
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_uint64(w, "sequence", (uint64_t)record->sequence);
    writer_entry_int64(w, "time", record->time_sec);
    writer_entry_string(w, "event", audit_event_name(record->event));
    writer_entry_string(w, "app", record->app);
    writer_entry_string(w, "kind", record->kind);
    writer_entry_string(w, "strength", record->strength);
    writer_entry_string(w, "unit", record->unit);
    writer_entry_string(w, "program", record->program);
    if (record->uid != (uid_t)-1)
        writer_entry_uint32(w, "uid", record->uid);
    writer_entry_string(w, "account", record->account);
    writer_entry_string(w, "owner", record->owner);
    writer_entry_string(w, "asked", record->asked);
    writer_entry_string(w, "carried", record->carried);
    writer_entry_string(w, "verdict", record->verdict);
    writer_entry_string(w, "decided_by", record->decided_by);
    writer_entry_string(w, "detail", record->detail);
    writer_entry_string(w, "chain", record->chain);
    writer_entry_uint64(w, "grant", (uint64_t)record->grant);
    writer_entry_int64(w, "expires_at", record->expires_sec);
    writer_entry_uint64(w, "repeats", record->repeats);
    write_token(w, record);
    writer_close(w);
}

void audit1_fail_unreadable(struct call *call)
{
    call_fail(call, BUS_E_AUDIT_UNAVAILABLE, "The audit trail cannot be read; see `lwactl status`.");
}

static void on_records(struct store_reply *stored, void *userdata)
{
    struct query *q = userdata;
    q->op = NULL;
    if (stored->r != 0) {
        audit1_fail_unreadable(q->call);
        return;
    }
    struct writer w;
    DBusMessage *reply = call_reply(q->call, &w);
    if (reply) {
        writer_open(&w, DBUS_TYPE_ARRAY, "a{sv}");
        for (size_t i = 0; i < stored->n_records; i++)
            write_record(&w, stored->records[i]);
        writer_close(&w);
        writer_uint64(&w, (uint64_t)stored->next);
    }
    call_send(q->call, reply, &w);
}

static void on_authorized(const struct polkit_answer *answer, void *userdata)
{
    struct query *q = userdata;
    q->check = NULL;
    const char *action = q->is_own ? ACTION_AUDIT_READ_OWN : ACTION_AUDIT_READ;
    const char *what = q->is_own ? AUDIT1_WHAT_OWN : AUDIT1_WHAT_ALL;
    if (!authorize_answer_action(q->call, answer, action, what))
        return;
    uid_t uid_only = q->is_own ? q->call->peer->identity.uid : (uid_t)-1;
    if (store_audit_query(q->call->broker->store, q->after, q->limit, q->is_newest, uid_only, on_records, q,
                          &q->op) < 0)
        call_fail(q->call, BUS_E_AUDIT_UNAVAILABLE, "The broker is short of resources; try again later.");
}

static void authorize(struct call *call)
{
    struct query *q = call->state;
    const struct identity *id = &call->peer->identity;
    struct authorize_question question;
    authorize_question_init(&question);
    if (q->is_own) {
        question.owner.uid = id->uid;
        (void)snprintf(question.owner.name, sizeof(question.owner.name), "%s", id->user);
    }
    bool may_prompt = dbus_message_get_allow_interactive_authorization(call->message);
    int r = authorize_action(call->peer, q->is_own ? ACTION_AUDIT_READ_OWN : ACTION_AUDIT_READ, &question,
                             may_prompt, on_authorized, q, &q->check);
    if (r < 0)
        authorize_fail(call, r);
}

static void begin_query(struct call *call)
{
    dbus_bool_t is_newest = FALSE, is_own = FALSE;
    struct reader_option filter[] = {
        {"newest", DBUS_TYPE_BOOLEAN, &is_newest, false},
        {"own", DBUS_TYPE_BOOLEAN, &is_own, false},
    };
    if (!handlers_read_options(call, 0, filter, ARRAY_SIZE(filter)))
        return;
    DBusMessageIter args;
    dbus_uint64_t after = 0;
    dbus_uint32_t limit = 0;
    (void)dbus_message_iter_init(call->message, &args);
    dbus_message_iter_next(&args);
    dbus_message_iter_get_basic(&args, &after);
    dbus_message_iter_next(&args);
    dbus_message_iter_get_basic(&args, &limit);
    if (limit < 1 || limit > STORE_QUERY_RECORDS_MAX || after > INT64_MAX) {
        call_fail(call, BUS_E_INVALID_ARGUMENT, "limit is 1 to %d, and after a sequence number.",
                  STORE_QUERY_RECORDS_MAX);
        return;
    }
    struct query *q = calloc(1, sizeof(*q));
    if (!q) {
        call_fail_no_memory(call);
        return;
    }
    *q = (struct query){
        .call = call, .is_newest = is_newest, .is_own = is_own, .after = (int64_t)after, .limit = limit};
    call->state = q;
    call->drop_state = query_free;
    call_identify_outside(call, authorize);
}

const struct method audit1_methods[] = {
    {LWA_INTERFACE_AUDIT, "Query", "a{sv}tu", begin_query},
    {LWA_INTERFACE_AUDIT, "Matrix", "a{sv}", audit1_begin_matrix},
    {NULL, NULL, NULL, NULL},
};
