/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Apps by scopes: what each may have of the table and by consent, and what the trail says that it asked for,
 * got, and holds. An app is one of a user: flatpak:X of alice and of bob are two. In it are the apps of the
 * trail, those that a section of grants.d names, for whom the section is meant as far as that is known, and
 * those that owners of accounts have answered about. */

#include "broker/identity.h"
#include "broker/store-matrix.h"
#include "policy/scope.h"
#include "policy/table.h"

struct account;
struct broker;

struct matrix_cell {
    uint64_t n_asked;
    int64_t asked_sec; /* when for the last time; 0 for never, here and below */
    int64_t used_sec;  /* a token that carried it, or what implies it, was handed out */
    int64_t denied_sec;
    int64_t held_until_sec;
};

struct matrix_app {
    char app[IDENTITY_APP_SIZE];
    char user[IDENTITY_USER_SIZE]; /* name, or number where no name is known; "" for a system user's unit */
    uid_t uid;                     /* (uid_t)-1 where it is not known */
    struct strv exes;              /* programs that sections of the table name it with */
    struct scope_set scopes;       /* those that there is something to say about */
    struct matrix_cell cells[SCOPE_COUNT_MAX];
};

struct matrix {
    struct broker *broker;
    const struct identity *caller;
    uid_t uid_only; /* apps of this user only; (uid_t)-1 for all */
    struct matrix_app **apps;
    size_t n;
    bool is_complete; /* else there are more than LIMIT_MATRIX_APPS */
};

/* The caller must stay. 0 or -ENOMEM; sorted by app and user. */
int matrix_make(struct broker *broker, const struct identity *caller, uid_t uid_only,
                const struct store_matrix *stored, struct matrix *ret) _must_check_;
void matrix_clear(struct matrix *m);

/* What GetToken would decide without polkit, of the account that it would take where none is named: NULL for
 * none. Of an app that is one of several programs, what any of them may have. */
const struct account *matrix_decide(const struct matrix *m, const struct matrix_app *app,
                                    struct verdicts *ret);
