/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Audit1.WhoHas: which apps hold a token now that carries a scope, or one that implies it. */

#include "broker/audit1.h"
#include "broker/broker.h"
#include "broker/exposure.h"
#include "broker/handlers.h"
#include "broker/peer.h"

#include <sodium.h>
#include <string.h>

struct who_has {
    struct permit permit;
    struct call *call;
    struct store_exposure_filter filter;
    bool is_own;
    struct store_op *op;
};

static void who_has_free(void *state)
{
    struct who_has *h = state;
    permit_drop(&h->permit);
    store_op_drop(h->op);
    strv_clear(&h->filter.scopes);
    free(h);
}

static void write_row(const struct broker *broker, struct writer *w, const struct audit_record *record)
{
    char hex[2 * AUDIT_FINGERPRINT_BYTES + 1];
    (void)sodium_bin2hex(hex, sizeof(hex), record->fingerprint, AUDIT_FINGERPRINT_BYTES);
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_string(w, "app", record->app);
    if (!record->is_unreadable)
        writer_entry_uint32(w, "uid", record->uid);
    writer_entry_string(w, "user", exposure_user(broker, record));
    writer_entry_string(w, "account", record->account);
    writer_entry_string(w, "owner", record->owner);
    exposure_write_scopes(w, record);
    writer_entry_int64(w, "since", record->time_sec);
    writer_entry_int64(w, "expires_at", record->expires_sec);
    if (record->is_unreadable)
        exposure_write_unreadable(w, record);
    else
        writer_entry_uint64(w, "sequence", (uint64_t)record->sequence);
    writer_entry_string(w, "token", hex);
    writer_close(w);
}

static void on_exposure(struct store_reply *stored, void *userdata)
{
    struct who_has *h = userdata;
    h->op = NULL;
    if (stored->r != 0) {
        exposure_fail(h->call);
        return;
    }
    struct writer w;
    DBusMessage *reply = call_reply(h->call, &w);
    if (reply) {
        writer_open(&w, DBUS_TYPE_ARRAY, "a{sv}");
        for (size_t i = 0; i < stored->n_records; i++)
            write_row(h->call->broker, &w, stored->records[i]);
        writer_close(&w);
    }
    call_send(h->call, reply, &w);
}

static void on_permitted(struct call *call)
{
    struct who_has *h = call->state;
    if (h->is_own) {
        h->filter.owner_uid = call->peer->identity.uid;
        (void)snprintf(h->filter.owner, sizeof(h->filter.owner), "%s", call->peer->identity.user);
    }
    int r = exposure_query(call, &h->filter, on_exposure, h, &h->op);
    if (r < 0)
        audit1_fail_errno(call, r);
}

static void permit(struct call *call)
{
    struct who_has *h = call->state;
    audit1_permit(&h->permit, call, h->is_own, on_permitted);
}

/* One that is misspelt has nobody, which is the wrong thing to be told: it has to be known. */
static bool read_scope(struct who_has *h)
{
    struct call *call = h->call;
    const char *scope = "";
    DBusMessageIter args;
    (void)dbus_message_iter_init(call->message, &args);
    dbus_message_iter_get_basic(&args, &scope);
    if (!handlers_check_scope(call, scope))
        return false;
    if (audit1_add_scopes(call, scope, &h->filter.scopes) == 0)
        return true;
    call_fail_no_memory(call);
    return false;
}

void audit1_begin_who_has(struct call *call)
{
    dbus_bool_t is_own = FALSE;
    struct reader_option options[] = {{"own", DBUS_TYPE_BOOLEAN, &is_own, false}};
    struct who_has *h = calloc(1, sizeof(*h));
    if (!h) {
        call_fail_no_memory(call);
        return;
    }
    h->call = call;
    exposure_filter_init(&h->filter);
    call->state = h;
    call->drop_state = who_has_free;
    if (!handlers_read_options(call, 1, options, ARRAY_SIZE(options)) || !read_scope(h))
        return;
    h->is_own = is_own;
    call_identify_outside(call, permit);
}
