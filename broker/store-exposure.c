/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"

#include <string.h>

/* Who holds a token that has not run out: the trail has it, since none is handed out without its record.
 * Found by their end, through an index of the disclosures: whoever may ask chooses how often, and the trail
 * is long. A record that says it is from tomorrow was written while the clock was wrong, and its end means
 * nothing: it counts while it is among the newest. */

#define LIFETIME_SEC_MAX 86400 /* of a token: lwa.h */
#define NEWEST_RECORDS 1000

static const char text[] =
    "SELECT sequence, time_sec, uid, owner_uid, grant_row, expires_sec, fingerprint, app, account, owner, "
    "carried"
    " FROM audit WHERE event = 'token-disclosed' AND expires_sec > ?1 AND time_sec >= ?1 - ?2"
    " AND (time_sec <= ?1 + ?2 OR sequence > (SELECT max(sequence) FROM audit) - ?3)"
    " AND (?4 < 0 OR uid = ?4 OR owner_uid = ?4) AND (?5 = '' OR app = ?5)"
    " ORDER BY +sequence DESC LIMIT ?6" /* not by it, to be found by their end */;

static uid_t get_uid(struct statement *st, int column)
{
    if (sqlite3_column_type(st->stmt, column) == SQLITE_NULL)
        return (uid_t)-1;
    return (uid_t)statement_get_int(st, column);
}

static char *get_copy(struct statement *st, int column)
{
    char *copy = strdup(statement_get_text(st, column));
    if (!copy)
        st->r = -ENOMEM;
    return copy;
}

static int get_record(struct statement *st, struct audit_record **ret)
{
    _cleanup_(audit_record_freep) struct audit_record *record = audit_record_new(AUDIT_TOKEN_DISCLOSED);
    if (!record)
        return -ENOMEM;
    record->sequence = statement_get_int(st, 0);
    record->time_sec = statement_get_int(st, 1);
    record->uid = get_uid(st, 2);
    record->owner_uid = get_uid(st, 3);
    record->grant = statement_get_int(st, 4);
    record->expires_sec = statement_get_int(st, 5);
    if (sqlite3_column_bytes(st->stmt, 6) == AUDIT_FINGERPRINT_BYTES) {
        memcpy(record->fingerprint, sqlite3_column_blob(st->stmt, 6), AUDIT_FINGERPRINT_BYTES);
        record->has_fingerprint = true;
    }
    record->app = get_copy(st, 7);
    record->account = get_copy(st, 8);
    record->owner = get_copy(st, 9);
    record->carried = get_copy(st, 10);
    if (st->r == 0)
        *ret = TAKE_PTR(record);
    return st->r;
}

int store_exposure_read(struct store_db *db, const struct store_query *query, struct store_reply *reply)
{
    _cleanup_statement_ struct statement st = statement_open(db, SLOT_NONE, text);
    statement_int(&st, query->exposed_after_sec);
    statement_int(&st, LIFETIME_SEC_MAX);
    statement_int(&st, NEWEST_RECORDS);
    statement_int(&st, query->uid_only == (uid_t)-1 ? -1 : (int64_t)query->uid_only);
    statement_text(&st, query->app);
    statement_int(&st, query->limit);

    reply->records = calloc(query->limit, sizeof(struct audit_record *));
    if (!reply->records)
        return -ENOMEM;
    int r;
    while ((r = statement_step(&st)) == STEP_ROW) {
        r = get_record(&st, &reply->records[reply->n_records]);
        if (r < 0)
            return r;
        reply->n_records++;
    }
    return r;
}
