/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/polkit-facts.h"

#include "broker/authorize.h"
#include "broker/broker.h"
#include "broker/peer.h"

void polkit_facts_clear(struct polkit_facts *f)
{
    free(f->scopes);
    f->scopes = NULL;
}

void polkit_facts_add(struct polkit_facts *f, const char *key, const char *value)
{
    f->details[f->n++] = (struct polkit_detail){key, value};
}

int polkit_facts_collect(const struct peer *peer, const struct authorize_question *q,
                         struct polkit_facts *ret)
{
    struct polkit_facts f = {.scopes = catalogue_join(peer->broker->catalogue, q->asked)};
    if (!f.scopes)
        return -ENOMEM;
    polkit_facts_add(&f, "app", peer->identity.app);
    polkit_facts_add(&f, "app_kind", identity_kind_name(&peer->identity));
    polkit_facts_add(&f, "strength", identity_strength_name(&peer->identity));
    polkit_facts_add(&f, "pinned", peer->identity.is_pinned ? "yes" : "no");
    polkit_facts_add(&f, "exe", peer->identity.exe);
    polkit_facts_add(&f, "account", q->account);
    polkit_facts_add(&f, "owner", q->owner.device ? "device" : q->owner.name);
    polkit_facts_add(&f, "scopes", f.scopes);
    if (q->flow)
        polkit_facts_add(&f, "flow", q->flow);
    *ret = f;
    return 0;
}

/* What the owner has answered about the scopes, where that made a difference. */
static const char *consent_to(const struct verdicts *v, struct scope_set scopes)
{
    struct scope_set answered = scope_set_intersection(scopes, v->consented);
    if (scope_set_is_empty(answered))
        return "none";
    return scope_set_is_subset(answered, v->allow) ? "allow" : "deny";
}

void polkit_facts_add_verdict(struct polkit_facts *f, const struct authorize_question *q,
                              struct scope_set scopes)
{
    polkit_facts_add(f, "verdict", verdict_name(verdicts_least(&q->verdicts, scopes)));
    polkit_facts_add(f, "consent", consent_to(&q->verdicts, scopes));
}

/* Consent answers an `ask`, so that is what the table said where there is one. */
static const char *table_on(const struct verdicts *v, int scope)
{
    if (!scope_set_has(&v->mentioned, scope))
        return "none";
    bool is_given = scope_set_has(&v->consented, scope) && scope_set_has(&v->allow, scope);
    return verdict_name(is_given ? VERDICT_ASK : verdicts_get(v, scope));
}

void polkit_facts_add_scope(struct polkit_facts *f, const struct peer *peer,
                            const struct authorize_question *q, int scope)
{
    struct scope_set one = SCOPE_SET_EMPTY;
    scope_set_add(&one, scope);
    polkit_facts_add_verdict(f, q, one);
    polkit_facts_add(f, "table", table_on(&q->verdicts, scope));
    polkit_facts_add(f, "scope", catalogue_get(peer->broker->catalogue, scope)->name);
}
