/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* 1. Each app's demands are made and equal ones joined.
 * 2. The demands are put into groups that one login serves.
 * 3. Each group becomes a login: a grant that serves it, or one that is missing.
 *
 * Why comparing pairs suffices. A login serves a group if must_i <= expand(login) <= may_k for all i and k of
 * it, so must_i <= may_k is needed of every pair, i = k included (of which a demand is made). And it is
 * enough: every must is closed under `implies`, so their union U is its own expansion, U holds each must, and
 * U is within each may since every must is. The fewest logins are thus a minimum clique cover of "fits with";
 * the union and the intersection of a group are all that must be kept of it.
 *
 * Why no grant serves two groups of a plan: it would serve both as one group. The exact plan would then have
 * one group less, and in the greedy one whatever opened the later group would have fitted the earlier one. */

#include "policy/plan.h"

#include <stdint.h>

#define NONE SIZE_MAX

/* Of a demand, a grant, or a group: `low` <= what the login carries, what it may carry <= `high`. */
struct bounds {
    struct scope_set low;
    struct scope_set high;
};

struct demand {
    struct bounds bounds; /* low is closed under `implies`, and not empty */
    size_t group;
};

struct app_demands {
    size_t plain; /* index of a demand, or NONE */
    size_t asking;
};

struct planning {
    const struct catalogue *c;
    struct demand *demands;
    size_t n_demands;
    struct app_demands *apps;
    size_t n_apps;
    struct bounds *grants; /* both closed: low is what it carries, high what it may carry */
    size_t n_grants;
    struct bounds *groups;
    size_t n_groups;
};

static void planning_clear(struct planning *p)
{
    free(p->demands);
    free(p->apps);
    free(p->grants);
    free(p->groups);
}

/* --- demands -------------------------------------------------------------------------------------------- */

/* The members that imply nothing outside the set: what a login within the set can carry. */
static struct scope_set get_closed_part(const struct catalogue *c, struct scope_set set)
{
    struct scope_set closed = SCOPE_SET_EMPTY;
    for (int i = scope_set_next(&set, 0); i >= 0; i = scope_set_next(&set, i + 1)) {
        struct scope_set one = SCOPE_SET_EMPTY;
        scope_set_add(&one, i);
        one = catalogue_expand(c, one);
        if (scope_set_is_subset(one, set))
            closed = scope_set_union(closed, one);
    }
    return closed;
}

static size_t add_demand(struct planning *p, struct scope_set must, struct scope_set may)
{
    if (scope_set_is_empty(must))
        return NONE;
    for (size_t i = 0; i < p->n_demands; i++) {
        const struct bounds *known = &p->demands[i].bounds;
        if (scope_set_equal(known->low, must) && scope_set_equal(known->high, may))
            return i;
    }
    p->demands[p->n_demands] = (struct demand){{must, may}, NONE};
    return p->n_demands++;
}

static void add_demands(struct planning *p, const struct plan_app *app)
{
    struct scope_set plain = get_closed_part(p->c, app->allow);
    struct scope_set most = get_closed_part(p->c, scope_set_union(app->allow, app->ask));
    struct scope_set asked = scope_set_intersection(scope_set_minus(app->ask, app->allow), most);
    p->apps[p->n_apps].plain = add_demand(p, plain, plain);
    p->apps[p->n_apps].asking = add_demand(p, catalogue_expand(p->c, asked), most);
    p->n_apps++;
}

static bool serves(const struct bounds *grant, const struct bounds *wanted)
{
    return scope_set_is_subset(wanted->low, grant->low) && scope_set_is_subset(grant->high, wanted->high);
}

static int find_grant(const struct planning *p, const struct bounds *group)
{
    for (size_t i = 0; i < p->n_grants; i++)
        if (serves(&p->grants[i], group))
            return (int)i;
    return -1;
}

