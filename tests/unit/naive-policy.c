/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/naive-policy.h"

#include <string.h>

/* --- scopes -----------------------------------------------------------------------------------------------
 */

static void visit(struct naive_world *w, int from, int at)
{
    w->reaches[from][at] = true;
    for (int next = 0; next < N_SCOPES; next++)
        if (w->implies[at][next])
            visit(w, from, next);
}

void naive_prepare(struct naive_world *w)
{
    for (int i = 0; i < N_SCOPES; i++)
        visit(w, i, i);
}

bool naive_holds(const struct naive_world *w, const bool *members, int scope)
{
    for (int i = 0; i < N_SCOPES; i++)
        if (members[i] && w->reaches[i][scope])
            return true;
    return false;
}

/* Whether holding the scope would be holding a member. */
static bool touches(const struct naive_world *w, const bool *members, int scope)
{
    for (int i = 0; i < N_SCOPES; i++)
        if (members[i] && w->reaches[scope][i])
            return true;
    return false;
}

/* --- the table --------------------------------------------------------------------------------------------
 */

static bool fits(const struct naive_section *s, const struct naive_case *c)
{
    if (s->app != c->caller.app)
        return false;
    if (s->has_users && !s->users[c->caller.user])
        return false;
    return !s->has_accounts || c->account < 0 || s->accounts[c->account];
}

/* Who is not surely meant is not given anything, but may be denied it. */
static bool denies(const struct naive_section *s, const struct naive_case *c)
{
    if (!fits(s, c))
        return false;
    return !s->exe || strcmp(c->caller.exe, "") == 0 || strcmp(c->caller.exe, s->exe) == 0;
}

static bool grants(const struct naive_section *s, const struct naive_case *c)
{
    if (!fits(s, c))
        return false;
    if (s->is_of_unit && !s->has_users && !c->caller.is_system)
        return false;
    if (s->exe && strcmp(c->caller.exe, s->exe) != 0)
        return false;
    if (c->caller.strength < s->strength)
        return false;
    if (s->needs_pinned && !c->caller.is_pinned)
        return false;
    return c->now < s->expires;
}

enum said { SAID_NOTHING, SAID_DENY, SAID_ASK, SAID_ALLOW };

static enum said table_says(const struct naive_world *w, const struct naive_case *c, int scope)
{
    bool denied = false, asked = false, allowed = false, within_asked = false, held = false;
    for (size_t i = 0; i < w->n_sections; i++) {
        const struct naive_section *s = &w->sections[i];
        denied = denied || (denies(s, c) && touches(w, s->deny, scope));
        if (!grants(s, c)) {
            held = held || (denies(s, c) && touches(w, s->ask, scope));
            continue;
        }
        asked = asked || touches(w, s->ask, scope);
        allowed = allowed || naive_holds(w, s->allow, scope);
        within_asked = within_asked || naive_holds(w, s->ask, scope);
    }
    if (w->is_shut[c->caller.app] || denied)
        return SAID_DENY;
    if (asked || (allowed && held))
        return SAID_ASK;
    if (allowed)
        return SAID_ALLOW;
    if (within_asked)
        return SAID_ASK;
    return w->is_unreadable ? SAID_DENY : SAID_NOTHING;
}

static enum naive_verdict table_verdict(const struct naive_case *c, enum said said)
{
    switch (said) {
    case SAID_DENY:
        return NAIVE_DENY;
    case SAID_ASK:
        return NAIVE_ASK;
    case SAID_ALLOW:
        return NAIVE_ALLOW;
    case SAID_NOTHING:
        break;
    }
    return c->default_asks ? NAIVE_ASK : NAIVE_DENY;
}

/* --- consent and polkit -----------------------------------------------------------------------------------
 */

static enum naive_verdict apply_consent(const struct naive_world *w, const struct naive_case *c, int scope)
{
    if (c->consent_denies_all || touches(w, c->consent_denies, scope))
        return NAIVE_DENY;
    if (c->table[scope] == NAIVE_ASK && naive_holds(w, c->consent_allows, scope))
        return NAIVE_ALLOW;
    return c->table[scope];
}

