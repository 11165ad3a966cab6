/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/audit.h"

#include <stddef.h>
#include <string.h>

#define TEXT(name) offsetof(struct audit_record, name)

static const size_t texts[] = {
    TEXT(app),   TEXT(kind),    TEXT(strength), TEXT(unit),       TEXT(program), TEXT(account), TEXT(owner),
    TEXT(asked), TEXT(carried), TEXT(verdict),  TEXT(decided_by), TEXT(chain),   TEXT(detail),  TEXT(request),
};

static char **text_at(struct audit_record *r, size_t i)
{
    return (char **)((char *)r + texts[i]);
}

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

struct audit_record *audit_record_copy(const struct audit_record *record)
{
    struct audit_record *r = malloc(sizeof(*r));
    if (!r)
        return NULL;
    *r = *record;
    r->next = NULL;
    bool is_whole = true;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) /* on to the end: those that are not ours must go */
        is_whole &= copy(*text_at(r, i), text_at(r, i));
    if (is_whole)
        return r;
    audit_record_free(r);
    return NULL;
}

static void record_free(struct audit_record *r)
{
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        free(*text_at(r, i));
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
