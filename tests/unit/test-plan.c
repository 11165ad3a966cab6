/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "policy/plan.h"
#include "tests/unit/catalogue.h"

#include <string.h>

static struct scope_set set_of(struct catalogue *c, const char *names)
{
    struct scope_set set;
    assert_int_equal(catalogue_split(c, names, &set), 0);
    return catalogue_expand(c, set);
}

/* --- by hand ----------------------------------------------------------------------------------------------
 */

static const char scopes[] = FEW_SCOPES;

static const struct {
    const char *what;
    struct {
        const char *allow, *ask;
    } apps[4];
    const char *grants[4]; /* "carries", or "carries/may carry" */
    const char *plan; /* "SCOPES<APPS" with a ? after an app that is to be asked, =GRANT if present; ... */
} cases[] = {
    {"an empty table", {{0}}, {0}, ""},
    {"an app that is granted nothing", {{"", ""}}, {0}, ""},
    {"one app, a login in canonical form", {{"lib read", ""}}, {0}, "lib<0"},
    {"what is allowed need not be asked for", {{"read", "read"}}, {0}, "read<0"},
    {"equal demands are one", {{"read", ""}, {"play", ""}, {"read", ""}}, {0}, "read<0,2; play<1"},
    {"a narrower app needs its own login", {{"read", ""}, {"lib", ""}}, {0}, "read<0; lib<1"},
    {"what may be asked for joins what another is allowed",
     {{"read play", ""}, {"read", "play"}},
     {0},
     "play read<0,1?; read<1"},
    {"no login for the sake of both in one token", {{"read", "play"}}, {0}, "read<0; play<0?"},
    {"but brings nothing that is denied", {{"read play", ""}, {"", "play"}}, {0}, "play read<0; play<1?"},
    {"two that may be asked for share the union",
     {{"", "read play"}, {"", "play read"}},
     {0},
     "play read<0?,1?"},
    {"two that overlap share nothing",
     {{"", "read play"}, {"", "play hist"}},
     {0},
     "play read<0?; hist play<1?"},
    {"a present grant", {{"read", ""}, {"play", ""}}, {"play"}, "read<0; play<1=0"},
    {"a grant that carries too much", {{"read", ""}}, {"lib"}, "read<0; -0"},
    {"a grant that may carry too much", {{"read", ""}}, {"read/prof"}, "read<0; -0"},
    {"a grant that carries too little", {{"lib", ""}}, {"read/lib"}, "lib<0; -0"},
    {"a wider grant serves an asking app", {{"play", "read"}}, {"play read"}, "play<0; read<0?=0"},
    {"a redundant grant is not unneeded", {{"", "read play"}}, {"play read", "read play"}, "play read<0?=0"},
    {"the partition that needs the fewest new logins",
     {{"read hist", ""}, {"", "read"}, {"read", "hist"}, {"prof", ""}},
     {"read"},
     "hist read<0,2?; read<1?,2=0; prof<3"},
    {"a scope of no catalogue makes a grant useless", {{"read", ""}}, {"read stranger"}, "read<0; -0"},
    {"a set that is not closed: its closed part", {{"lib play", ""}}, {0}, "play<0"},
};

static void append(char *text, size_t size, const char *format, ...) _printf_(3, 4);
static void append(char *text, size_t size, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    size_t n = strlen(text);
    (void)vsnprintf(text + n, size - n, format, ap);
    va_end(ap);
}

static void write_plan(const struct catalogue *c, const struct plan *plan, char *text, size_t size)
{
    text[0] = '\0';
    for (size_t i = 0; i < plan->n_logins; i++) {
        const struct plan_login *login = &plan->logins[i];
        _cleanup_free_ char *names = catalogue_join(c, login->scopes);
        append(text, size, "%s%s<", i > 0 ? "; " : "", names);
        for (size_t k = 0; k < login->n_services; k++)
            append(text, size, "%s%zu%s", k > 0 ? "," : "", login->services[k].app,
                   login->services[k].asks ? "?" : "");
        if (login->grant >= 0)
            append(text, size, "=%d", login->grant);
    }
    for (size_t i = 0; i < plan->n_unneeded; i++)
        append(text, size, "%s-%zu", text[0] ? "; " : "", plan->unneeded[i]);
}

