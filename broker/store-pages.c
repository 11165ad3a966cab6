/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"

#include <unistd.h>

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

/* Without a WAL nothing but the file itself is touched; through one it is read as SQLite would at a start,
 * alone and without writing a byte. */
int store_check_closed(const char *path)
{
    char wal[4096];
    int n = snprintf(wal, sizeof(wal), "%s-wal", path);
    if (n < 0 || (size_t)n >= sizeof(wal))
        return -ENAMETOOLONG;
    struct store_db db;
    bool has_wal = access(wal, F_OK) == 0;
    int r = store_db_open(&db, path, NULL, has_wal ? STORE_DB_EXCLUSIVE : STORE_DB_IMMUTABLE);
    if (r < 0)
        return r == -EUCLEAN ? STORE_E_CORRUPT : r;
    r = store_schema_check_pages(&db);
    store_db_close(&db);
    return r == -EUCLEAN ? STORE_E_CORRUPT : r;
}
