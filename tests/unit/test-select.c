/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "policy/select.h"
#include "tests/unit/catalogue.h"
#include "tests/unit/decide.h"
#include "util/clock.h"

#include <string.h>

/* --- by hand: every rule of the header ------------------------------------------------------------------ */

static const char scopes[] = FEW_SCOPES;

static struct scope_set set_of(struct catalogue *c, const char *names)
{
    struct scope_set set;
    assert_int_equal(catalogue_split(c, names, &set), 0);
    return set;
}

struct grant_text {
    uint64_t id;
    const char *carries;
    const char *may_carry;
    uint64_t expires;
};

static const struct {
    const char *what;
    const char *asked, *allow, *ask;
    bool narrows;
    struct grant_text grants[4]; /* up to the first without an id */
    int result;
    uint64_t id;
    const char *may_carry;
} cases[] = {
    {"no grant at all", "read", "read", "", false, {{0}}, SELECT_E_LOGIN, 0, NULL},
    {"none covers it", "read", "read play", "", false, {{1, "play", "play", 0}}, SELECT_E_LOGIN, 0, NULL},
    {"covered only by what it may carry",
     "read",
     "read play",
     "",
     false,
     {{1, "play", "play read", 0}},
     SELECT_E_LOGIN,
     0,
     NULL},
    {"covered by implication", "read", "lib read", "", false, {{1, "lib", "lib", 0}}, 0, 1, "lib read"},
    {"implied scopes count",
     "lib",
     "lib",
     "",
     false,
     {{1, "lib", "lib", 0}},
     SELECT_E_NARROWER_LOGIN,
     0,
     "lib"},
    {"a wider grant than allowed",
     "read",
     "read",
     "",
     false,
     {{1, "lib", "lib", 0}},
     SELECT_E_NARROWER_LOGIN,
     0,
     "read"},
    {"may carry counts, not only carries",
     "read",
     "read",
     "",
     false,
     {{1, "read", "read prof", 0}},
     SELECT_E_NARROWER_LOGIN,
     0,
     "read"},
    {"the set to log in with is canonical",
     "lib read",
     "lib read",
     "",
     false,
     {{1, "lib prof", "lib prof", 0}},
     SELECT_E_NARROWER_LOGIN,
     0,
     "lib"},
    {"a scope of no catalogue in a grant",
     "read",
     "read",
     "",
     false,
     {{1, "read stranger", "read stranger", 0}},
     SELECT_E_NARROWER_LOGIN,
     0,
     "read"},
    {"the denied one is dropped, the other serves",
     "read",
     "read play",
     "",
     false,
     {{1, "read prof", "read prof", 9}, {2, "read play", "read play", 0}},
     0,
     2,
     "play read"},
    {"asked for, extras allowed",
     "read",
     "play",
     "read",
     false,
     {{1, "read play", "read play", 0}},
     0,
     1,
     "play read"},
    {"allowed extras go before fewer that need asking",
     "read",
     "read play hist",
     "prof",
     false,
     {{1, "read prof", "read prof", 9}, {2, "read play hist", "read play hist", 0}},
     0,
     2,
     "hist play read"},
    {"else extras to be asked for serve",
     "read",
     "read",
     "prof",
     false,
     {{1, "read prof", "read prof", 0}},
     0,
     1,
     "prof read"},
    {"the least",
     "read",
     "lib read play hist",
     "",
     false,
     {{1, "read play hist", "read play hist", 9}, {2, "lib", "lib", 0}},
     0,
     2,
     "lib read"},
    {"the least counts what is implied",
     "read",
     "lib read play",
     "",
     false,
     {{1, "lib play", "lib play", 9}, {2, "read play", "read play", 0}},
     0,
     2,
     "play read"},
    {"ties: the latest expiry",
     "read",
     "read play hist",
     "",
     false,
     {{1, "read play", "read play", 5}, {2, "read hist", "read hist", 6}},
     0,
     2,
     "hist read"},
    {"ties: the lowest id",
     "read",
     "read play hist",
     "",
     false,
     {{7, "read play", "read play", 5}, {3, "read hist", "read hist", 5}},
     0,
     3,
     "hist read"},
    {"a provider that narrows: only what was asked",
     "read",
     "read",
     "",
     true,
     {{1, "lib prof", "lib prof", 0}},
     0,
     1,
     "read"},
    {"a provider that narrows: implied scopes count",
     "lib",
     "lib",
     "",
     true,
     {{1, "lib", "lib", 0}},
     SELECT_E_NARROWER_LOGIN,
     0,
     "lib"},
    {"a store that says it may carry less than it carries",
     "read",
     "read",
     "",
     false,
     {{1, "read prof", "read", 0}},
     SELECT_E_NARROWER_LOGIN,
     0,
     "read"},
};

