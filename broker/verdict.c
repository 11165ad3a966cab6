/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/verdict.h"

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/consent.h"
#include "util/clock.h"

int64_t verdict_now_sec(const struct broker *broker)
{
    return wallclock_is_plausible(broker->wallclock) ? wall_sec() : INT64_MAX;
}

static struct table_query new_query(struct broker *broker, const struct identity *identity,
                                    const struct account *account)
{
    return (struct table_query){
        .subject = identity_subject(identity),
        .account = account ? account->id : "",
        .now_sec = verdict_now_sec(broker),
        .fallback = broker->config->default_verdict,
    };
}

static void decide(struct broker *broker, const struct identity *identity, const struct account *account,
                   struct verdicts *ret)
{
    const struct table_query query = new_query(broker, identity, account);
    table_decide(broker->table, broker->catalogue, &query, ret);
}

void verdict_explain(struct broker *broker, const struct identity *identity, const struct account *account,
                     int scope, struct table_finding *ret)
{
    const struct table_query query = new_query(broker, identity, account);
    table_explain(broker->table, broker->catalogue, &query, scope, ret);
}

struct scope_set verdict_allowed_by_table(struct broker *broker, const struct identity *identity,
                                          const struct account *account)
{
    struct verdicts verdicts;
    decide(broker, identity, account, &verdicts);
    return verdicts.allow;
}

/* Whose account it is has to be decided first where it is locked: until then only what was denied counts. */
static void get_answers(const struct identity *identity, const struct account *account, int64_t now_sec,
                        struct consent_answers *ret)
{
    consents_get(account, identity->app, now_sec, ret);
    if (account && account_is_locked(account, identity->user))
        ret->allow = ret->once = SCOPE_SET_EMPTY;
}

void verdict_of(struct broker *broker, const struct identity *identity, const struct account *account,
                struct verdicts *ret)
{
    verdict_of_used(broker, identity, account, SCOPE_SET_EMPTY, ret);
}

void verdict_of_used(struct broker *broker, const struct identity *identity, const struct account *account,
                     struct scope_set used, struct verdicts *ret)
{
    int64_t now_sec = wall_sec();
    struct consent_answers answers;
    decide(broker, identity, account, ret);
    get_answers(identity, account, now_sec, &answers);
    answers.allow = scope_set_union(answers.allow, used);
    verdicts_apply_consent(broker->catalogue, &answers, ret);
}

struct scope_set verdict_needs_once(struct broker *broker, const struct identity *identity,
                                    const struct account *account, struct scope_set scopes,
                                    struct scope_set used)
{
    int64_t now_sec = wall_sec();
    struct consent_answers answers;
    get_answers(identity, account, now_sec, &answers);
    if (scope_set_is_empty(answers.once))
        return SCOPE_SET_EMPTY;
    struct verdicts verdicts;
    decide(broker, identity, account, &verdicts);
    answers.allow = scope_set_union(answers.allow, used);
    answers.once = scope_set_minus(answers.once, used);
    return consent_needed_once(broker->catalogue, &answers, &verdicts,
                               catalogue_expand(broker->catalogue, scopes));
}