/* polkit is not asked about root, for whom only allow counts; and a denial is final. */
static enum naive_polkit apply_polkit(const struct naive_case *c, int scope)
{
    if (c->verdicts[scope] == NAIVE_DENY)
        return NAIVE_NO;
    if (c->caller.is_root)
        return c->verdicts[scope] == NAIVE_ALLOW ? NAIVE_YES : NAIVE_NO;
    return c->polkit[scope];
}

void naive_judge(const struct naive_world *w, struct naive_case *c)
{
    for (int i = 0; i < N_SCOPES; i++) {
        /* Nobody is given a scope that no catalogue lists. */
        enum said said = i == STRANGER ? SAID_DENY : table_says(w, c, i);
        c->mentioned[i] = i != STRANGER && said != SAID_NOTHING;
        c->table[i] = table_verdict(c, said);
        c->verdicts[i] = apply_consent(w, c, i);
        c->answers[i] = apply_polkit(c, i);
    }
}

/* The worst answer about any scope that holding the members holds. */
static enum naive_polkit answer_all(const struct naive_world *w, const struct naive_case *c,
                                    const bool *members)
{
    enum naive_polkit worst = NAIVE_YES;
    for (int i = 0; i < N_SCOPES; i++)
        if (naive_holds(w, members, i) && c->answers[i] < worst)
            worst = c->answers[i];
    return worst;
}

/* --- grants -----------------------------------------------------------------------------------------------
 */

static void get_token_scopes(const struct naive_grant *g, bool *ret)
{
    for (int i = 0; i < N_SCOPES; i++)
        ret[i] = g->carries[i] || g->may_carry[i];
}

static bool covers(const struct naive_world *w, const struct naive_case *c, const struct naive_grant *g)
{
    for (int i = 0; i < N_SCOPES; i++)
        if (c->asked[i] && !naive_holds(w, g->carries, i))
            return false;
    return true;
}

bool naive_may_hold(const struct naive_world *w, const struct naive_case *c, const struct naive_grant *g)
{
    bool scopes[N_SCOPES];
    get_token_scopes(g, scopes);
    return answer_all(w, c, scopes) != NAIVE_NO;
}

/* Lower is better, compared from the front. */
static void rank(const struct naive_world *w, const struct naive_case *c, const struct naive_grant *g,
                 uint64_t *ret)
{
    bool scopes[N_SCOPES];
    get_token_scopes(g, scopes);
    ret[0] = 0;
    ret[1] = 0;
    for (int i = 0; i < N_SCOPES; i++) {
        if (!naive_holds(w, scopes, i))
            continue;
        ret[1]++;
        if (!naive_holds(w, c->asked, i) && c->verdicts[i] != NAIVE_ALLOW)
            ret[0] = 1;
    }
    ret[2] = UINT64_MAX - g->expires;
    ret[3] = g->id;
}

static bool is_better(const struct naive_world *w, const struct naive_case *c, size_t a, size_t b)
{
    uint64_t x[4], y[4];
    rank(w, c, &c->grants[a], x);
    rank(w, c, &c->grants[b], y);
    for (int i = 0; i < 4; i++)
        if (x[i] != y[i])
            return x[i] < y[i];
    return false;
}

enum naive_outcome naive_get_token(const struct naive_world *w, const struct naive_case *c, size_t *ret_grant)
{
    if (answer_all(w, c, c->asked) == NAIVE_NO)
        return NAIVE_DENIED;

    bool is_covered = false, is_found = false;
    for (size_t g = 0; g < c->n_grants; g++) {
        if (!covers(w, c, &c->grants[g]))
            continue;
        is_covered = true;
        if (!naive_may_hold(w, c, &c->grants[g]))
            continue;
        if (!is_found || is_better(w, c, g, *ret_grant))
            *ret_grant = g;
        is_found = true;
    }
    if (!is_found)
        return is_covered ? NAIVE_NARROWER_LOGIN : NAIVE_LOGIN;
    bool scopes[N_SCOPES];
    get_token_scopes(&c->grants[*ret_grant], scopes);
    return answer_all(w, c, scopes) == NAIVE_YES ? NAIVE_TOKEN : NAIVE_CONSENT;
}
