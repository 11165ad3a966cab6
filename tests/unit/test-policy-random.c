/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The whole of policy/ at random, against the naive re-computation: catalogue, table, consent, what polkit
 * answers, and the choice of a login, put together as GetToken puts them together.
 *
 * A failure prints the seed and the world. The same seed draws the same worlds: LWA_TEST_SEED=... */

#include "tests/unit/unit.h"

#include "policy/consent.h"
#include "policy/select.h"
#include "tests/unit/random-policy.h"

#include <string.h>
#include <sys/random.h>

#ifdef __SANITIZE_ADDRESS__
#define WORLDS 5000
#else
#define WORLDS 20000
#endif
#define CASES 25 /* in each */

struct world {
    struct naive_world naive;
    struct random_text catalogue_text;
    struct random_files files;
    struct catalogue *catalogue;
    struct table *table;
    int number[N_SCOPES];
    uint64_t seed;
    unsigned index;
};

struct tally {
    unsigned cases;
    unsigned outcomes[NAIVE_OUTCOMES];
    unsigned by_consent, by_other_grant, explained;
};

/* --- making -----------------------------------------------------------------------------------------------
 */

static void make_catalogue(struct world *w)
{
    struct ini_problem problem = {0};
    random_catalogue(&w->naive, &w->catalogue_text);
    assert_int_equal(catalogue_new(NULL, &w->catalogue), 0);
    assert_int_equal(
        catalogue_add_text(w->catalogue, w->catalogue_text.text, w->catalogue_text.n, true, &problem), 0);
    assert_int_equal(catalogue_seal(w->catalogue, &problem), 0);
    for (int i = 0; i < N_SCOPES; i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "s%d", i);
        w->number[i] = catalogue_intern(w->catalogue, name);
        assert_true(w->number[i] >= 0);
    }
}

static void make_table(struct world *w)
{
    random_table(&w->naive, &w->files);
    assert_int_equal(table_new(&w->table), 0);
    for (size_t i = 0; i < w->files.n; i++) {
        const struct random_text *file = &w->files.files[i];
        char name[] = {(char)('a' + i), '\0'};
        assert_int_equal(table_add_file(w->table, w->catalogue, name,
                                        w->files.is_unreadable[i] ? NULL : file->text, file->n),
                         0);
    }
}

static struct scope_set set_of(const struct world *w, const bool *members)
{
    struct scope_set set = SCOPE_SET_EMPTY;
    for (int i = 0; i < N_SCOPES; i++)
        if (members[i])
            scope_set_add(&set, w->number[i]);
    return set;
}

/* --- what went wrong --------------------------------------------------------------------------------------
 */

static void print_members(const char *what, const bool *members)
{
    print_error("%s", what);
    for (int i = 0; i < N_SCOPES; i++)
        if (members[i])
            print_error(" s%d", i);
    print_error("\n");
}

static void print_world(const struct world *w, const struct naive_case *c)
{
    const struct naive_caller *caller = &c->caller;
    print_error("%s\n", w->catalogue_text.text);
    for (size_t i = 0; i < w->files.n; i++)
        print_error("--- file %c: %s\n", (char)('a' + i),
                    w->files.is_unreadable[i] ? "unreadable" : w->files.files[i].text);
    print_error(
        "--- %s of user %u, program \"%s\", strength %d, %spinned; account %d, now %lld, default %s\n",
        random_apps[caller->app], random_users[caller->user].uid, caller->exe, caller->strength,
        caller->is_pinned ? "" : "not ", c->account, (long long)c->now, c->default_asks ? "ask" : "deny");
    print_members(c->consent_denies_all ? "consent denies all, and" : "consent denies", c->consent_denies);
    print_members("consent allows", c->consent_allows);
    print_members("asked", c->asked);
    for (int i = 0; i < N_SCOPES; i++)
        print_error("s%d: verdict %d, polkit %d\n", i, (int)c->verdicts[i], (int)c->polkit[i]);
    for (size_t g = 0; g < c->n_grants; g++) {
        print_members("grant carries", c->grants[g].carries);
        print_members("  may carry", c->grants[g].may_carry);
    }
}

