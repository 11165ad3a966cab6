/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The rows of org.lwabroker.Audit1.Matrix, one for each app, user and scope, as a table: apps down, scopes
 * across. Pure code. The rows stay the caller's and must outlive it: texts point into them. */

#include "client/lwactl/values.h"

/* What an administrator has to know of an app and a scope, the most pressing first. */
enum matrix_state {
    MATRIX_HELD,    /* a token that is out carries it */
    MATRIX_REFUSED, /* asked for it last, got none, and may not have it */
    MATRIX_UNMET,   /* may have it, asked for it last and got none: a login is missing, or somebody's yes */
    MATRIX_USED,    /* was given it before */
    MATRIX_UNUSED,  /* may have it, at once or after asking, and did not take it */
    MATRIX_NONE,    /* may not, and did not try */
};

struct matrix_app {
    const char *app;
    const char *user;
    const char *account; /* "" when there is none */
};

struct matrix {
    struct matrix_app *apps;
    size_t n_apps;
    const char **scopes; /* those that any app may hold, held or asked for */
    size_t n_scopes;
    struct json_object **cells; /* n_apps times n_scopes; NULL: nothing to say */
    size_t n_states[MATRIX_NONE + 1];
    bool is_complete; /* false: the broker has more than fits into one answer */
    bool has_users;   /* an app is not simply called like its user */
};

int matrix_init(struct matrix *m, struct json_object *rows, int64_t now_sec) _must_check_;
void matrix_deinit(struct matrix *m);
#define _cleanup_matrix_ _cleanup_(matrix_deinit)

struct json_object *matrix_cell(const struct matrix *m, size_t app, size_t scope);
enum matrix_state matrix_state_of(struct json_object *row, int64_t now_sec);
