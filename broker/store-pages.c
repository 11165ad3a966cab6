/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"

/* Whether SQLite finds the pages of the database sound, for a diagnosis. */

static int run_pages(struct store_db *db, struct store_query *q _unused_, struct store_reply *reply _unused_)
{
    return store_schema_check_pages(db);
}

static void free_nothing(void *asked _unused_)
{
}

int store_pages_query(struct store *s, uid_t asker, store_callback callback, void *userdata,
                      struct store_op **ret_op)
{
    struct store_query *q = store_query_new(s, asker, run_pages, NULL, free_nothing);
    if (!q)
        return -ENOMEM;
    q->is_long = true;
    return store_query_start(q, callback, userdata, ret_op);
}
