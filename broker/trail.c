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

void trail_origin_set(struct trail_origin *origin, const struct call *call)
{
    *origin = (struct trail_origin){.is_known = call};
    if (!call)
        return;
    origin->identity = call->peer->identity;
    memcpy(origin->request, call->request, sizeof(origin->request));
}

static const struct identity *find_identity(const struct trail_facts *facts)
{
    if (facts->peer)
        return &facts->peer->identity;
    return facts->origin && facts->origin->is_known ? &facts->origin->identity : NULL;
}

static bool set_caller(struct audit_record *record, const struct trail_facts *facts)
{
    const struct identity *id = find_identity(facts);
    if (!id)
        return true;
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
    const char *request = facts->origin ? facts->origin->request : facts->request;
    if (!set_caller(record, facts) || !set_owner(record, facts->owner) ||
        !set(&record->account, facts->account) || !set_scopes(broker, &record->asked, facts->asked) ||
        !set_scopes(broker, &record->carried, facts->carried) || !set(&record->verdict, facts->verdict) ||
        !set(&record->decided_by, facts->decided_by) || !set(&record->detail, facts->detail) ||
        !set(&record->chain, facts->chain) || !set(&record->request, request))
        return NULL;
    return TAKE_PTR(record);
}

void trail_write(struct broker *broker, enum audit_event event, const struct trail_facts *facts)
{
    struct audit_record *record = trail_new(broker, event, facts);
    if (!record || store_audit(broker->store, record, NULL, NULL, NULL) < 0)
        log_warning("the trail misses an event: %s", audit_event_name(event));
}