/* Whether one login can serve both; *group becomes the bounds of both. */
static bool join(struct bounds *group, const struct bounds *other)
{
    struct bounds both = {
        scope_set_union(group->low, other->low),
        scope_set_intersection(group->high, other->high),
    };
    if (!scope_set_is_subset(both.low, both.high))
        return false;
    *group = both;
    return true;
}

/* --- exact: over all subsets of the demands ---------------------------------------------------------------
 */

#define COST_NONE UINT32_MAX
#define COST_LOGIN (UINT32_C(1) << 16)
#define COST_MISSING (UINT32_C(1) << 12)
_Static_assert(PLAN_EXACT_MAX *SCOPE_COUNT_MAX < COST_MISSING, "scopes never weigh more than a login");
_Static_assert(PLAN_EXACT_MAX *COST_MISSING < COST_LOGIN, "nor missing ones more than one more");

struct subsets {
    uint32_t group_costs[1 << PLAN_EXACT_MAX]; /* of the subset as one group; COST_NONE if it is none */
    uint32_t costs[1 << PLAN_EXACT_MAX];       /* of the cheapest partition of the subset */
    uint16_t firsts[1 << PLAN_EXACT_MAX];      /* the group in it that holds the subset's first demand */
};

static bool get_group(const struct planning *p, unsigned subset, struct bounds *ret)
{
    *ret = p->demands[__builtin_ctz(subset)].bounds;
    for (unsigned rest = subset & (subset - 1); rest != 0; rest &= rest - 1)
        if (!join(ret, &p->demands[__builtin_ctz(rest)].bounds))
            return false;
    return true;
}

static uint32_t get_group_cost(const struct planning *p, unsigned subset)
{
    struct bounds group;
    if (!get_group(p, subset, &group))
        return COST_NONE;
    return COST_LOGIN + (find_grant(p, &group) < 0 ? COST_MISSING : 0) + scope_set_count(&group.low);
}

/* Every group that can hold the first demand is tried; the rest of the subset is a smaller number, and so
 * known. */
static void cover_subset(struct subsets *s, unsigned subset)
{
    unsigned first = subset & -subset;
    unsigned others = subset ^ first;
    s->costs[subset] = COST_NONE;
    for (unsigned more = others;; more = (more - 1) & others) {
        unsigned group = first | more;
        if (s->group_costs[group] != COST_NONE) {
            uint32_t cost = s->group_costs[group] + s->costs[subset ^ group];
            if (cost < s->costs[subset]) {
                s->costs[subset] = cost;
                s->firsts[subset] = (uint16_t)group;
            }
        }
        if (more == 0)
            return;
    }
}

static int group_exactly(struct planning *p)
{
    _cleanup_free_ struct subsets *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    unsigned all = (1U << p->n_demands) - 1;
    for (unsigned subset = 1; subset <= all; subset++) {
        s->group_costs[subset] = get_group_cost(p, subset);
        cover_subset(s, subset);
    }

    for (unsigned left = all; left != 0; left ^= s->firsts[left]) {
        unsigned group = s->firsts[left];
        (void)get_group(p, group, &p->groups[p->n_groups]);
        for (unsigned rest = group; rest != 0; rest &= rest - 1)
            p->demands[__builtin_ctz(rest)].group = p->n_groups;
        p->n_groups++;
    }
    return 0;
}

/* --- greedy: each into the first group that takes it ------------------------------------------------------
 */

static unsigned get_freedom(const struct demand *d)
{
    struct scope_set free_choice = scope_set_minus(d->bounds.high, d->bounds.low);
    return scope_set_count(&free_choice);
}

static void group_one(struct planning *p, struct demand *d)
{
    for (size_t i = 0; i < p->n_groups; i++)
        if (join(&p->groups[i], &d->bounds)) {
            d->group = i;
            return;
        }
    p->groups[p->n_groups] = d->bounds;
    d->group = p->n_groups++;
}

/* Those with the least freedom first: what is plainly allowed fits with no other such, and opens the groups
 * that the freer ones then choose from. */