static void check(const struct world *w, const struct naive_case *c, bool is_true, const char *what)
{
    if (is_true)
        return;
    print_world(w, c);
    fail_msg("%s; world %u of LWA_TEST_SEED=%llu", what, w->index, (unsigned long long)w->seed);
}

/* --- the real thing ---------------------------------------------------------------------------------------
 */

static struct table_query query_of(const struct naive_case *c)
{
    const struct random_user *user = &random_users[c->caller.user];
    return (struct table_query){
        .subject =
            {
                .app = random_apps[c->caller.app],
                .user = user->name,
                .exe = c->caller.exe,
                .uid = user->uid,
                .strength = (enum subject_strength)c->caller.strength,
                .is_pinned = c->caller.is_pinned,
            },
        .account = c->account < 0 ? "" : random_accounts[c->account],
        .now_sec = c->now,
        .fallback = c->default_asks ? VERDICT_ASK : VERDICT_DENY,
    };
}

/* What polkit says no to, of these; false if any is challenged. */
static bool ask_polkit(const struct world *w, const struct naive_case *c, struct scope_set scopes,
                       struct scope_set *refused)
{
    bool is_challenged = false;
    for (int i = 0; i < N_SCOPES; i++) {
        if (!scope_set_has(&scopes, w->number[i]))
            continue;
        if (c->polkit[i] == NAIVE_NO)
            scope_set_add(refused, w->number[i]);
        is_challenged = is_challenged || c->polkit[i] == NAIVE_CHALLENGE;
    }
    return !is_challenged;
}

/* As broker/gettoken.c: what was asked first, then logins until polkit refuses nothing that one may carry. */
static enum naive_outcome get_token(const struct world *w, const struct naive_case *c,
                                    struct verdicts verdicts, size_t *ret_grant)
{
    bool is_root = c->caller.is_root;
    if (is_root)
        verdicts.ask = SCOPE_SET_EMPTY;
    struct scope_set asked = set_of(w, c->asked), refused = SCOPE_SET_EMPTY;
    struct scope_set expanded = catalogue_expand(w->catalogue, asked);
    if (!is_root)
        (void)ask_polkit(w, c, expanded, &refused);
    if (verdicts_least(&verdicts, expanded) == VERDICT_DENY || !scope_set_is_empty(refused))
        return NAIVE_DENIED;

    struct select_grant grants[GRANTS_MAX];
    for (size_t g = 0; g < c->n_grants; g++)
        grants[g] = (struct select_grant){
            .id = c->grants[g].id,
            .carries = set_of(w, c->grants[g].carries),
            .may_carry = set_of(w, c->grants[g].may_carry),
            .expires_usec = c->grants[g].expires,
        };
    for (int turn = 0; turn <= N_SCOPES; turn++) { /* each refuses at least one scope more */
        struct scope_set may_carry = SCOPE_SET_EMPTY;
        int r =
            select_grant(w->catalogue, grants, c->n_grants, asked, &verdicts, false, ret_grant, &may_carry);
        if (r != 0)
            return r == SELECT_E_LOGIN ? NAIVE_LOGIN : NAIVE_NARROWER_LOGIN;
        bool is_yes = is_root || ask_polkit(w, c, may_carry, &refused);
        if (scope_set_is_empty(refused))
            return is_yes ? NAIVE_TOKEN : NAIVE_CONSENT;
        verdicts.allow = scope_set_minus(verdicts.allow, refused);
        verdicts.ask = scope_set_minus(verdicts.ask, refused);
        refused = SCOPE_SET_EMPTY;
    }
    return NAIVE_OUTCOMES; /* it would never end */
}

/* --- comparing --------------------------------------------------------------------------------------------
 */

static void check_verdicts(const struct world *w, const struct naive_case *c, const struct verdicts *v,
                           const enum naive_verdict *expected, const char *what)
{
    for (int i = 0; i < N_SCOPES; i++)
        check(w, c, (int)verdicts_get(v, w->number[i]) == (int)expected[i], what);
    check(w, c, scope_set_is_empty(scope_set_intersection(v->allow, v->ask)), "allow and ask overlap");
}

