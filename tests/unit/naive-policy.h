/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who may have what, once more: written from the text of DESIGN.md and lwa-broker-grants(5) with arrays of
 * bool and loops over everything, to be compared with the real thing. It shares no code with policy/, knows a
 * world as it was drawn and not as it was written to files, and prefers being plain to being quick. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define N_LISTED 8
#define N_SCOPES (N_LISTED + 1)
#define STRANGER N_LISTED /* in no catalogue: only a grant can have it */

#define N_APPS 9
#define N_USERS 5
#define N_ACCOUNTS 3
#define SECTIONS_MAX 16
#define GRANTS_MAX 5

enum naive_verdict { NAIVE_DENY, NAIVE_ASK, NAIVE_ALLOW };
enum naive_polkit { NAIVE_NO, NAIVE_CHALLENGE, NAIVE_YES };
enum naive_outcome {
    NAIVE_DENIED,
    NAIVE_LOGIN,
    NAIVE_NARROWER_LOGIN,
    NAIVE_CONSENT,
    NAIVE_TOKEN,
    NAIVE_OUTCOMES
};

struct naive_section {
    int app;
    bool is_of_unit;
    const char *exe; /* NULL for any */
    bool allow[N_SCOPES], ask[N_SCOPES], deny[N_SCOPES];
    bool has_users, users[N_USERS];
    bool has_accounts, accounts[N_ACCOUNTS];
    int strength;
    bool needs_pinned;
    int64_t expires; /* INT64_MAX for never */
};

struct naive_world {
    bool implies[N_SCOPES][N_SCOPES]; /* as written */
    bool reaches[N_SCOPES][N_SCOPES]; /* what follows, by naive_prepare() */
    struct naive_section sections[SECTIONS_MAX];
    size_t n_sections;
    bool is_shut[N_APPS]; /* named by a malformed file */
    bool is_unreadable;   /* some file could not be read */
};

struct naive_caller {
    int app;
    int user;
    const char *exe; /* "" where it is not known */
    int strength;
    bool is_system; /* its uid */
    bool is_root;
    bool is_pinned;
};

struct naive_grant {
    bool carries[N_SCOPES], may_carry[N_SCOPES];
    uint64_t id, expires;
};

struct naive_case {
    struct naive_caller caller;
    int account; /* -1 for none */
    int64_t now;
    bool default_asks;
    bool consent_allows[N_SCOPES], consent_denies[N_SCOPES], consent_denies_all;
    enum naive_polkit polkit[N_SCOPES];
    bool asked[N_SCOPES];
    struct naive_grant grants[GRANTS_MAX];
    size_t n_grants;
    /* What follows, by naive_judge(). */
    enum naive_verdict table[N_SCOPES];    /* by the table, else by the default */
    bool mentioned[N_SCOPES];              /* whether that was the table */
    enum naive_verdict verdicts[N_SCOPES]; /* after the owner's answers */
    enum naive_polkit answers[N_SCOPES];   /* what comes of it in the end */
};

void naive_prepare(struct naive_world *w);
void naive_judge(const struct naive_world *w, struct naive_case *c);

/* Whether holding the members is holding this scope. */
bool naive_holds(const struct naive_world *w, const bool *members, int scope);
/* Whether this app may be given a token of this grant at all, perhaps after asking. */
bool naive_may_hold(const struct naive_world *w, const struct naive_case *c, const struct naive_grant *g);
enum naive_outcome naive_get_token(const struct naive_world *w, const struct naive_case *c,
                                   size_t *ret_grant);
