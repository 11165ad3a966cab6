/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"

#include <string.h>

/* Where the trail ends, as the database has it. */

static bool take_bytes(struct statement *st, int column, unsigned char *ret, size_t n)
{
    if ((size_t)sqlite3_column_bytes(st->stmt, column) != n)
        return false;
    memcpy(ret, sqlite3_column_blob(st->stmt, column), n);
    return true;
}

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
    ret->is_chained = take_bytes(&st, 3, ret->hash, sizeof(ret->hash));
    return 0;
}

#define READ_BASE "SELECT sequence, epoch, 0, hash FROM audit_base"

int store_end_read(struct store_db *db, struct store_end *ret)
{
    struct store_end end = {.exists = false};
    int r = read_with(db,
                      "SELECT sequence, epoch, event = 'trail-sealed', hash FROM audit"
                      " ORDER BY sequence DESC LIMIT 1",
                      &end);
    if (r == 0 && !end.exists)
        r = read_with(db, READ_BASE, &end);
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
    *ret =
        r == STEP_ROW && take_bytes(&st, 0, found, sizeof(found)) && memcmp(found, hash, sizeof(found)) == 0;
    return 0;
}

int store_end_read_base_hash(struct store_db *db, unsigned char ret[AUDIT_HASH_BYTES])
{
    struct store_end base = {.exists = false};
    int r = read_with(db, READ_BASE, &base);
    memcpy(ret, base.hash, AUDIT_HASH_BYTES);
    return r;
}