static void check_mentioned(const struct world *w, const struct naive_case *c, const struct verdicts *v)
{
    for (int i = 0; i < N_SCOPES; i++)
        check(w, c, scope_set_has(&v->mentioned, w->number[i]) == c->mentioned[i], "who decided differs");
}

/* The line of a text, 1-based, and the number of the last line up to it that is the head of a section. */
static const char *get_line(const char *text, unsigned line, unsigned *ret_head)
{
    *ret_head = 0;
    for (unsigned i = 1; text; i++) {
        if (text[0] == '[')
            *ret_head = i;
        if (i == line)
            return text;
        text = strchr(text, '\n');
        text = text ? text + 1 : NULL;
    }
    return "";
}

static bool line_has(const char *line, const char *word)
{
    const char *found = strstr(line, word);
    return found && found < line + strcspn(line, "\n");
}

/* The line that is said to have decided names that scope, under that key, in a section of this app; and it
 * does decide. */
static bool is_true_entry(const struct world *w, const struct naive_case *c, const struct table_finding *f,
                          int scope)
{
    int named = 0;
    while (named < N_LISTED && w->number[named] != f->scope)
        named++;
    bool is_within = named < N_LISTED && w->naive.reaches[named][scope];
    bool is_around = named < N_LISTED && w->naive.reaches[scope][named];
    if (!(f->key == VERDICT_DENY ? is_around : f->key == VERDICT_ALLOW ? is_within : is_within || is_around))
        return false;
    if (f->key != f->verdict || f->place.file[0] < 'a' || f->place.file[0] >= 'a' + (int)w->files.n)
        return false;

    const char *text = w->files.files[f->place.file[0] - 'a'].text;
    unsigned head, ignored;
    const char *line = get_line(text, f->place.line, &head);
    char name[8], section[128];
    (void)snprintf(name, sizeof(name), "s%d", named);
    (void)snprintf(section, sizeof(section), "[%s]", f->place.section);
    return line_has(line, name) && line_has(get_line(text, head, &ignored), section) &&
           strncmp(f->place.section, random_apps[c->caller.app], strlen(random_apps[c->caller.app])) == 0;
}

static bool is_true_finding(const struct world *w, const struct naive_case *c, const struct table_finding *f,
                            int scope)
{
    switch (f->source) {
    case TABLE_FALLBACK:
        return !c->mentioned[scope];
    case TABLE_ENTRY:
        return c->mentioned[scope] && !w->naive.is_shut[c->caller.app] && is_true_entry(w, c, f, scope);
    case TABLE_MALFORMED:
        return w->naive.is_shut[c->caller.app];
    case TABLE_UNREADABLE:
        return w->naive.is_unreadable && c->mentioned[scope] && f->verdict == VERDICT_DENY;
    case TABLE_UNLISTED:
        return scope == STRANGER;
    }
    return false;
}

/* Explaining reads the table by other code than deciding does. */
static void check_explained(const struct world *w, const struct naive_case *c,
                            const struct table_query *query, struct tally *tally)
{
    for (int i = 0; i < N_SCOPES; i++) {
        struct table_finding f;
        table_explain(w->table, w->catalogue, query, w->number[i], &f);
        check(w, c, (int)f.verdict == (int)c->table[i], "the verdict that is explained differs");
        check(w, c, is_true_finding(w, c, &f, i), "the explanation is not true");
        tally->explained += f.source == TABLE_ENTRY;
    }
}

/* I1 on its own, before anything is compared: nothing in the token that this app may not hold. */
static void check_scope_truth(const struct world *w, const struct naive_case *c, const struct naive_grant *g)
{
    for (int i = 0; i < N_SCOPES; i++) {
        if (!naive_holds(&w->naive, g->carries, i) && !naive_holds(&w->naive, g->may_carry, i))
            continue;
        check(w, c, c->verdicts[i] != NAIVE_DENY, "a denied scope was handed out");
        if (c->caller.is_root)
            check(w, c, c->verdicts[i] == NAIVE_ALLOW, "root was handed out what is not allowed");
        else
            check(w, c, c->polkit[i] == NAIVE_YES, "a scope was handed out without polkit's yes");
    }
}

