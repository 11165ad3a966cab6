/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of the table share: table.c joins and decides, table-read.c reads good files, table-shut.c
 * searches malformed ones, table-explain.c finds the line that decided. Not for others. */

#include "policy/table.h"

/* A scope under `deny`, `ask` or `allow`. */
struct entry {
    enum verdict key;
    int scope;
    unsigned line;
};

#define CONDITIONS ((int)TABLE_CONDITION_EXPIRES + 1)

struct section {
    char *app;         /* the identity */
    char *exe;         /* "" for any program */
    char *text;        /* what stands between the brackets */
    const char *file;  /* the table's */
    char *description; /* NULL for none */
    unsigned line;
    unsigned lines[CONDITIONS]; /* where each condition stands; 0: there is none */
    struct strv users;
    struct strv accounts;
    enum subject_strength strength;
    bool is_pinned;
    int64_t expires_sec;
    struct entry *entries;
    size_t n_entries;
    /* All that implies a scope of `deny` or `ask`, and all that one of `allow` or `ask` implies. */
    struct scope_set deny_up, ask_up, allow_down, ask_down;
};

void section_free(struct section *s);
DEFINE_CLEANUP(struct section, section_free);

/* Owned sections in the order of the files. */
struct sections {
    struct section **items;
    size_t n;
};

void sections_clear(struct sections *sections);
int sections_add(struct sections *sections, struct section *section) _must_check_; /* takes it, on success */

/* What a section may do for a caller. */
enum fit { FIT_NOTHING, FIT_DENY, FIT_ALL };

/* With the first condition that is not met. */
enum fit section_fit(const struct section *s, const struct table_query *query,
                     enum table_condition *ret_unmet);

struct app {
    char *name;
    struct sections sections;
    size_t shut; /* 1 + the index of the problem of the first malformed file that names it; 0: none does */
};

struct apps {
    struct app **items; /* owned, sorted by name */
    size_t n;
};

struct table {
    struct apps apps;
    struct strv files; /* that sections point into */
    struct table_problem *problems;
    size_t n_problems;
    struct section **all; /* n_sections of them, sorted by app: what apps has */
    size_t n_sections;
    size_t unreadable; /* 1 + the index of the problem of a file that could not be read at all; 0: none */
};

/* The app of this name or NULL; new where there is none. */
struct app *table_find_app(const struct table *t, const char *name);
int table_make_app(struct table *t, const char *name, struct app **ret) _must_check_;

/* Reads the file's sections. 0; INI_E_MALFORMED with *ret_problem and nothing in `ret`; or a negative errno.
 */
int table_read(const struct catalogue *c, const char *file, const char *text, size_t n, struct sections *ret,
               struct ini_problem *ret_problem) _must_check_;

/* Shuts every app that a line of the malformed file names; `problem` is 1 + the index of what is wrong. */
int table_shut(struct table *t, const char *text, size_t n, size_t problem) _must_check_;
