/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/audit-filter.h"

#include <string.h>

void audit_filter_init(struct audit_filter *f)
{
    *f = (struct audit_filter){
        .event = -1,
        .uid = (uid_t)-1,
        .owner_uid = (uid_t)-1,
        .since_sec = INT64_MIN,
        .until_sec = INT64_MAX,
    };
}

void audit_filter_clear(struct audit_filter *f)
{
    strv_clear(&f->scopes);
}

int audit_filter_copy(const struct audit_filter *f, struct audit_filter *ret)
{
    struct audit_filter copy = *f;
    copy.scopes = STRV_EMPTY;
    int r = 0;
    for (size_t i = 0; r == 0 && i < f->scopes.n; i++)
        r = strv_add(&copy.scopes, f->scopes.items[i]);
    if (r < 0)
        audit_filter_clear(&copy);
    else
        *ret = copy;
    return r;
}

struct audit_facts audit_facts_of(const struct audit_record *record)
{
    return (struct audit_facts){
        .app = record->app,
        .account = record->account,
        .owner = record->owner,
        .verdict = record->verdict,
        .asked = record->asked,
        .carried = record->carried,
        .event = (int)record->event,
        .uid = record->uid,
        .owner_uid = record->owner_uid,
        .time_sec = record->time_sec,
        .fingerprint = record->has_fingerprint ? record->fingerprint : NULL,
    };
}

static bool names(const char *joined, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = joined; at && *at; at = strchr(at, ' ') ? strchr(at, ' ') + 1 : NULL)
        if (strncmp(at, name, n) == 0 && (at[n] == ' ' || at[n] == '\0'))
            return true;
    return false;
}

bool audit_names_any(const char *joined, const struct strv *which)
{
    for (size_t i = 0; i < which->n; i++)
        if (names(joined, which->items[i]))
            return true;
    return false;
}

static bool fits_text(const char *wanted, const char *text)
{
    return wanted[0] == '\0' || strcmp(wanted, text ? text : "") == 0;
}

static bool fits_uid(uid_t wanted, uid_t uid)
{
    return wanted == (uid_t)-1 || wanted == uid;
}

static bool fits_token(const struct audit_filter *f, const unsigned char *fingerprint)
{
    return !f->has_fingerprint ||
           (fingerprint && memcmp(f->fingerprint, fingerprint, AUDIT_FINGERPRINT_BYTES) == 0);
}

bool audit_filter_has_time(const struct audit_filter *f, int64_t time_sec)
{
    return time_sec >= f->since_sec && time_sec < f->until_sec;
}

bool audit_filter_fits(const struct audit_filter *f, const struct audit_facts *facts)
{
    return audit_filter_has_time(f, facts->time_sec) && fits_uid(f->uid, facts->uid) &&
           fits_uid(f->owner_uid, facts->owner_uid) &&
           (f->owner_uid == (uid_t)-1 || strcmp(f->owner, facts->owner ? facts->owner : "") == 0) &&
           (f->event < 0 || f->event == facts->event) && fits_text(f->app, facts->app) &&
           fits_text(f->account, facts->account) && fits_text(f->verdict, facts->verdict) &&
           fits_token(f, facts->fingerprint) &&
           (f->scopes.n == 0 || names(facts->asked, f->scopes.items[0]) ||
            audit_names_any(facts->carried, &f->scopes));
}
