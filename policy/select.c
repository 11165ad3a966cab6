/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* I1 stands here: what a token may carry is expanded before it is judged, and a grant is chosen only among
 * those whose every possible scope this app is allowed or may be asked for. The steps are the header's. */

#include "policy/select.h"

struct candidate {
    size_t index;
    struct scope_set may_carry; /* expanded */
    bool extras_allowed;
    unsigned n_scopes;
};

/* A grant may always carry what it carries, whatever the store says of it. */
static struct scope_set get_may_carry(const struct catalogue *c, const struct select_grant *g,
                                      struct scope_set asked, bool narrows_on_refresh)
{
    if (narrows_on_refresh)
        return catalogue_expand(c, asked);
    return catalogue_expand(c, scope_set_union(g->may_carry, g->carries));
}

static bool is_better(const struct select_grant *grants, const struct candidate *a, const struct candidate *b)
{
    if (a->extras_allowed != b->extras_allowed)
        return a->extras_allowed;
    if (a->n_scopes != b->n_scopes)
        return a->n_scopes < b->n_scopes;
    const struct select_grant *x = &grants[a->index];
    const struct select_grant *y = &grants[b->index];
    if (x->expires_usec != y->expires_usec)
        return x->expires_usec > y->expires_usec;
    return x->id < y->id;
}

int select_grant(const struct catalogue *c, const struct select_grant *grants, size_t n_grants,
                 struct scope_set asked, const struct verdicts *verdicts, bool narrows_on_refresh,
                 size_t *ret_index, struct scope_set *ret_may_carry)
{
    struct scope_set asked_expanded = catalogue_expand(c, asked);
    struct candidate best = {0};
    bool covered = false;
    bool found = false;

    for (size_t i = 0; i < n_grants; i++) {
        if (!scope_set_is_subset(asked_expanded, catalogue_expand(c, grants[i].carries)))
            continue;
        covered = true;
        struct candidate next = {
            .index = i,
            .may_carry = get_may_carry(c, &grants[i], asked, narrows_on_refresh),
        };
        if (verdicts_least(verdicts, next.may_carry) == VERDICT_DENY)
            continue;
        struct scope_set extras = scope_set_minus(next.may_carry, asked_expanded);
        next.extras_allowed = verdicts_least(verdicts, extras) == VERDICT_ALLOW;
        next.n_scopes = scope_set_count(&next.may_carry);
        if (!found || is_better(grants, &next, &best))
            best = next;
        found = true;
    }

    if (found) {
        *ret_index = best.index;
        *ret_may_carry = best.may_carry;
        return 0;
    }
    if (!covered)
        return SELECT_E_LOGIN;
    *ret_may_carry = catalogue_reduce(c, asked);
    return SELECT_E_NARROWER_LOGIN;
}
