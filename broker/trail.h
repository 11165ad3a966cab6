/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Makes audit records out of what the broker has at hand: one place that knows which fact goes into which
 * field. A record that memory cannot hold whole is none. */

#include "broker/audit.h"
#include "broker/call.h"
#include "broker/identity.h"
#include "broker/owner.h"
#include "policy/scope.h"

struct broker;
struct peer;
struct token;

struct call;

/* Who called, for what outlives the call and the connection. */
struct trail_origin {
    bool is_known;
    struct identity identity;
    char request[CALL_REQUEST_SIZE];
};

/* Nobody is known for a call of NULL. */
void trail_origin_set(struct trail_origin *origin, const struct call *call);

/* What is not given stays empty. */
struct trail_facts {
    const struct peer *peer;           /* who called; with `request` */
    const struct trail_origin *origin; /* the same two, where there is no peer any more */
    const char *account;               /* id */
    const struct owner *owner;
    const struct scope_set *asked;
    const struct scope_set *carried;
    const char *verdict;
    const char *decided_by;
    const char *detail;
    const char *chain;   /* in short, all that led to the verdict */
    const char *request; /* of the call that it came of; NULL for none */
    int64_t grant;
    const struct token *token; /* its fingerprint and expiry */
};

/* NULL: out of memory. */
struct audit_record *trail_new(struct broker *broker, enum audit_event event,
                               const struct trail_facts *facts);

/* For events that nothing waits for: a disclosure is not one of them. What cannot be written is logged. */
void trail_write(struct broker *broker, enum audit_event event, const struct trail_facts *facts);
