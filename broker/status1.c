/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.lwabroker.Status1: what is loaded, and how each login is doing. A user sees own grants and the
 * device's, uid 0 all. */

#include "broker/status1.h"
#include "autoconf.h"
#include "broker/account.h"
#include "broker/broker.h"
#include "broker/consent.h"
#include "broker/handlers.h"
#include "broker/peer.h"
#include "broker/reload.h"
#include "broker/sink.h"
#include "broker/token.h"
#include "util/clock.h"
#include "util/utf8.h"

#include <string.h>

static uint64_t wall_of(uint64_t boot_usec)
{
    int64_t ahead = ((int64_t)boot_usec - (int64_t)boottime_usec()) / (int64_t)USEC_PER_SEC;
    return (uint64_t)(wall_sec() + ahead);
}

/* On the wall clock; 0: before the broker started. A token that nobody wanted renewed made the grant idle
 * when it ran out. */
static uint64_t since(const struct grant *grant)
{
    const struct renewal *r = &grant->renewal;
    if (grant->is_dead)
        return (uint64_t)grant->refreshed_sec;
    if (r->state == RENEWAL_FRESH && strcmp(renewal_state_name(grant), "idle") == 0)
        return wall_of(r->sent_usec + grant->lifetime_usec);
    return r->since_usec ? wall_of(r->since_usec) : 0;
}

static void write_grant(struct writer *w, const struct grant *grant)
{
    const struct renewal *r = &grant->renewal;
    _cleanup_strv_ struct strv scopes = STRV_EMPTY;
    if (catalogue_names(grant->broker->catalogue, grant->carries, &scopes) < 0)
        w->error = -ENOMEM;
    bool is_store = r->state == RENEWAL_WAITING && r->failed_as == RENEWAL_STORE;
    const char *error = grant->is_dead       ? grant->dead_reason
                        : is_store           ? "store"
                        : r->error == LWA_OK ? ""
                                             : lwa_outcome_name(r->error);
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_uint64(w, "grant", (uint64_t)grant->row);
    writer_entry_string(w, "account", grant->account ? grant->account->id : grant->target);
    writer_entry_string(w, "owner", owner_text(&grant->owner));
    writer_entry_strv(w, "scopes", &scopes);
    writer_entry_bool(w, "claimed", grant->is_claimed);
    writer_entry_string(w, "state", renewal_state_name(grant));
    writer_entry_string(w, "because", grant->is_dead ? grant->dead_reason : trouble_name(r->trouble));
    writer_entry_uint64(w, "since", since(grant));
    writer_entry_string(w, "error", error);
    writer_entry_uint64(w, "expires_at", grant->token ? wall_of(grant->token->expires_usec) : 0);
    writer_entry_uint64(w, "next_try_at", r->state == RENEWAL_WAITING ? wall_of(r->next_try_usec) : 0);
    writer_entry_uint64(w, "refreshes", r->refreshes);
    writer_close(w);
}

static bool may_see(const struct identity *id, const struct grant *grant)
{
    return id->uid == 0 || grant->owner.device || grant->owner.uid == id->uid;
}

static void write_grants(struct broker *broker, const struct identity *id, struct writer *w)
{
    struct account *account;
    struct grant *grant;
    writer_entry_array_open(w, "grants", "aa{sv}", "a{sv}");
    LIST_FOREACH (account, &broker->accounts, node)
        LIST_FOREACH (grant, &account->grants, node)
            if (may_see(id, grant))
                write_grant(w, grant);
    LIST_FOREACH (grant, &broker->unproven, node)
        if (may_see(id, grant))
            write_grant(w, grant);
    writer_entry_array_close(w);
}

static void count_consent(const struct consent *c, void *userdata)
{
    *(uint32_t *)userdata += consent_counts(c, wall_sec()) ? 1 : 0;
}

/* Of the accounts whose logins the caller sees. */
static uint32_t count_consents(const struct broker *broker, const struct identity *id)
{
    const struct account *account;
    uint32_t n = 0;
    LIST_FOREACH (account, &broker->accounts, node)
        if (id->uid == 0 || account->owner.device || account->owner.uid == id->uid)
            consents_foreach(account, NULL, count_consent, &n);
    return n;
}

static void write_problems(struct broker *broker, struct writer *w)
{
    _cleanup_(policy_problems_clear) struct policy_problems problems = {NULL, 0};
    if (reload_list_problems(broker, &problems) < 0)
        w->error = -ENOMEM;
    writer_entry_array_open(w, "problems", "as", "s");
    for (size_t i = 0; i < problems.n; i++) {
        const struct table_problem *p = &problems.items[i];
        char text[1024];
        if (p->problem.line == 0) /* what is wrong is no line of it */
            (void)snprintf(text, sizeof(text), "%s: %s", p->file, p->problem.reason);
        else
            (void)snprintf(text, sizeof(text), "%s:%u: %s", p->file, p->problem.line, p->problem.reason);
        utf8_scrub(text);
        writer_string(w, text);
    }
    writer_entry_array_close(w);
}

static void write_store(struct broker *broker, struct writer *w)
{
    const char *trouble = store_health(broker->store);
    writer_entry_string(w, "store", trouble ? trouble : "ok");
    trouble = store_trail_health(broker->store);
    writer_entry_string(w, "audit", trouble ? trouble : "ok");
}

static void get(struct call *call)
{
    struct broker *broker = call->broker;
    const struct config *config = broker->config;
    struct writer w;
    DBusMessage *reply = call_reply(call, &w);
    if (reply) {
        writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
        writer_entry_string(&w, "version", PACKAGE_VERSION);
        writer_entry_string(&w, "provider", config->token_endpoint);
        writer_entry_string(&w, "client_id", config->client_id);
        writer_entry_bool(&w, "narrows", config->narrows_on_refresh);
        writer_entry_uint32(&w, "table_sections", (uint32_t)table_count_sections(broker->table));
        write_problems(broker, &w);
        writer_entry_uint32(&w, "consents", count_consents(broker, &call->peer->identity));
        writer_entry_string(&w, "polkit", polkit_health(broker->polkit));
        write_store(broker, &w);
        writer_entry_string(&w, "forward", sink_name(broker->sink));
        writer_entry_uint64(&w, "unsent", sink_count_unsent(broker->sink));
        writer_entry_uint64(&w, "uptime", (boottime_usec() - broker->started_usec) / USEC_PER_SEC);
        writer_entry_uint32(&w, "connections", quotas_count(&broker->quotas, QUOTA_CONNECTIONS));
        writer_entry_uint32(&w, "calls", quotas_count(&broker->quotas, QUOTA_CALLS));
        writer_entry_uint32(&w, "logins", quotas_count(&broker->quotas, QUOTA_LOGINS));
        writer_entry_uint64(&w, "refreshes", broker->n_refreshes);
        writer_entry_uint64(&w, "waits", broker->n_waits);
        write_grants(broker, &call->peer->identity, &w);
        writer_close(&w);
    }
    call_send(call, reply, &w);
}

static void begin_get(struct call *call)
{
    call_identify_outside(call, get);
}

const struct method status1_methods[] = {
    {LWA_INTERFACE_STATUS, "Get", "", begin_get},
    {LWA_INTERFACE_STATUS, "Diagnose", "a{sv}", status1_begin_diagnose},
    {LWA_INTERFACE_STATUS, "ProbeNarrowing", "sa{sv}", status1_begin_probe_narrowing},
    {NULL, NULL, NULL, NULL},
};