static void check_case(const struct world *w, const struct naive_case *c, struct tally *tally)
{
    struct table_query query = query_of(c);
    struct consent_answers answers = {
        .allow = set_of(w, c->consent_allows),
        .deny = set_of(w, c->consent_denies),
        .denies_all = c->consent_denies_all,
    };
    struct verdicts v;
    table_decide(w->table, w->catalogue, &query, &v);
    check_verdicts(w, c, &v, c->table, "the table's verdict differs");
    check_mentioned(w, c, &v);
    check_explained(w, c, &query, tally);
    verdicts_apply_consent(w->catalogue, &answers, &v);
    check_verdicts(w, c, &v, c->verdicts, "the verdict after consent differs");

    size_t grant = GRANTS_MAX, expected_grant = GRANTS_MAX;
    enum naive_outcome outcome = get_token(w, c, v, &grant);
    enum naive_outcome expected = naive_get_token(&w->naive, c, &expected_grant);
    if (outcome == NAIVE_TOKEN)
        check_scope_truth(w, c, &c->grants[grant]);
    check(w, c, outcome == expected, "the outcome differs");
    if (outcome >= NAIVE_CONSENT)
        check(w, c, grant == expected_grant, "another login is less");

    tally->cases++;
    tally->outcomes[outcome]++;
    for (int i = 0; i < N_SCOPES && outcome == NAIVE_TOKEN; i++)
        if (c->asked[i] && c->table[i] == NAIVE_ASK && c->verdicts[i] == NAIVE_ALLOW) {
            tally->by_consent++;
            break;
        }
    for (size_t g = 0; g < c->n_grants && outcome == NAIVE_TOKEN; g++)
        if (g != grant && naive_may_hold(&w->naive, c, &c->grants[g])) {
            tally->by_other_grant++;
            break;
        }
}

static uint64_t choose_seed(void)
{
    const char *text = getenv("LWA_TEST_SEED");
    uint64_t seed = 0;
    if (text)
        return strtoull(text, NULL, 10);
    assert_int_equal(getrandom(&seed, sizeof(seed), 0), sizeof(seed));
    return seed >> 1;
}

static void test_against_naive_recomputation(void **state)
{
    (void)state;
    struct tally tally = {0};
    uint64_t seed = choose_seed();
    print_message("LWA_TEST_SEED=%llu\n", (unsigned long long)seed);
    random_seed(seed);
    for (unsigned i = 0; i < WORLDS; i++) {
        struct world w = {.seed = seed, .index = i};
        make_catalogue(&w);
        make_table(&w);
        for (unsigned k = 0; k < CASES; k++) {
            struct naive_case c;
            random_case(&w.naive, &c);
            check_case(&w, &c, &tally);
        }
        table_free(w.table);
        catalogue_free(w.catalogue);
    }
    print_message(
        "%u cases: %u denied, %u need a login, %u a narrower one, %u consent, %u get a token, %u of them by "
        "consent, %u with a choice; %u lines found\n",
        tally.cases, tally.outcomes[NAIVE_DENIED], tally.outcomes[NAIVE_LOGIN],
        tally.outcomes[NAIVE_NARROWER_LOGIN], tally.outcomes[NAIVE_CONSENT], tally.outcomes[NAIVE_TOKEN],
        tally.by_consent, tally.by_other_grant, tally.explained);
    assert_int_equal(tally.cases, WORLDS * CASES);
    /* A test of one outcome only would be none. */
    for (int i = 0; i < NAIVE_OUTCOMES; i++)
        assert_true(tally.outcomes[i] > tally.cases / 50);
    assert_true(tally.by_consent > tally.cases / 100 && tally.by_other_grant > tally.cases / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_naive_recomputation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
