/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/audit.h"

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

void audit_record_free(struct audit_record *r)
{
    if (!r)
        return;
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