static void test_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_(catalogue_freep) struct catalogue *c = make_catalogue(scopes);
        struct select_grant grants[4];
        size_t n = 0;
        for (; n < 4 && cases[i].grants[n].id; n++)
            grants[n] = (struct select_grant){
                .id = cases[i].grants[n].id,
                .carries = set_of(c, cases[i].grants[n].carries),
                .may_carry = set_of(c, cases[i].grants[n].may_carry),
                .expires_usec = cases[i].grants[n].expires,
            };
        struct verdicts v = {set_of(c, cases[i].allow), set_of(c, cases[i].ask), SCOPE_SET_EMPTY,
                             SCOPE_SET_EMPTY};
        size_t index = 99;
        struct scope_set may_carry = SCOPE_SET_EMPTY;
        int r =
            select_grant(c, grants, n, set_of(c, cases[i].asked), &v, cases[i].narrows, &index, &may_carry);
        if (r != cases[i].result)
            fail_msg("%s: %d", cases[i].what, r);
        if (r == 0 && grants[index].id != cases[i].id)
            fail_msg("%s: grant %u", cases[i].what, (unsigned)grants[index].id);
        _cleanup_free_ char *names = catalogue_join(c, may_carry);
        assert_string_equal(names, cases[i].may_carry ? cases[i].may_carry : "");
        if (r != 0)
            assert_int_equal(index, 99);
    }
}

/* --- at random, against a plain recomputation ------------------------------------------------------------
 */

/* Worlds are small, so that sets collide often. The reference knows the world as it was drawn: who implies
 * whom directly, and each scope's verdict. It shares no code with what it checks but the set's has(). */

#define SCOPES 9
#define STRANGER (SCOPES - 1) /* in no catalogue */
#define GRANTS_MAX 5
#define WORLDS 2500
#define CASES 80 /* in each */

struct world {
    bool implies[SCOPES][SCOPES]; /* directly */
    bool reaches[SCOPES][SCOPES];
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

static void visit(struct world *w, int from, int at)
{
    w->reaches[from][at] = true;
    for (int next = 0; next < SCOPES; next++)
        if (w->implies[at][next])
            visit(w, from, next);
}

static void world_draw(struct world *w)
{
    char text[2048];
    size_t n = 0;
    memset(w, 0, sizeof(*w));
    for (int i = 0; i < STRANGER; i++) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, "[s%d]\n" D "implies =", i);
        for (int k = i + 1; k < STRANGER; k++) {
            w->implies[i][k] = draw(6) == 0;
            if (w->implies[i][k])
                n += (size_t)snprintf(text + n, sizeof(text) - n, " s%d", k);
        }
        n += (size_t)snprintf(text + n, sizeof(text) - n, "\n");
    }
    for (int i = 0; i < SCOPES; i++)
        visit(w, i, i);
    w->c = make_catalogue(text);
    for (int i = 0; i < SCOPES; i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "s%d", i);
        w->number[i] = catalogue_intern(w->c, name);
    }
}

/* A set with each scope in it with a chance of one in `one_in`, as bools and as a set. */
static struct scope_set draw_set(const struct world *w, unsigned one_in, bool *members)
{
    struct scope_set set = SCOPE_SET_EMPTY;
    for (int i = 0; i < SCOPES; i++) {
        members[i] = draw(one_in) == 0;
        if (members[i])
            scope_set_add(&set, w->number[i]);
    }
    return set;
}

struct drawn {
    bool asked[SCOPES];
    enum verdict verdicts[SCOPES];
    bool carries[GRANTS_MAX][SCOPES];
    bool may_carry[GRANTS_MAX][SCOPES];
    struct select_grant grants[GRANTS_MAX];
    size_t n_grants;
    bool narrows;
};

