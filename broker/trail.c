/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/trail.h"

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/peer.h"
#include "broker/token.h"
#include "util/clock.h"
#include "util/log.h"

#include <string.h>

/* Sets *field to a copy; false when memory is out. Nothing given is nothing set. */
static bool set(char **field, const char *text)
{
    if (!text)
        return true;
    *field = strdup(text);
    return *field != NULL;
}

static bool set_scopes(const struct broker *broker, char **field, const struct scope_set *scopes)
{
    if (!scopes)
        return true;
    *field = catalogue_join(broker->catalogue, *scopes);
    return *field != NULL;
}

static bool set_caller(struct audit_record *record, const struct peer *peer)
{
    if (!peer)
        return true;
    const struct identity *id = &peer->identity;
    record->uid = id->uid;
    return set(&record->app, id->app) && set(&record->kind, identity_kind_name(id)) &&
           set(&record->strength, identity_strength_name(id)) && set(&record->unit, id->unit) &&
           set(&record->program, id->exe);
}

static bool set_owner(struct audit_record *record, const struct owner *owner)
{
    if (!owner)
        return true;
    record->owner_uid = owner->uid;
    return set(&record->owner, owner_text(owner));
}

static void set_token(struct audit_record *record, const struct token *token)
{
    if (!token)
        return;
    int64_t left = ((int64_t)token->expires_usec - (int64_t)boottime_usec()) / (int64_t)USEC_PER_SEC;
    record->expires_sec = wall_sec() + left;
    record->has_fingerprint = true;
    memcpy(record->fingerprint, token->fingerprint, sizeof(record->fingerprint));
}

struct audit_record *trail_new(struct broker *broker, enum audit_event event, const struct trail_facts *facts)
{
    _cleanup_(audit_record_freep) struct audit_record *record = audit_record_new(event);
    if (!record)
        return NULL;
    record->grant = facts->grant;
    set_token(record, facts->token);
    if (!set_caller(record, facts->peer) || !set_owner(record, facts->owner) ||
        !set(&record->account, facts->account) || !set_scopes(broker, &record->asked, facts->asked) ||
        !set_scopes(broker, &record->carried, facts->carried) || !set(&record->verdict, facts->verdict) ||
        !set(&record->decided_by, facts->decided_by) || !set(&record->detail, facts->detail) ||
        !set(&record->chain, facts->chain) || !set(&record->request, facts->request))
        return NULL;
    return TAKE_PTR(record);
}

void trail_write(struct broker *broker, enum audit_event event, const struct trail_facts *facts)
{
    struct audit_record *record = trail_new(broker, event, facts);
    if (!record || store_audit(broker->store, record, NULL, NULL, NULL) < 0)
        log_warning("the trail misses an event: %s", audit_event_name(event));
}