static struct plan_grant grant_of(struct catalogue *c, const char *text)
{
    _cleanup_free_ char *copy = strdup(text);
    assert_non_null(copy);
    char *slash = strchr(copy, '/');
    if (slash)
        *slash = '\0';
    return (struct plan_grant){set_of(c, copy), set_of(c, slash ? slash + 1 : copy)};
}

static void test_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_(catalogue_freep) struct catalogue *c = make_catalogue(scopes);
        struct plan_app apps[4];
        struct plan_grant grants[4];
        size_t n_apps = 0, n_grants = 0;
        for (; n_apps < 4 && cases[i].apps[n_apps].allow; n_apps++)
            apps[n_apps] = (struct plan_app){
                set_of(c, cases[i].apps[n_apps].allow),
                set_of(c, cases[i].apps[n_apps].ask),
            };
        for (; n_grants < 4 && cases[i].grants[n_grants]; n_grants++)
            grants[n_grants] = grant_of(c, cases[i].grants[n_grants]);
        if (strstr(cases[i].what, "not closed")) /* lib without the read that it implies */
            scope_set_remove(&apps[0].allow, catalogue_find(c, "read"));

        _cleanup_plan_ struct plan plan = {0};
        assert_int_equal(plan_make(c, apps, n_apps, grants, n_grants, &plan), 0);
        assert_true(plan.is_exact);
        char text[256];
        write_plan(c, &plan, text, sizeof(text));
        if (strcmp(text, cases[i].plan) != 0)
            fail_msg("%s: %s and not %s", cases[i].what, text, cases[i].plan);
    }
}

/* --- at random, against every login that there could be ---------------------------------------------------
 */

/* The reference knows nothing of groups: with this few scopes it tries every set of scopes as a login, sees
 * whom that would serve, and looks for the fewest logins that together serve everyone. It shares no code with
 * what it checks. */

#define SCOPES 6
#define STRANGER (SCOPES - 1) /* in no catalogue: only grants have it */
#define APPS_MAX 7
#define GRANTS_MAX 4
#define WORLDS 500
#define CASES 20 /* in each */
#define APPS_MANY 60

enum { DENIED, ASKED, ALLOWED };

struct world {
    bool reaches[SCOPES][SCOPES]; /* implies, and itself */
    struct catalogue *c;
    int number[SCOPES];
};

static uint64_t random_state;

static unsigned draw(unsigned below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)((random_state >> 33) % below);
}

static void world_draw(struct world *w)
{
    char text[1024] = "";
    memset(w, 0, sizeof(*w));
    for (int i = STRANGER - 1; i >= 0; i--) {
        append(text, sizeof(text), "[s%d]\n" D "implies =", i);
        for (int k = i + 1; k < STRANGER; k++) {
            if (draw(5) != 0)
                continue;
            append(text, sizeof(text), " s%d", k);
            for (int far = k; far < STRANGER; far++) /* k's are known already */
                w->reaches[i][far] = w->reaches[i][far] || w->reaches[k][far];
        }
        append(text, sizeof(text), "\n");
        w->reaches[i][i] = true;
    }
    w->reaches[STRANGER][STRANGER] = true;
    w->c = make_catalogue(text);
    for (int i = 0; i < SCOPES; i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "s%d", i);
        w->number[i] = catalogue_intern(w->c, name);
    }
}