/* Whether the set, with all it implies, has the scope. */
static bool has(const struct world *w, const bool *members, int scope)
{
    for (int i = 0; i < SCOPES; i++)
        if (members[i] && w->reaches[i][scope])
            return true;
    return false;
}

static bool covers(const struct world *w, const struct drawn *d, size_t g)
{
    for (int i = 0; i < SCOPES; i++)
        if (d->asked[i] && !has(w, d->carries[g], i))
            return false;
    return true;
}

static bool token_has(const struct world *w, const struct drawn *d, size_t g, int scope)
{
    return has(w, d->narrows ? d->asked : d->may_carry[g], scope);
}

static bool may_be_given(const struct world *w, const struct drawn *d, size_t g)
{
    for (int i = 0; i < SCOPES; i++)
        if (token_has(w, d, g, i) && d->verdicts[i] == VERDICT_DENY)
            return false;
    return true;
}

/* Lower is better, compared from the front. */
static void rank(const struct world *w, const struct drawn *d, size_t g, uint64_t ret[4])
{
    ret[0] = 0;
    ret[1] = 0;
    for (int i = 0; i < SCOPES; i++) {
        if (!token_has(w, d, g, i))
            continue;
        ret[1]++;
        if (d->verdicts[i] == VERDICT_ASK && !has(w, d->asked, i))
            ret[0] = 1;
    }
    ret[2] = UINT64_MAX - d->grants[g].expires_usec;
    ret[3] = d->grants[g].id;
}

static bool ranks_before(const struct world *w, const struct drawn *d, size_t a, size_t b)
{
    uint64_t x[4], y[4];
    rank(w, d, a, x);
    rank(w, d, b, y);
    for (int i = 0; i < 4; i++)
        if (x[i] != y[i])
            return x[i] < y[i];
    return false;
}

static void draw_case(const struct world *w, struct drawn *d, struct verdicts *v, struct scope_set *asked)
{
    memset(d, 0, sizeof(*d));
    *v = (struct verdicts){SCOPE_SET_EMPTY, SCOPE_SET_EMPTY, SCOPE_SET_EMPTY, SCOPE_SET_EMPTY};
    *asked = draw_set(w, 5, d->asked);
    bool generous = draw(2) == 0;
    for (int i = 0; i < STRANGER; i++) {
        d->verdicts[i] = draw(generous ? 12 : 3) == 0 ? VERDICT_DENY
                         : draw(3) == 0               ? VERDICT_ASK
                                                      : VERDICT_ALLOW;
        if (d->verdicts[i] == VERDICT_ALLOW)
            scope_set_add(&v->allow, w->number[i]);
        else if (d->verdicts[i] == VERDICT_ASK)
            scope_set_add(&v->ask, w->number[i]);
    }
    d->verdicts[STRANGER] = VERDICT_DENY;
    d->narrows = draw(8) == 0;
    d->n_grants = draw(GRANTS_MAX + 1);
    for (size_t g = 0; g < d->n_grants; g++) {
        bool more[SCOPES];
        struct scope_set extra = draw_set(w, 8, more);
        d->grants[g].carries = draw_set(w, 2 + draw(3), d->carries[g]);
        if (draw(2) == 0) { /* often one that can serve */
            d->grants[g].carries = scope_set_union(d->grants[g].carries, *asked);
            for (int i = 0; i < SCOPES; i++)
                d->carries[g][i] = d->carries[g][i] || d->asked[i];
        }
        d->grants[g].may_carry = scope_set_union(d->grants[g].carries, extra);
        for (int i = 0; i < SCOPES; i++)
            d->may_carry[g][i] = d->carries[g][i] || more[i];
        d->grants[g].id = 100 - g * 7 % 5;
        d->grants[g].expires_usec = draw(3);
    }
}

struct tally {
    unsigned served, login, narrower;
};

static void check_case(const struct world *w, const struct drawn *d, const struct verdicts *v,
                       struct scope_set asked, struct tally *tally)
{
    size_t index = SIZE_MAX;
    struct scope_set may_carry = SCOPE_SET_EMPTY;
    int r = select_grant(w->c, d->grants, d->n_grants, asked, v, d->narrows, &index, &may_carry);