static void group_greedily(struct planning *p)
{
    for (unsigned freedom = 0; freedom <= SCOPE_COUNT_MAX; freedom++)
        for (size_t i = 0; i < p->n_demands; i++)
            if (get_freedom(&p->demands[i]) == freedom)
                group_one(p, &p->demands[i]);
}

/* --- the plan ------------------------------------------------------------------------------------------- */

static int add_services(const struct planning *p, size_t group, struct plan_login *login)
{
    /* An app's two demands never share a group: one must hold what the other may not. */
    login->services = calloc(p->n_apps, sizeof(*login->services));
    if (!login->services)
        return -ENOMEM;
    for (size_t i = 0; i < p->n_apps; i++) {
        const struct app_demands *app = &p->apps[i];
        if (app->plain != NONE && p->demands[app->plain].group == group)
            login->services[login->n_services++] = (struct plan_service){.app = i, .asks = false};
        if (app->asking != NONE && p->demands[app->asking].group == group)
            login->services[login->n_services++] = (struct plan_service){.app = i, .asks = true};
    }
    return 0;
}

static bool is_needed(const struct planning *p, const struct bounds *grant)
{
    for (size_t i = 0; i < p->n_demands; i++)
        if (serves(grant, &p->demands[i].bounds))
            return true;
    return false;
}

static int planning_report(const struct planning *p, struct plan *plan)
{
    plan->logins = calloc(p->n_groups + 1, sizeof(*plan->logins));
    plan->unneeded = calloc(p->n_grants + 1, sizeof(*plan->unneeded));
    if (!plan->logins || !plan->unneeded)
        return -ENOMEM;
    for (size_t i = 0; i < p->n_groups; i++) {
        struct plan_login *login = &plan->logins[plan->n_logins++];
        login->scopes = catalogue_reduce(p->c, p->groups[i].low);
        login->grant = find_grant(p, &p->groups[i]);
        int r = add_services(p, i, login);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < p->n_grants; i++)
        if (!is_needed(p, &p->grants[i]))
            plan->unneeded[plan->n_unneeded++] = i;
    return 0;
}

static int planning_init(struct planning *p, const struct plan_app *apps, size_t n_apps,
                         const struct plan_grant *grants, size_t n_grants)
{
    p->demands = calloc(2 * n_apps + 1, sizeof(*p->demands));
    p->groups = calloc(2 * n_apps + 1, sizeof(*p->groups));
    p->apps = calloc(n_apps + 1, sizeof(*p->apps));
    p->grants = calloc(n_grants + 1, sizeof(*p->grants));
    if (!p->demands || !p->groups || !p->apps || !p->grants)
        return -ENOMEM;
    for (size_t i = 0; i < n_apps; i++)
        add_demands(p, &apps[i]);
    for (; p->n_grants < n_grants; p->n_grants++) {
        const struct plan_grant *g = &grants[p->n_grants];
        p->grants[p->n_grants] = (struct bounds){
            catalogue_expand(p->c, g->carries),
            catalogue_expand(p->c, scope_set_union(g->carries, g->may_carry)),
        };
    }
    return 0;
}

int plan_make(const struct catalogue *c, const struct plan_app *apps, size_t n_apps,
              const struct plan_grant *grants, size_t n_grants, struct plan *ret)
{
    _cleanup_(planning_clear) struct planning p = {.c = c};
    int r = planning_init(&p, apps, n_apps, grants, n_grants);
    if (r < 0)
        return r;

    _cleanup_plan_ struct plan plan = {.is_exact = p.n_demands <= PLAN_EXACT_MAX};
    if (!plan.is_exact)
        group_greedily(&p);
    else if (p.n_demands > 0)
        r = group_exactly(&p);
    if (r == 0)
        r = planning_report(&p, &plan);
    if (r < 0)
        return r;
    *ret = plan;
    plan = (struct plan){0};
    return 0;
}

void plan_clear(struct plan *plan)
{
    for (size_t i = 0; i < plan->n_logins; i++)
        free(plan->logins[i].services);
    free(plan->logins);
    free(plan->unneeded);
    *plan = (struct plan){0};
}
