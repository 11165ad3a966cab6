/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/audit.h"

#include <string.h>

struct audit_record *audit_record_new(enum audit_event event)
{
    struct audit_record *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->event = event;
    r->uid = (uid_t)-1;
    r->owner_uid = (uid_t)-1;
    return r;
}

static bool copy(const char *text, char **ret)
{
    *ret = text ? strdup(text) : NULL;
    return !text || *ret;
}

struct audit_record *audit_record_new_like(const struct audit_record *record, enum audit_event event)
{
    _cleanup_(audit_record_freep) struct audit_record *r = audit_record_new(event);
    if (!r || !copy(record->app, &r->app) || !copy(record->kind, &r->kind) ||
        !copy(record->strength, &r->strength) || !copy(record->unit, &r->unit) ||
        !copy(record->program, &r->program) || !copy(record->account, &r->account) ||
        !copy(record->owner, &r->owner) || !copy(record->request, &r->request))
        return NULL;
    r->uid = record->uid;
    r->owner_uid = record->owner_uid;
    r->time_sec = record->time_sec;
    r->boot_usec = record->boot_usec;
    memcpy(r->boot_id, record->boot_id, sizeof(r->boot_id));
    return TAKE_PTR(r);
}

static void record_free(struct audit_record *r)
{
    free(r->app);
    free(r->kind);
    free(r->strength);
    free(r->account);
    free(r->owner);
    free(r->asked);
    free(r->carried);
    free(r->verdict);
    free(r->decided_by);
    free(r->detail);
    free(r->chain);
    free(r->unit);
    free(r->program);
    free(r->request);
    free(r);
}

void audit_record_free(struct audit_record *r)
{
    while (r) {
        struct audit_record *next = r->next;
        record_free(r);
        r = next;
    }
}
