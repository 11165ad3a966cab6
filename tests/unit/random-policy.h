/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Draws worlds for test-policy-random: catalogues, tables, callers, answers and grants. A world is drawn as
 * the naive re-computation knows it (tests/unit/naive-policy.h), and the texts that the real parsers read are
 * written from that, in the many ways in which the same can be written. Small, so that sets collide often. */

#include "tests/unit/naive-policy.h"

#define FILES_MAX 4
#define TEXT_MAX 8192

struct random_text {
    char text[TEXT_MAX];
    size_t n;
};

struct random_files {
    struct random_text files[FILES_MAX];
    bool is_unreadable[FILES_MAX];
    size_t n;
};

extern const char *const random_apps[N_APPS];
extern const char *const random_accounts[N_ACCOUNTS];
extern const struct random_user {
    const char *name;
    unsigned uid;
    bool is_system;
} random_users[N_USERS];

void random_seed(uint64_t seed);

/* Fills implies[] and the text of a catalogue with scopes s0, s1, ... */
void random_catalogue(struct naive_world *w, struct random_text *ret);
/* Fills the rest, and the table's files. */
void random_table(struct naive_world *w, struct random_files *ret);
void random_case(const struct naive_world *w, struct naive_case *ret);
