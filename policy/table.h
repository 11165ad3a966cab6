/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The administrator's table, grants.d: which app may hold which scope. Pure code: it is handed texts.
 *
 *     [user:musicd exe:/usr/bin/player]
 *     description = the music player
 *     allow = music::library:read music::playback
 *     deny = profile
 *     accounts = main
 *     expires = 2027-01-31
 *
 * A section's head is an identity (policy/app-name.h), compared exactly, and perhaps a program. Values are
 * lists, separated by blanks or commas; `allow`, `ask`, `deny`, `accounts` and `user` may be given again or
 * continued on indented lines. What holds is the union over all sections that fit, of one file or of several:
 *
 * - A section fits if the app is its own, and so are the program (`exe:`), the user (`user`) and the account
 *   (`accounts`) where it names any. A section of a unit that names no user can only deny to a user that
 *   is not the system's; so can one that names a program, where it is not known which program it is.
 * - Of a section that fits, `allow` and `ask` give only while `require_strength` and `require_pinned` are met
 *   and `expires` is not over. Its `deny` counts always, and its `ask` keeps what others allow from being
 *   given without asking: to know less of who asks never widens anything.
 *
 * A malformed file denies what it would have granted: every identity that any line of it names is denied
 * everything until it is mended, whatever the other files say and whichever program, user or account its
 * lines meant. An unknown key and a scope that no catalogue lists make a file malformed: it may be a denial
 * with a typing error in it. A file that could not be read at all (named with a NULL text) may have held a
 * denial for anyone: what no other file mentions is then denied, and counts as decided by the table. */

#include "policy/catalogue.h"
#include "policy/subject.h"
#include "util/strv.h"

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

/* Says what is wrong with a file, or the folder, that nothing can be read from: the start of a sentence. */
int table_add_unreadable(struct table *t, const char *file, const char *reason) _must_check_;

/* The number of identities that the table speaks of. */
size_t table_count_apps(const struct table *t);
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
    int64_t now_sec;       /* wall clock, for `expires`; INT64_MAX where it is not to be trusted */
    enum verdict fallback; /* ask or deny: for what the table does not mention */
};

/* For scope s, first that fits: deny if the app is denied s or anything s implies; ask if it is to be asked
 * for s or anything s implies; allow if it is allowed s or anything that implies s; ask if it is to be asked
 * for anything that implies s; else `fallback`. An unlisted scope is always denied. What a section that may
 * only deny would ask for is asked for where it would be allowed. */
void table_decide(const struct table *t, const struct catalogue *c, const struct table_query *query,
                  struct verdicts *ret);

/* Whether a section names this app for this user: what decides if the unit that a person's process runs in
 * names the app, where else its user would. Also true where a section may have been lost to a mistake. */
bool table_speaks_of(const struct table *t, const char *app, const struct subject *subject);

/* --- why ----------------------------------------------------------------------------------------------- */

enum table_source {
    TABLE_FALLBACK,   /* nothing of the table: the default */
    TABLE_ENTRY,      /* a line of a section */
    TABLE_MALFORMED,  /* a malformed file names the app */
    TABLE_UNREADABLE, /* some file could not be read, and no other one mentions the scope */
    TABLE_UNLISTED,   /* the scope is in no catalogue */
};

/* Why a section, or all but its denials, does not count. */
enum table_condition {
    TABLE_CONDITION_NONE,
    TABLE_CONDITION_EXE,
    TABLE_CONDITION_USER, /* also: a unit's section without `user`, and a user that is not the system's */
    TABLE_CONDITION_ACCOUNTS,
    TABLE_CONDITION_STRENGTH,
    TABLE_CONDITION_PINNED,
    TABLE_CONDITION_EXPIRES,
};

const char *table_source_name(enum table_source source);          /* "default", "entry", "malformed", ... */
const char *table_condition_name(enum table_condition condition); /* "", "exe", "user", ..., "expires" */

/* A place in a file. The strings are the table's, valid UTF-8. */
struct table_place {
    const char *file;    /* "" for none */
    const char *section; /* what stands between the brackets; "" for none */
    unsigned line;       /* 1-based; 0 for none or for the file as a whole */
};

struct table_finding {
    enum verdict verdict; /* as table_decide() has it */
    enum table_source source;
    struct table_place place; /* the line that decided; of a malformed file the mistake */
    enum verdict key;         /* for TABLE_ENTRY: under which key it stands */
    int scope;                /* for TABLE_ENTRY: the scope that stands there; implies, or is implied by, the
                                 one asked about, or is that; else -1 */
    /* The first section that has an entry for the scope which does not count; where the condition stands. */
    enum table_condition unmet;
    struct table_place unmet_place;
};

/* Which line decided this scope. Reads the same sections as table_decide() by other code, slower. */
void table_explain(const struct table *t, const struct catalogue *c, const struct table_query *query,
                   int scope, struct table_finding *ret);

/* What the administrator calls this app ("the music player"): the first description of a section that fits
 * app, program and user. NULL for none. */
const char *table_description(const struct table *t, const struct subject *subject);

/* When the next section runs out, after now_sec, on the wall clock; 0 for never. */
int64_t table_next_expiry(const struct table *t, int64_t now_sec);

/* --- the sections themselves --------------------------------------------------------------------------- */

/* The strings and lists are the table's. */
struct table_section {
    struct table_place place; /* the head */
    const char *app;
    const char *exe;                /* "" for any */
    const char *description;        /* "" for none */
    const struct strv *users;       /* names and numbers; empty: any, but of a unit only system users */
    const struct strv *accounts;    /* ids; empty: any */
    enum subject_strength strength; /* at least; STRENGTH_ASSERTED where none is required */
    bool is_pinned;                 /* required to be */
    int64_t expires_sec;            /* the first second that is too late; 0 for never */
    bool is_shut;                   /* a malformed file names the app: nothing of it counts */
    /* With what they stand for, by the rules of table_decide(); not yet taken from each other, since other
     * sections may add to each. */
    struct scope_set deny, ask, allow;
};

/* Sorted by app; those of one app as they stand in the files. An app that only malformed files name has none.
 */
size_t table_count_sections(const struct table *t);
void table_get_section(const struct table *t, size_t i, struct table_section *ret);

/* --- verdicts ------------------------------------------------------------------------------------------ */

enum verdict verdicts_get(const struct verdicts *v, int scope);
/* The least verdict over a set: the set should be expanded. VERDICT_ALLOW for the empty set. */
enum verdict verdicts_least(const struct verdicts *v, struct scope_set set);
