/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/consent.h"
#include "broker/explain.h"
#include "broker/token.h"
#include "broker/verdict.h"
#include "util/clock.h"

#include <string.h>

static void write_set(const struct explain *e, struct writer *w, const char *key, struct scope_set set)
{
    _cleanup_strv_ struct strv names = STRV_EMPTY;
    if (catalogue_names(e->call->broker->catalogue, set, &names) < 0)
        w->error = -ENOMEM;
    writer_entry_strv(w, key, &names);
}

static bool is_asked(const struct explain *e, int scope)
{
    struct scope_set asked = catalogue_expand(e->call->broker->catalogue, e->get_token.asked);
    return scope_set_has(&asked, scope);
}

/* --- scopes ------------------------------------------------------------------------------------------ */

/* What was asked, and what the token of the chosen grant would carry besides. */
static struct scope_set get_scopes(const struct explain *e)
{
    const struct get_token *g = &e->get_token;
    return g->grant ? scope_set_union(g->question.scopes, g->whole.scopes) : g->question.scopes;
}

void explain_find(const struct explain *e, int scope, struct table_finding *ret)
{
    verdict_explain(e->call->broker, &e->facts.identity, e->get_token.account, scope, ret);
}

const char *explain_polkit_word(const struct explain *e, int scope)
{
    const struct get_token *g = &e->get_token;
    const struct authorize_answer *a = &g->answer;
    if (scope_set_has(&g->refused, scope))
        return "no";
    if (!e->stand_in.name[0] || a->is_alone || !scope_set_has(&g->whole.scopes, scope))
        return "not-asked";
    if (scope_set_has(&a->refused, scope))
        return "no";
    if (scope_set_has(&a->challenged, scope))
        return "challenge";
    return a->result == AUTHORIZE_UNAVAILABLE ? "unavailable" : "yes";
}

static void write_consent(const struct explain *e, struct writer *w, int scope)
{
    const struct consent *c =
        e->get_token.account ? consents_find(e->get_token.account, e->app, scope, wall_sec()) : NULL;
    writer_entry_string(w, "consent", !c ? "none" : c->denies ? "deny" : "allow");
    writer_entry_uint64(w, "consent_since", c ? (uint64_t)c->given_sec : 0);
    writer_entry_uint64(w, "consent_until", c ? (uint64_t)c->until_sec : 0);
    writer_entry_string(w, "consent_lasts", c ? consent_lasts_name(c->lasts) : "");
}

static void write_scope(const struct explain *e, struct writer *w, int scope)
{
    const struct broker *broker = e->call->broker;
    const struct verdicts *v = &e->get_token.question.verdicts;
    struct table_finding found;
    explain_find(e, scope, &found);
    bool by_table = found.source != TABLE_FALLBACK;
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_string(w, "scope", catalogue_get(broker->catalogue, scope)->name);
    writer_entry_bool(w, "asked", is_asked(e, scope));
    writer_entry_string(w, "verdict", verdict_name(verdicts_get(v, scope)));
    writer_entry_string(w, "table", by_table ? verdict_name(found.verdict) : "none");
    writer_entry_string(w, "file", found.place.file);
    writer_entry_uint32(w, "line", found.place.line);
    writer_entry_string(w, "section", found.place.section);
    write_consent(e, w, scope);
    writer_entry_string(w, "default", verdict_name(broker->config->default_verdict));
    writer_entry_string(w, "polkit", explain_polkit_word(e, scope));
    writer_close(w);
}

/* --- grants ------------------------------------------------------------------------------------------ */

static struct scope_set may_carry_of(const struct explain *e, const struct grant *grant)
{
    return catalogue_expand(e->call->broker->catalogue, scope_set_union(grant->may_carry, grant->carries));
}

/* What a token of the grant may carry that this app may not hold. */
static struct scope_set too_wide_of(const struct explain *e, const struct grant *grant)
{
    struct scope_set held = authorize_not_denied(&e->stand_in, &e->get_token.question.verdicts);
    return scope_set_minus(may_carry_of(e, grant), scope_set_minus(held, e->get_token.refused));
}

static const char *fit_of(const struct explain *e, const struct grant *grant)
{
    const struct catalogue *c = e->call->broker->catalogue;
    if (grant->is_dead)
        return "dead";
    if (renewal_is_foreign(grant))
        return "foreign";
    if (!scope_set_is_subset(catalogue_expand(c, e->get_token.asked), catalogue_expand(c, grant->carries)))
        return "does-not-cover";
    if (!scope_set_is_empty(too_wide_of(e, grant)))
        return "too-wide";
    return grant == e->get_token.grant ? "chosen" : "fits";
}

static void write_grant(const struct explain *e, struct writer *w, const struct grant *grant)
{
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_uint64(w, "grant", (uint64_t)grant->row);
    write_set(e, w, "carries", grant->carries);
    write_set(e, w, "may_carry", may_carry_of(e, grant));
    writer_entry_string(w, "state", renewal_state_name(grant));
    writer_entry_string(w, "fits", fit_of(e, grant));
    write_set(e, w, "too_wide", too_wide_of(e, grant));
    writer_close(w);
}

/* --- the chain --------------------------------------------------------------------------------------- */

static void write_app(const struct explain *e, struct writer *w)
{
    const struct identity *id = &e->facts.identity;
    writer_entry_string(w, "app", id->app);
    writer_entry_string(w, "kind", identity_kind_name(id));
    writer_entry_string(w, "strength", identity_strength_name(id));
    writer_entry_bool(w, "pinned", id->is_pinned);
    writer_entry_uint32(w, "uid", e->facts.has_uid ? id->uid : 0);
    writer_entry_string(w, "user", id->user);
    writer_entry_string(w, "unit", id->unit);
    writer_entry_string(w, "exe", id->exe);
    writer_entry_bool(w, "connected", e->facts.peer != NULL);
}

static const char *least_verdict(const struct explain *e)
{
    return verdict_name(verdicts_least(&e->get_token.question.verdicts, get_scopes(e)));
}

static void write_lists(const struct explain *e, struct writer *w)
{
    struct scope_set scopes = get_scopes(e);
    const struct account *account = e->get_token.account;
    const struct grant *grant;
    writer_entry_array_open(w, "scopes", "aa{sv}", "a{sv}");
    for (int i = scope_set_next(&scopes, 0); i >= 0; i = scope_set_next(&scopes, i + 1))
        write_scope(e, w, i);
    writer_entry_array_close(w);
    writer_entry_array_open(w, "grants", "aa{sv}", "a{sv}");
    if (account)
        LIST_FOREACH (grant, &account->grants, node)
            write_grant(e, w, grant);
    writer_entry_array_close(w);
}

void explain_write(struct explain *e, struct writer *w)
{
    const struct account *account = e->get_token.account;
    _cleanup_strv_ struct strv advice = STRV_EMPTY;
    if (explain_advise(e, &advice) < 0)
        w->error = -ENOMEM;
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    write_app(e, w);
    writer_entry_string(w, "account", account ? account->id : "");
    writer_entry_string(w, "owner", account ? owner_text(&account->owner) : "");
    write_set(e, w, "asked", e->get_token.asked);
    writer_entry_string(w, "result", e->result == BUS_OK ? "token" : bus_error_short_name(e->result));
    writer_entry_string(w, "verdict", least_verdict(e));
    writer_entry_string(w, "polkit_subject", e->polkit_subject);
    write_lists(e, w);
    writer_entry_strv(w, "advice", &advice);
    writer_close(w);
}
