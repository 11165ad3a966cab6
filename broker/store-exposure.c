/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"

/* Who holds a token that has not run out: the trail has it, since none is handed out without its record.
 * Found by their end, through an index of the disclosures: whoever may ask chooses how often, and the trail
 * is long. A record that says it is from tomorrow was written while the clock was wrong, and its end means
 * nothing: it counts while it is among the newest. */

#define LIFETIME_SEC_MAX 86400 /* of a token: lwa.h */
#define NEWEST_RECORDS 1000

static const char text[] =
    "SELECT " STORE_AUDIT_COLUMNS
    " FROM audit WHERE event = 'token-disclosed' AND expires_sec > ?1 AND time_sec >= ?1 - ?2"
    " AND (time_sec <= ?1 + ?2 OR sequence > (SELECT max(sequence) FROM audit) - ?3)"
    " AND (?4 < 0 OR uid = ?4 OR owner_uid = ?4) AND (?5 = '' OR app = ?5)"
    " ORDER BY +sequence DESC LIMIT ?6" /* not by it, to be found by their end */;

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
        r = store_audit_get(&st, &reply->records[reply->n_records]);
        if (r < 0)
            return r;
        reply->n_records++;
    }
    return r;
}
