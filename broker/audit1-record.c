/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/audit1.h"
#include "util/utf8.h"

#include <sodium.h>
#include <string.h>

#define HEX_SIZE (2 * AUDIT_HASH_BYTES + 1)

/* Whoever wrote to the database can have put anything into it: that is shown, and keeps nothing else from
 * being shown. */
static void write_text(struct writer *w, const char *key, const char *text)
{
    if (!text || dbus_validate_utf8(text, NULL)) {
        writer_entry_string(w, key, text);
        return;
    }
    _cleanup_free_ char *plain = strdup(text);
    if (!plain) {
        w->error = -ENOMEM;
        return;
    }
    utf8_scrub(plain);
    /* libdbus takes fewer characters than UTF-8 has. */
    writer_entry_string(w, key, dbus_validate_utf8(plain, NULL) ? plain : "?");
}

/* In hexadecimal digits; "" for none. */
static void write_bytes(struct writer *w, const char *key, bool is_there, const unsigned char *bytes,
                        size_t n)
{
    char hex[HEX_SIZE] = "";
    if (is_there)
        (void)sodium_bin2hex(hex, sizeof(hex), bytes, n);
    writer_entry_string(w, key, hex);
}

static void write_uid(struct writer *w, const char *key, uid_t uid)
{
    if (uid != (uid_t)-1)
        writer_entry_uint32(w, key, uid);
}

static void write_texts(struct writer *w, const struct audit_record *record)
{
    const struct {
        const char *key, *text;
    } texts[] = {
        {"app", record->app},         {"kind", record->kind},       {"strength", record->strength},
        {"unit", record->unit},       {"program", record->program}, {"account", record->account},
        {"owner", record->owner},     {"asked", record->asked},     {"carried", record->carried},
        {"verdict", record->verdict}, {"chain", record->chain},     {"decided_by", record->decided_by},
        {"detail", record->detail},   {"request", record->request},
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        write_text(w, texts[i].key, texts[i].text);
}

static void write_chain(struct writer *w, const struct audit_record *record)
{
    bool has_seal = record->has_hash;
    writer_entry_uint64(w, "epoch", record->epoch);
    write_bytes(w, "hash", record->has_hash, record->hash, sizeof(record->hash));
    write_bytes(w, "seal", has_seal, record->seal, sizeof(record->seal));
    writer_entry_uint64(w, "repeats", record->repeats);
    writer_entry_uint64(w, "repeats_epoch", record->repeats_epoch);
    write_bytes(w, "repeats_seal", record->repeats_epoch != 0, record->repeats_seal,
                sizeof(record->repeats_seal));
}

void audit1_write_record(struct writer *w, const struct audit_record *record)
{
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_uint64(w, "sequence", (uint64_t)record->sequence);
    writer_entry_int64(w, "time", record->time_sec);
    writer_entry_string(w, "event",
                        record->is_unreadable ? AUDIT_UNREADABLE : audit_event_name(record->event));
    write_uid(w, "uid", record->uid);
    write_uid(w, "owner_uid", record->owner_uid);
    write_texts(w, record);
    writer_entry_uint64(w, "grant", (uint64_t)record->grant);
    writer_entry_int64(w, "expires_at", record->expires_sec);
    write_bytes(w, "token", record->has_fingerprint, record->fingerprint, sizeof(record->fingerprint));
    writer_entry_uint64(w, "boot_time", record->boot_usec);
    write_bytes(w, "boot_id", !sodium_is_zero(record->boot_id, sizeof(record->boot_id)), record->boot_id,
                sizeof(record->boot_id));
    write_chain(w, record);
    writer_close(w);
}

void audit1_reply(struct call *call, struct audit_record *const *records, size_t n, const int64_t *next)
{
    struct writer w;
    DBusMessage *reply = call_reply(call, &w);
    if (reply) {
        writer_open(&w, DBUS_TYPE_ARRAY, "a{sv}");
        for (size_t i = 0; i < n; i++)
            audit1_write_record(&w, records[i]);
        writer_close(&w);
        if (next)
            writer_uint64(&w, (uint64_t)*next);
    }
    call_send(call, reply, &w);
}
