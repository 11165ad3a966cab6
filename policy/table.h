/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The administrator's table, grants.d: which app may hold which scope. Pure code: it is handed texts.
 *
 *     [user:musicd]
 *     description = the music player
 *     allow = music::library:read music::playback
 *     ask = music::library
 *     deny = profile
 *
 * The section is an identity (`snap:`, `unit:`, `flatpak:`, `user:` or `uid:`), compared exactly. Values are
 * scopes separated by spaces or commas; a key may be given again or continued on indented lines. Sections for
 * one identity, in one file or several, add up.
 *
 * A malformed file denies what it would have granted: every identity that any line of it names is denied
 * everything until it is mended, whatever the other files say. A scope that no catalogue lists makes a file
 * malformed: it may be a denial with a typing error in it. A file that could not be read at all (named with a
 * NULL text) may have held a denial for anyone: what no other file mentions is then denied, and counts as
 * decided by the table. */

#include "policy/catalogue.h"
#include "policy/subject.h"

#include <stdint.h>

struct table;

enum verdict { VERDICT_DENY, VERDICT_ASK, VERDICT_ALLOW }; /* the lesser wins */

const char *verdict_name(enum verdict verdict); /* "deny", "ask", "allow" */

struct table_problem {
    char *file;
    struct ini_problem problem;
};

int table_new(struct table **ret) _must_check_;
void table_free(struct table *t);
DEFINE_CLEANUP(struct table, table_free);

/* Adds one file. A malformed file is no error here: it is remembered among the problems. 0 or -ENOMEM. */
int table_add_file(struct table *t, const struct catalogue *c, const char *file, const char *text,
                   size_t n) _must_check_;

/* The number of identities that the table speaks of. */
size_t table_count_sections(const struct table *t);
size_t table_count_problems(const struct table *t);
const struct table_problem *table_get_problem(const struct table *t, size_t i);

/* What was decided, as two disjoint sets over all scopes: what is in neither is denied. */
struct verdicts {
    struct scope_set allow;
    struct scope_set ask;
    /* What decided, for the audit trail: a scope is `mentioned` when the table and not the default did, and
     * `consented` when an answer of the account's owner changed what these had said (policy/consent.h). */
    struct scope_set mentioned;
    struct scope_set consented;
};

struct table_query {
    struct subject subject;
    const char *account;   /* id; "" for none: then every `accounts` fits */
    int64_t now_sec;       /* wall clock, for `expires` */
    enum verdict fallback; /* ask or deny: for what the table does not mention */
};

/* For scope s, first that fits: deny if the app is denied s or anything s implies; ask if it is to be asked
 * for s or anything s implies; allow if it is allowed s or anything that implies s; ask if it is to be asked
 * for anything that implies s; else `fallback`. An unlisted scope is always denied. */
void table_decide(const struct table *t, const struct catalogue *c, const struct table_query *query,
                  struct verdicts *ret);

/* Whether a section names this app for this user: what decides if the unit that a person's process runs in
 * names the app, where else its user would. */
bool table_speaks_of(const struct table *t, const char *app, const struct subject *subject);

enum verdict verdicts_get(const struct verdicts *v, int scope);
/* The least verdict over a set: the set should be expanded. VERDICT_ALLOW for the empty set. */
enum verdict verdicts_least(const struct verdicts *v, struct scope_set set);
