/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which grant serves a request, as pure code: the heart of I1 (an app gets no token that may carry a scope it
 * may not hold).
 *
 * 1. Candidates are the grants whose `carries` covers what was asked.
 * 2. What the token may carry is the grant's `may_carry` (or what was asked, where the provider is configured
 *    to narrow on refresh), expanded. What it carries counts as part of that, whatever the store says.
 * 3. Candidates that may carry anything the app is denied are dropped.
 * 4. One whose unasked extras are all allowed goes before one that needs asking; then the one that may carry
 *    least; ties: the latest expiry, then the lowest id. */

#include "policy/table.h"

struct select_grant {
    uint64_t id;
    struct scope_set carries;
    struct scope_set may_carry;
    uint64_t expires_usec; /* of its current access token; 0 for none */
};

enum {
    SELECT_E_LOGIN = 1,          /* no grant covers the request */
    SELECT_E_NARROWER_LOGIN = 2, /* one does, but may carry what this app may not hold */
};

/* On 0 *ret_index is the grant and *ret_may_carry the expanded set that its token may carry. On
 * SELECT_E_NARROWER_LOGIN *ret_may_carry is the canonical set to log in with: what was asked, which the
 * caller has judged before (a denied scope in it would make no login serve). */
int select_grant(const struct catalogue *c, const struct select_grant *grants, size_t n_grants,
                 struct scope_set asked, const struct verdicts *verdicts, bool narrows_on_refresh,
                 size_t *ret_index, struct scope_set *ret_may_carry) _must_check_;
