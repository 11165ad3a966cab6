/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The fewest logins that serve every app of the table, as pure code. A token is as wide as its login (I1), so
 * one wide login serves no app that may hold less.
 *
 * An app makes up to two demands: what it is plainly allowed, served by a login that carries all of that
 * and nothing else; and what it may be asked for, served by a login that carries all of that and nothing
 * that is denied. An app that asks in one call for something of both kinds needs a login with both: the
 * plan has none made for that alone, since each demand that could only be met by all an app may hold
 * would cost the person one more login; GetToken then names the scopes to log in with. Equal demands are
 * one. A demand is thus a pair must <= expand(login) <= may, and a group of demands is served by one
 * login if, and only if, the union of their musts is within each may: the login is then that union, in
 * its canonical form. The plan is the partition into the fewest groups; of those one that leaves the
 * fewest to log in for, beside the grants there are; of those the one with the fewest scopes. It is exact
 * up to PLAN_EXACT_MAX distinct demands, and greedy above. */

#include "policy/catalogue.h"

#define PLAN_EXACT_MAX 12

/* All that the table grants one app for this account, all conditions taken as met; without the default, or
 * every app would demand every scope. What implies a scope that is in neither set does not count. */
struct plan_app {
    struct scope_set allow;
    struct scope_set ask;
};

/* A live grant of the account. What it carries counts as part of what it may carry. */
struct plan_grant {
    struct scope_set carries;
    struct scope_set may_carry;
};

struct plan_service {
    size_t app; /* index */
    bool asks;  /* with what it may be asked for, and not with what it is plainly allowed */
};

struct plan_login {
    struct scope_set scopes; /* canonical: to log in with */
    int grant;               /* index of a grant that serves, or -1: this login is missing */
    struct plan_service *services;
    size_t n_services;
};

struct plan {
    struct plan_login *logins;
    size_t n_logins;
    size_t *unneeded; /* indices of grants that serve no demand at all */
    size_t n_unneeded;
    bool is_exact;
};

/* 0 or -ENOMEM. An app that is granted nothing demands nothing. */
int plan_make(const struct catalogue *c, const struct plan_app *apps, size_t n_apps,
              const struct plan_grant *grants, size_t n_grants, struct plan *ret) _must_check_;
void plan_clear(struct plan *plan);

#define _cleanup_plan_ _cleanup_(plan_clear)
