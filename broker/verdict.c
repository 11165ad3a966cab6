/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/verdict.h"

#include "broker/account.h"
#include "broker/broker.h"
#include "util/clock.h"

void verdict_of(struct broker *broker, const struct identity *identity, const struct account *account,
                struct verdicts *ret)
{
    const struct table_query query = {
        .subject = identity_subject(identity),
        .account = account ? account->id : "",
        .now_sec = wall_sec(),
        .fallback = broker->config->default_verdict,
    };
    table_decide(broker->table, broker->catalogue, &query, ret);
}
