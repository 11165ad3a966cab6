/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The scope catalogue: which scopes exist, what a person is told about each, which polkit action decides
 * it, and which implies which. It is data (policy/scopes.conf, and an administrator's scopes.d), never
 * guessed from the text of a scope. Pure code: it is handed texts, it opens nothing.
 *
 *     [music::library]
 *     description = read and change your Amazon Music library
 *     implies = music::library:read
 *     family = music
 *
 * Life: catalogue_new() -> catalogue_add_text() for each file -> catalogue_seal() -> look-ups. A catalogue
 * made with a previous one keeps that one's numbers: a scope that vanished from the files keeps its number
 * but is no longer listed, and sets made before stay valid. */

#include "policy/scope.h"
#include "util/cleanup.h"
#include "util/ini.h"
#include "util/strv.h"

struct catalogue;

enum { CATALOGUE_E_MALFORMED = 1 };

int catalogue_new(const struct catalogue *previous, struct catalogue **ret) _must_check_;
void catalogue_free(struct catalogue *c);
DEFINE_CLEANUP(struct catalogue, catalogue_free);

/* Keys of a section: `description` (needed), `implies` (scopes separated by spaces or commas), `family`
 * (`other` if left out), `scope_data`. Descriptions may be continued on indented lines, `implies` also given
 * again.
 *
 * Adds the scopes of one file. `shipped` ones get a polkit action of their own, the others share
 * org.lwabroker.scope.other. CATALOGUE_E_MALFORMED with *ret_problem: not INI, an unknown key, an invalid
 * or doubled scope, a missing description, too many. After a failure the catalogue is only good to free. */
int catalogue_add_text(struct catalogue *c, const char *text, size_t n, bool shipped,
                       struct ini_problem *ret_problem) _must_check_;

/* Ends the reading: every implied scope must exist, nothing may imply itself round a circle, no two action
 * ids may be the same. */
int catalogue_seal(struct catalogue *c, struct ini_problem *ret_problem) _must_check_;

/* One scope by its number. The strings live as long as the catalogue. */
struct scope_info {
    const char *name;
    const char *description; /* completes "wants to: ..." */
    const char *family;      /* groups scopes for people: "music", "alexa", ...; [a-z0-9-] */
    const char *action_id;   /* e.g. org.lwabroker.scope.music.library.read */
    const char *scope_data;  /* what the provider wants with it: a hint for people, "" for nothing */
    bool listed;             /* in the files: only listed scopes can be asked for or allowed */
    bool shipped;
};

unsigned catalogue_count(const struct catalogue *c);
const struct scope_info *catalogue_get(const struct catalogue *c, int index);

/* All listed scopes. */
struct scope_set catalogue_listed(const struct catalogue *c);

/* The number of a listed scope, or -1. */
int catalogue_find(const struct catalogue *c, const char *name);

/* The number of any scope ever met, listed or not, or -1. */
int catalogue_find_known(const struct catalogue *c, const char *name);

/* The listed scope that a name is likely to have meant; NULL if none is like it. */
const char *catalogue_nearest(const struct catalogue *c, const char *name);

/* The number of any scope ever met; a name that is new gets a number and is not listed (a grant may carry a
 * scope that no catalogue lists: it counts as carried and nothing allows it). -EINVAL for an invalid token,
 * -ENOSPC when all numbers are taken. */
int catalogue_intern(struct catalogue *c, const char *name) _must_check_;

/* The set and all that it implies; a canonical set holds nothing that another member implies. */
struct scope_set catalogue_expand(const struct catalogue *c, struct scope_set set);
struct scope_set catalogue_reduce(const struct catalogue *c, struct scope_set set);
/* Everything that implies a member, the members included: what a denial of them takes away. */
struct scope_set catalogue_expand_up(const struct catalogue *c, struct scope_set set);

/* Appends the names of the members, sorted. */
int catalogue_names(const struct catalogue *c, struct scope_set set, struct strv *names) _must_check_;
/* The names, sorted, joined by single spaces: the form of RFC 6749 and of the store. NULL: out of memory. */
char *catalogue_join(const struct catalogue *c, struct scope_set set);
/* Interns the space-separated names. 0 or a negative errno as catalogue_intern(). */
int catalogue_split(struct catalogue *c, const char *joined, struct scope_set *ret) _must_check_;