    bool any_covers = false;
    size_t best = SIZE_MAX;
    for (size_t g = 0; g < d->n_grants; g++) {
        if (!covers(w, d, g))
            continue;
        any_covers = true;
        if (may_be_given(w, d, g) && (best == SIZE_MAX || ranks_before(w, d, g, best)))
            best = g;
    }

    if (r == 0) {
        tally->served++;
        /* I1 on its own, before anything else: nothing in it that is neither allowed nor to be asked for. */
        assert_true(index < d->n_grants);
        for (int i = 0; i < SCOPES; i++)
            if (token_has(w, d, index, i))
                assert_int_not_equal(d->verdicts[i], VERDICT_DENY);
        for (int i = 0; i < SCOPES; i++)
            assert_int_equal(scope_set_has(&may_carry, w->number[i]), token_has(w, d, index, i));
        assert_true(covers(w, d, index));
        assert_int_equal(index, best);
        return;
    }
    assert_int_equal(best, SIZE_MAX);
    assert_int_equal(r, any_covers ? SELECT_E_NARROWER_LOGIN : SELECT_E_LOGIN);
    tally->login += r == SELECT_E_LOGIN;
    tally->narrower += r == SELECT_E_NARROWER_LOGIN;
    if (r == SELECT_E_NARROWER_LOGIN) /* what is asked for, without what it implies anyway */
        for (int i = 0; i < SCOPES; i++) {
            bool implied = false;
            for (int k = 0; k < SCOPES; k++)
                implied = implied || (k != i && d->asked[k] && w->reaches[k][i]);
            assert_int_equal(scope_set_has(&may_carry, w->number[i]), d->asked[i] && !implied);
        }
}

static void test_against_plain_recomputation(void **state)
{
    (void)state;
    struct tally tally = {0, 0, 0};
    random_state = UINT64_C(0x9E3779B97F4A7C15);
    for (unsigned i = 0; i < WORLDS; i++) {
        struct world w;
        world_draw(&w);
        for (unsigned k = 0; k < CASES; k++) {
            struct drawn d;
            struct verdicts v;
            struct scope_set asked;
            draw_case(&w, &d, &v, &asked);
            check_case(&w, &d, &v, asked, &tally);
        }
        catalogue_free(w.c);
    }
    print_message("%u cases: %u served, %u need a login, %u a narrower one\n", WORLDS * CASES, tally.served,
                  tally.login, tally.narrower);
    /* A test of one outcome only would be none. */
    assert_true(tally.served > 10000 && tally.login > 10000 && tally.narrower > 10000);
}

/* --- the hot path ----------------------------------------------------------------------------------------
 */

static void test_is_quick(void **state)
{
    (void)state;
    _cleanup_(catalogue_freep) struct catalogue *c = make_catalogue(scopes);
    _cleanup_(table_freep) struct table *t = NULL;
    assert_int_equal(table_new(&t), 0);
    for (unsigned i = 0; i < 500; i++) {
        char text[64];
        int n = snprintf(text, sizeof(text), "[user:app%u]\nallow = lib play\n", i);
        assert_int_equal(table_add_file(t, c, "file", text, (size_t)n), 0);
    }
    struct select_grant grant = {1, set_of(c, "lib play"), set_of(c, "lib play"), 0};
    struct scope_set asked = set_of(c, "read");
    const unsigned rounds = 20000;
    uint64_t start = boottime_usec();
    for (unsigned i = 0; i < rounds; i++) {
        struct verdicts v;
        size_t index;
        struct scope_set may_carry;
        decide_for(t, c, "user:app333", VERDICT_DENY, &v);
        assert_int_equal(select_grant(c, &grant, 1, asked, &v, false, &index, &may_carry), 0);
    }
    uint64_t taken = boottime_usec() - start;
    print_message("%.2f us for a decision and a selection\n", (double)taken / rounds);
    /* A few microseconds are promised; the bound leaves room for sanitizers and a busy machine. */
    assert_true(taken < (uint64_t)rounds * 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_against_plain_recomputation),
        cmocka_unit_test(test_is_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