/* What the table comes to for an app: a denial takes away all that imply it, then asking does. */
static void draw_app(const struct world *w, int verdicts[SCOPES], struct plan_app *app)
{
    *app = (struct plan_app){SCOPE_SET_EMPTY, SCOPE_SET_EMPTY};
    int written[SCOPES];
    for (int i = 0; i < SCOPES; i++)
        written[i] = i == STRANGER || draw(2) == 0 ? DENIED : draw(3) == 0 ? ASKED : ALLOWED;
    for (int i = 0; i < SCOPES; i++) {
        verdicts[i] = ALLOWED;
        for (int k = 0; k < SCOPES; k++)
            if (w->reaches[i][k] && written[k] < verdicts[i])
                verdicts[i] = written[k];
        if (verdicts[i] == ALLOWED)
            scope_set_add(&app->allow, w->number[i]);
        if (verdicts[i] == ASKED)
            scope_set_add(&app->ask, w->number[i]);
    }
}

struct drawn {
    size_t n_apps, n_grants;
    int verdicts[APPS_MANY][SCOPES];
    bool carries[GRANTS_MAX][SCOPES]; /* all closed */
    bool may_carry[GRANTS_MAX][SCOPES];
    struct plan_app apps[APPS_MANY];
    struct plan_grant grants[GRANTS_MAX];
};

static void close_up(const struct world *w, bool *members)
{
    for (int i = 0; i < SCOPES; i++)
        for (int k = 0; members[i] && k < SCOPES; k++)
            members[k] = members[k] || w->reaches[i][k];
}

static void draw_grant(const struct world *w, struct drawn *d, size_t g)
{
    d->grants[g] = (struct plan_grant){SCOPE_SET_EMPTY, SCOPE_SET_EMPTY};
    int for_app = draw(2) == 0 ? (int)draw((unsigned)d->n_apps) : -1; /* often one that can serve */
    for (int i = 0; i < SCOPES; i++) {
        d->carries[g][i] = for_app >= 0 ? d->verdicts[for_app][i] == ALLOWED : draw(4) == 0;
        d->may_carry[g][i] = d->carries[g][i] || draw(20) == 0;
        if (d->carries[g][i])
            scope_set_add(&d->grants[g].carries, w->number[i]);
        if (d->may_carry[g][i] && draw(2) == 0)
            scope_set_add(&d->grants[g].may_carry, w->number[i]);
        else
            d->may_carry[g][i] = d->carries[g][i];
    }
    close_up(w, d->carries[g]);
    close_up(w, d->may_carry[g]);
}

static void draw_case(const struct world *w, struct drawn *d, size_t n_apps)
{
    memset(d, 0, sizeof(*d));
    d->n_apps = n_apps;
    for (size_t i = 0; i < n_apps; i++)
        draw_app(w, d->verdicts[i], &d->apps[i]);
    d->n_grants = n_apps > 0 ? draw(GRANTS_MAX + 1) : 0;
    for (size_t g = 0; g < d->n_grants; g++)
        draw_grant(w, d, g);
}

static bool demands(const int *verdicts, bool asks)
{
    for (int i = 0; i < SCOPES; i++)
        if (verdicts[i] == (asks ? ASKED : ALLOWED))
            return true;
    return false;
}

/* Whether a login with these serves the app: all that it is promised, and nothing that it may not hold. */
static bool suits(const bool *carries, const bool *may_carry, const int *verdicts, bool asks)
{
    for (int i = 0; i < SCOPES; i++) {
        if (verdicts[i] == (asks ? ASKED : ALLOWED) && !carries[i])
            return false;
        if (may_carry[i] && verdicts[i] < (asks ? ASKED : ALLOWED))
            return false;
    }
    return true;
}

/* Bit 2 * app for what it is allowed, bit 2 * app + 1 for what it may be asked for. */
static unsigned served_by(const struct drawn *d, const bool *carries, const bool *may_carry)
{
    unsigned served = 0;
    for (size_t i = 0; i < d->n_apps; i++)
        for (unsigned asks = 0; asks < 2; asks++)
            if (demands(d->verdicts[i], asks) && suits(carries, may_carry, d->verdicts[i], asks))
                served |= 1U << (2 * i + asks);
    return served;
}

