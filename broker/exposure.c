/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/exposure.h"

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/disclosure.h"
#include "broker/peer.h"
#include "broker/token.h"
#include "util/clock.h"

#include <sodium.h>
#include <string.h>

void exposure_filter_init(struct store_exposure_filter *filter)
{
    *filter = (struct store_exposure_filter){.uid = (uid_t)-1, .owner_uid = (uid_t)-1};
}

int exposure_query(struct call *call, const struct store_exposure_filter *filter, store_callback callback,
                   void *userdata, struct store_op **ret)
{
    struct store_exposure_filter now = *filter;
    now.now_sec = wall_sec();
    return store_exposure_query(call->broker->store, &now, call->peer->identity.uid, callback, userdata, ret);
}

static const struct token *find_token(const struct broker *broker, const unsigned char *fingerprint)
{
    const struct token *t;
    LIST_FOREACH (t, &broker->tokens, node)
        if (memcmp(t->fingerprint, fingerprint, AUDIT_FINGERPRINT_BYTES) == 0)
            return t;
    return NULL;
}

/* Who was told once, and has got the token again since, is not told. */
static bool was_told(const struct token *token, const struct audit_record *record)
{
    if (!token || disclosure_find(token, record->app, record->uid))
        return false;
    const struct disclosure *d;
    LIST_FOREACH (d, &token->disclosures, node)
        if (d->is_told && d->uid == record->uid && strcmp(d->app, record->app) == 0)
            return true;
    return false;
}

/* The trail has names of accounts' owners, and of apps that are users. */
const char *exposure_user(const struct broker *broker, const struct audit_record *record)
{
    const struct peer *peer;
    if (record->is_unreadable)
        return "";
    if (strncmp(record->app, "user:", 5) == 0)
        return record->app + 5;
    if (record->owner_uid == record->uid)
        return record->owner;
    LIST_FOREACH (peer, &broker->peers_by_use, by_use)
        if (peer->is_known && peer->identity.uid == record->uid)
            return peer->identity.user;
    return "";
}

void exposure_write_scopes(struct writer *w, const struct audit_record *record)
{
    _cleanup_strv_ struct strv names = STRV_EMPTY;
    if (strv_split(&names, record->carried, " ") < 0)
        w->error = -ENOMEM;
    writer_entry_strv(w, "scopes", &names);
}

void exposure_write_unreadable(struct writer *w, const struct audit_record *record)
{
    if (!record->is_unreadable)
        return;
    writer_entry_string(w, "event", AUDIT_UNREADABLE);
    writer_entry_uint64(w, "sequence", (uint64_t)record->sequence);
}

static void write_row(const struct broker *broker, struct writer *w, const struct audit_record *record)
{
    const struct token *token = find_token(broker, record->fingerprint);
    char hex[2 * AUDIT_FINGERPRINT_BYTES + 1];
    (void)sodium_bin2hex(hex, sizeof(hex), record->fingerprint, AUDIT_FINGERPRINT_BYTES);
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_string(w, "token_id", token ? token->id : "");
    writer_entry_string(w, "fingerprint", hex);
    writer_entry_string(w, "app", record->app);
    if (!record->is_unreadable)
        writer_entry_uint32(w, "uid", record->uid);
    writer_entry_string(w, "user", exposure_user(broker, record));
    writer_entry_string(w, "account", record->account);
    writer_entry_string(w, "owner", record->owner);
    exposure_write_scopes(w, record);
    writer_entry_uint64(w, "expires_at", (uint64_t)record->expires_sec);
    writer_entry_bool(w, "told", was_told(token, record));
    exposure_write_unreadable(w, record);
    writer_close(w);
}

void exposure_reply(struct call *call, const struct store_reply *stored)
{
    if (stored->r != 0) {
        exposure_fail(call);
        return;
    }
    struct writer w;
    DBusMessage *reply = call_reply(call, &w);
    if (reply) {
        writer_open(&w, DBUS_TYPE_ARRAY, "a{sv}");
        for (size_t i = 0; i < stored->n_records; i++)
            write_row(call->broker, &w, stored->records[i]);
        writer_close(&w);
    }
    call_send(call, reply, &w);
}

void exposure_fail(struct call *call)
{
    call_fail(
        call, BUS_E_AUDIT_UNAVAILABLE,
        "The audit trail cannot be read, so it is not known who holds which token; see `lwactl status`.");
}
