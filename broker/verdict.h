/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The broker's own verdict: the table, else the owner's consent, else the default (policy/consent.h). The one
 * place where these are put together, so that GetToken, CheckScopes, Explain and what is taken back agree. */

#include "broker/identity.h"
#include "policy/consent.h"

struct account;
struct broker;

/* The time that grants.d is read at: what runs out has run out while it is not known how late it is. */
int64_t verdict_now_sec(const struct broker *broker);

/* What grants.d allows without asking anyone. */
struct scope_set verdict_allowed_by_table(struct broker *broker, const struct identity *identity,
                                          const struct account *account);

/* Which line of grants.d, or what else, decides about a scope before the owner's consent. */
void verdict_explain(struct broker *broker, const struct identity *identity, const struct account *account,
                     int scope, struct table_finding *ret);

/* For this caller and this account; NULL for none. */
void verdict_of(struct broker *broker, const struct identity *identity, const struct account *account,
                struct verdicts *ret);
/* The same for a call that has used up a consent to `used` already, and to which it still counts. */
void verdict_of_used(struct broker *broker, const struct identity *identity, const struct account *account,
                     struct scope_set used, struct verdicts *ret);
/* The `once` answers that a token which may carry `scopes` would use up; those in `used` are. */
struct scope_set verdict_needs_once(struct broker *broker, const struct identity *identity,
                                    const struct account *account, struct scope_set scopes,
                                    struct scope_set used);
