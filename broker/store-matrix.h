/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the trail tells of who asked for which scopes and got them, summed up. */

#include "broker/store.h"

enum store_matrix_kind {
    STORE_MATRIX_DISCLOSED,
    STORE_MATRIX_DENIED,
    STORE_MATRIX_HELD, /* a token that has not run out */
};

/* All records of one kind, app, user and scopes. */
struct store_matrix_entry {
    enum store_matrix_kind kind;
    uid_t uid; /* of the app */
    char *app;
    char *asked;      /* joined by spaces; "" for STORE_MATRIX_HELD */
    char *carried;    /* "" for STORE_MATRIX_DENIED */
    char *user;       /* the name of `uid`, where a record tells it; else "" */
    uint64_t n;       /* how often, repeats included */
    int64_t last_sec; /* when for the last time; of STORE_MATRIX_HELD: until when */
};

/* In the order of kind, uid, app, asked, carried. */
struct store_matrix {
    struct store_matrix_entry **entries;
    size_t n;
    bool is_complete; /* else there are more than LIMIT_MATRIX_ENTRIES; the newest are in it */
};

void store_matrix_free(struct store_matrix *m);
DEFINE_CLEANUP(struct store_matrix, store_matrix_free);

struct store_matrix_question {
    int64_t since_sec;
    int64_t now_sec;
    uid_t owner_uid;            /* of accounts of this user only; (uid_t)-1: of all */
    char owner[OWNER_NAME_MAX]; /* with owner_uid, his name too: numbers are given anew */
};

/* Sums up the records from `since_sec` on, and the tokens that are good after `now_sec`, whenever they were
 * handed out: of all, or of accounts of one owner. In reply->matrix, good during the callback. Runs
 * as store_audit_query(), in slices, each a look of its own: what is written meanwhile may be in it or not.
 */
int store_matrix_query(struct store *s, const struct store_matrix_question *question, uid_t asker,
                       store_callback callback, void *userdata, struct store_op **ret_op) _must_check_;