struct offer {
    unsigned served;
    unsigned cost; /* 100, and 1 if the login is missing */
};

/* The cheapest cover of `wanted`, with at most as many offers as it has bits. */
static unsigned cheapest(const struct offer *offers, size_t n, unsigned wanted, unsigned bound)
{
    if (wanted == 0)
        return 0;
    unsigned best = bound;
    for (size_t i = 0; i < n && best > 100; i++) {
        if (!(offers[i].served & wanted & -wanted)) /* who serves the first of them? */
            continue;
        unsigned rest = cheapest(offers, n, wanted & ~offers[i].served, best - offers[i].cost);
        if (offers[i].cost + rest < best)
            best = offers[i].cost + rest;
    }
    return best;
}

static unsigned reference_cost(const struct world *w, const struct drawn *d)
{
    struct offer offers[GRANTS_MAX + (1 << SCOPES)];
    size_t n = 0;
    unsigned wanted = 0;
    for (size_t g = 0; g < d->n_grants; g++)
        offers[n++] = (struct offer){served_by(d, d->carries[g], d->may_carry[g]), 100};
    for (unsigned login = 1; login < 1U << SCOPES; login++) {
        bool carries[SCOPES];
        for (int i = 0; i < SCOPES; i++)
            carries[i] = login >> i & 1;
        close_up(w, carries);
        offers[n] = (struct offer){served_by(d, carries, carries), 101};
        wanted |= offers[n].served;
        bool is_new = offers[n].served != 0;
        for (size_t i = d->n_grants; i < n; i++)
            is_new = is_new && offers[i].served != offers[n].served;
        n += is_new;
    }
    for (size_t i = 0; i < d->n_apps; i++) /* each demand can be served by some login */
        for (unsigned asks = 0; asks < 2; asks++)
            assert_int_equal(demands(d->verdicts[i], asks), wanted >> (2 * i + asks) & 1);
    return cheapest(offers, n, wanted, UINT16_MAX);
}

/* What a login must and may carry for an app, as one number. */
static unsigned demand_of(const struct world *w, const int *verdicts, bool asks)
{
    bool must[SCOPES];
    unsigned demand = 0;
    for (int i = 0; i < SCOPES; i++)
        must[i] = verdicts[i] == (asks ? ASKED : ALLOWED);
    close_up(w, must);
    for (int i = 0; i < SCOPES; i++)
        demand |= (unsigned)must[i] << i | (unsigned)(verdicts[i] >= (asks ? ASKED : ALLOWED))
                                               << (SCOPES + i);
    return demand;
}

static size_t count_distinct_demands(const struct world *w, const struct drawn *d)
{
    unsigned known[2 * APPS_MANY + 1];
    size_t n = 0;
    for (size_t i = 0; i < d->n_apps; i++)
        for (int asks = 0; asks < 2; asks++) {
            bool is_new = demands(d->verdicts[i], asks);
            known[n] = demand_of(w, d->verdicts[i], asks);
            for (size_t k = 0; k < n; k++)
                is_new = is_new && known[k] != known[n];
            n += is_new;
        }
    return n;
}

