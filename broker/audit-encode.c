/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/audit-encode.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

struct output {
    unsigned char *at; /* NULL: only count */
    size_t n;
};

static void put(struct output *out, const void *bytes, size_t n)
{
    if (out->at && n > 0) {
        memcpy(out->at, bytes, n);
        out->at += n;
    }
    out->n += n;
}

static void put_number(struct output *out, uint64_t value)
{
    uint64_t bytes = htole64(value);
    put(out, &bytes, sizeof(bytes));
}

static void put_bytes(struct output *out, const void *bytes, size_t n)
{
    put_number(out, n);
    put(out, bytes, n);
}

static void put_text(struct output *out, const char *text)
{
    put_bytes(out, text, text ? strlen(text) : 0);
}

static void put_uid(struct output *out, uid_t uid)
{
    put_number(out, uid == (uid_t)-1 ? UINT64_MAX : uid);
}

static void put_record(struct output *out, const struct audit_record *r)
{
    const char *const texts[] = {r->app,        r->kind,  r->strength, r->unit,    r->program,
                                 r->account,    r->owner, r->asked,    r->carried, r->verdict,
                                 r->decided_by, r->chain, r->detail,   r->request};
    put_text(out, "lwa-broker audit record 1");
    put_number(out, (uint64_t)r->sequence);
    put_number(out, r->epoch);
    put_number(out, (uint64_t)r->time_sec);
    put_number(out, r->boot_usec);
    put_bytes(out, r->boot_id, sizeof(r->boot_id));
    put_text(out, audit_event_name(r->event));
    put_uid(out, r->uid);
    put_uid(out, r->owner_uid);
    put_number(out, (uint64_t)r->grant);
    put_number(out, (uint64_t)r->expires_sec);
    put_bytes(out, r->fingerprint, r->has_fingerprint ? sizeof(r->fingerprint) : 0);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        put_text(out, texts[i]);
}

int audit_encode(const struct audit_record *record, unsigned char **ret, size_t *ret_n)
{
    struct output out = {.at = NULL};
    put_record(&out, record);
    unsigned char *bytes = malloc(out.n);
    if (!bytes)
        return -ENOMEM;
    struct output filled = {.at = bytes};
    put_record(&filled, record);
    *ret = bytes;
    *ret_n = filled.n;
    return 0;
}
