/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"

#include <string.h>

/* Where the trail ends, and what was removed of its beginning, as the database has it. */

static int read_with(struct store_db *db, const char *sql, struct store_end *ret)
{
    _cleanup_statement_ struct statement st = statement_open(db, SLOT_NONE, sql);
    int r = statement_step(&st);
    if (r != STEP_ROW)
        return r;
    ret->exists = true;
    ret->sequence = statement_get_int(&st, 0);
    ret->epoch = (uint64_t)statement_get_int(&st, 1);
    ret->is_ended = statement_get_int(&st, 2) != 0;
    ret->is_chained = statement_copy_blob(&st, 3, ret->hash, sizeof(ret->hash));
    return 0;
}

int store_end_read(struct store_db *db, struct store_end *ret)
{
    struct store_end end = {.exists = false};
    int r = read_with(db,
                      "SELECT sequence, epoch, event = 'trail-sealed', hash FROM audit"
                      " ORDER BY sequence DESC LIMIT 1",
                      &end);
    if (r == 0 && !end.exists)
        r = read_with(db, "SELECT sequence, epoch, 0, hash FROM audit_base", &end);
    if (r == 0)
        *ret = end;
    return r;
}

int store_end_has(struct store_db *db, int64_t sequence, const unsigned char hash[AUDIT_HASH_BYTES],
                  bool *ret)
{
    _cleanup_statement_ struct statement st =
        statement_open(db, SLOT_NONE,
                       "SELECT hash FROM audit WHERE sequence = ?1"
                       " UNION ALL SELECT hash FROM audit_base WHERE sequence = ?1");
    statement_int(&st, sequence);
    unsigned char found[AUDIT_HASH_BYTES];
    int r = statement_step(&st);
    if (r < 0)
        return r;
    *ret = r == STEP_ROW && statement_copy_blob(&st, 0, found, sizeof(found)) &&
           memcmp(found, hash, sizeof(found)) == 0;
    return 0;
}

int store_base_read(struct store_db *db, struct audit_base *ret)
{
    _cleanup_statement_ struct statement st = statement_open(
        db, SLOT_NONE, "SELECT sequence, hash, epoch, time_sec, removed, seal_epoch, seal FROM audit_base");
    *ret = (struct audit_base){.sequence = 0};
    int r = statement_step(&st);
    if (r != STEP_ROW)
        return r;
    ret->sequence = statement_get_int(&st, 0);
    (void)statement_copy_blob(&st, 1, ret->hash, sizeof(ret->hash));
    ret->epoch = (uint64_t)statement_get_int(&st, 2);
    ret->time_sec = statement_get_int(&st, 3);
    ret->removed = statement_get_int(&st, 4);
    ret->seal_epoch = (uint64_t)statement_get_int(&st, 5);
    (void)statement_copy_blob(&st, 6, ret->seal, sizeof(ret->seal));
    return 0;
}