/* Every promise that the header makes of any plan. */
static unsigned check_plan(const struct world *w, const struct drawn *d, const struct plan *plan)
{
    bool served[APPS_MANY][2] = {{false}};
    unsigned cost = 0;
    for (size_t l = 0; l < plan->n_logins; l++) {
        const struct plan_login *login = &plan->logins[l];
        bool carries[SCOPES];
        for (int i = 0; i < SCOPES; i++)
            carries[i] = scope_set_has(&login->scopes, w->number[i]);
        for (int i = 0; i < SCOPES; i++) /* canonical */
            for (int k = 0; k < SCOPES; k++)
                assert_false(i != k && carries[i] && carries[k] && w->reaches[i][k]);
        close_up(w, carries);
        assert_true(login->n_services > 0);
        for (size_t s = 0; s < login->n_services; s++) {
            size_t app = login->services[s].app;
            bool asks = login->services[s].asks;
            assert_true(app < d->n_apps && demands(d->verdicts[app], asks) && !served[app][asks]);
            served[app][asks] = true;
            assert_true(suits(carries, carries, d->verdicts[app], asks));
            if (login->grant >= 0)
                assert_true(
                    suits(d->carries[login->grant], d->may_carry[login->grant], d->verdicts[app], asks));
        }
        cost += login->grant >= 0 ? 100 : 101;
    }
    for (size_t i = 0; i < d->n_apps; i++)
        for (int asks = 0; asks < 2; asks++)
            assert_int_equal(served[i][asks], demands(d->verdicts[i], asks));

    for (size_t g = 0; g < d->n_grants; g++) {
        bool serves_any = false, is_unneeded = false;
        for (size_t i = 0; i < d->n_apps; i++)
            for (int asks = 0; asks < 2; asks++)
                serves_any = serves_any || (demands(d->verdicts[i], asks) &&
                                            suits(d->carries[g], d->may_carry[g], d->verdicts[i], asks));
        for (size_t i = 0; i < plan->n_unneeded; i++)
            is_unneeded = is_unneeded || plan->unneeded[i] == g;
        assert_int_equal(is_unneeded, !serves_any);
    }
    return cost;
}

static void test_against_every_login(void **state)
{
    (void)state;
    unsigned n_exact = 0, n_joined = 0, n_present = 0;
    random_state = UINT64_C(0x9E3779B97F4A7C15);
    for (unsigned i = 0; i < WORLDS; i++) {
        struct world w;
        world_draw(&w);
        for (unsigned k = 0; k < CASES; k++) {
            struct drawn d;
            draw_case(&w, &d, draw(APPS_MAX + 1));
            _cleanup_plan_ struct plan plan = {0};
            assert_int_equal(plan_make(w.c, d.apps, d.n_apps, d.grants, d.n_grants, &plan), 0);
            unsigned cost = check_plan(&w, &d, &plan);
            size_t n_demands = count_distinct_demands(&w, &d);
            assert_true(plan.n_logins <= n_demands);
            assert_int_equal(plan.is_exact, n_demands <= PLAN_EXACT_MAX);
            if (!plan.is_exact)
                continue;
            assert_int_equal(cost, reference_cost(&w, &d));
            n_exact++;
            n_joined += plan.n_logins < n_demands;
            n_present += cost != plan.n_logins * 101;
        }
        catalogue_free(w.c);
    }
    print_message("%u exact plans, %u with joined demands, %u with a login present\n", n_exact, n_joined,
                  n_present);
    /* A test of plain cases only would be none. */
    assert_true(n_exact > 8000 && n_joined > 2000 && n_present > 2000);
}

static void test_greedy_keeps_every_promise(void **state)
{
    (void)state;
    unsigned n_greedy = 0, n_joined = 0;
    random_state = UINT64_C(0xD1B54A32D192ED03);
    for (unsigned i = 0; i < WORLDS; i++) {
        struct world w;
        world_draw(&w);
        struct drawn d;
        draw_case(&w, &d, APPS_MANY);
        _cleanup_plan_ struct plan plan = {0};
        assert_int_equal(plan_make(w.c, d.apps, d.n_apps, d.grants, d.n_grants, &plan), 0);
        (void)check_plan(&w, &d, &plan);
        size_t n_demands = count_distinct_demands(&w, &d);
        assert_true(plan.n_logins <= n_demands);
        assert_int_equal(plan.is_exact, n_demands <= PLAN_EXACT_MAX);
        n_greedy += !plan.is_exact;
        n_joined += !plan.is_exact && plan.n_logins < n_demands;
        catalogue_free(w.c);
    }
    print_message("%u greedy plans, %u with joined demands\n", n_greedy, n_joined);
    assert_true(n_greedy > 400 && n_joined > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_against_every_login),
        cmocka_unit_test(test_greedy_keeps_every_promise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
