/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"

#include <string.h>

/* Who holds a token that has not run out: the trail has it, since none is handed out without its record.
 *
 * 1. Which disclosures it may be: those whose token ends within a lifetime or two from now, through an index
 * of their ends, and those among the newest records. A record that says it is from tomorrow was written while
 *    the clock was wrong, and its end means nothing: it counts while it is among the newest.
 * 2. Each of them is looked at, the newest first. An older disclosure of the same token to the same app of
 * the same user adds nothing: a table of those that were taken already tells. */

#define SLOTS 2048 /* a power of two, twice as many as there are rows */

_Static_assert(SLOTS >= 2 * STORE_QUERY_RECORDS_MAX, "the table stays half empty");

struct exposure {
    struct store_db *db;
    struct store_query *query;
    const struct store_exposure_filter *filter;
    struct store_reply *reply;
    int64_t newest; /* of the newest STORE_QUERY_NEWEST_RECORDS, the oldest one's predecessor */
    int64_t *sequences;
    size_t n_sequences;
    unsigned short taken[SLOTS]; /* 1 + the number of a record of the reply; 0: free */
};

/* --- 1: candidates ----------------------------------------------------------------------------------- */

static const char candidates[] =
    "SELECT sequence FROM audit INDEXED BY audit_exposed"
    " WHERE event = 'token-disclosed' AND expires_sec > ?1 AND expires_sec <= ?2 AND sequence <= ?3"
    /* By the number: of ends that mean nothing there can be any number. */
    " UNION ALL SELECT sequence FROM audit NOT INDEXED"
    " WHERE sequence > ?3 AND expires_sec > ?1";

static int add_sequence(struct exposure *e, size_t *n_allocated, int64_t sequence)
{
    if (e->n_sequences == *n_allocated) {
        size_t n = *n_allocated ? 2 * *n_allocated : STORE_QUERY_NEWEST_RECORDS;
        int64_t *bigger = reallocarray(e->sequences, n, sizeof(*bigger));
        if (!bigger)
            return -ENOMEM;
        e->sequences = bigger;
        *n_allocated = n;
    }
    e->sequences[e->n_sequences++] = sequence;
    return 0;
}

static int newest_first(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

static int find_candidates(struct exposure *e)
{
    _cleanup_statement_ struct statement st = statement_open(e->db, SLOT_NONE, candidates);
    statement_int(&st, e->filter->now_sec);
    statement_int(&st, e->filter->now_sec + 2 * LIMIT_TOKEN_LIFETIME_SEC);
    statement_int(&st, e->newest);
    size_t n_allocated = 0;
    int r;
    while ((r = statement_step(&st)) == STEP_ROW) {
        r = add_sequence(e, &n_allocated, statement_get_int(&st, 0));
        if (r < 0)
            return r;
    }
    if (e->n_sequences > 0)
        qsort(e->sequences, e->n_sequences, sizeof(*e->sequences), newest_first);
    return r;
}

static int find_newest(struct exposure *e)
{
    _cleanup_statement_ struct statement st =
        statement_open(e->db, SLOT_NONE, "SELECT max(sequence) FROM audit");
    int r = statement_step(&st);
    if (r == STEP_ROW)
        e->newest = statement_get_int(&st, 0) - STORE_QUERY_NEWEST_RECORDS;
    return r < 0 ? r : 0;
}

/* --- 2: rows ----------------------------------------------------------------------------------------- */

/* One by one, so that SQLite keeps nothing but the row: all the rest is decided here. */
static const char one[] = "SELECT " STORE_AUDIT_COLUMNS " FROM audit WHERE sequence = ?1"
                          " AND sequence > coalesce((SELECT sequence FROM audit_base), 0)";

static bool is_good(const struct exposure *e, const struct audit_record *record)
{
    int64_t now_sec = e->filter->now_sec;
    return record->event == AUDIT_TOKEN_DISCLOSED && record->has_fingerprint &&
           record->expires_sec > now_sec && record->time_sec >= now_sec - LIMIT_TOKEN_LIFETIME_SEC &&
           (record->time_sec <= now_sec + LIMIT_TOKEN_LIFETIME_SEC || record->sequence > e->newest);
}

static bool is_wanted(const struct store_exposure_filter *f, const struct audit_record *record)
{
    return (f->uid == (uid_t)-1 || f->uid == record->uid || f->uid == record->owner_uid) &&
           (f->owner_uid == (uid_t)-1 ||
            (f->owner_uid == record->owner_uid && strcmp(f->owner, record->owner) == 0)) &&
           (!f->is_device || record->owner_uid == (uid_t)-1) &&
           (!f->app[0] || strcmp(f->app, record->app) == 0) &&
           (!f->account[0] || strcmp(f->account, record->account) == 0) &&
           (f->scopes.n == 0 || audit_names_any(record->carried, &f->scopes));
}

static bool is_same(const struct audit_record *a, const struct audit_record *b)
{
    return a->uid == b->uid && memcmp(a->fingerprint, b->fingerprint, AUDIT_FINGERPRINT_BYTES) == 0 &&
           strcmp(a->app, b->app) == 0;
}

/* Where it belongs in the table: the place of one that is the same, or a free one. A fingerprint is a keyed
 * hash: nobody chooses where it falls. */
static unsigned short *find_slot(struct exposure *e, const struct audit_record *record)
{
    size_t at = 0;
    memcpy(&at, record->fingerprint, sizeof(at));
    for (const char *c = record->app; *c; c++)
        at = at * 31 + (unsigned char)*c;
    for (;; at++) {
        unsigned short *slot = &e->taken[(at + record->uid) % SLOTS];
        if (*slot == 0 || is_same(e->reply->records[*slot - 1], record))
            return slot;
    }
}

/* Of a row that is no record any more: whether what is left of it still looks like a token that was asked
 * for. Of another's accounts not even its number is told. Which scopes it had is not asked: they may be what
 * was altered. */
static bool may_be_wanted(const struct exposure *e, struct statement *st)
{
    const struct store_exposure_filter *f = e->filter;
    int64_t uid = statement_get_int(st, 3), owner_uid = statement_get_int(st, 4);
    if (statement_get_int(st, 6) <= f->now_sec)
        return false;
    return (f->uid == (uid_t)-1 || f->uid == uid || f->uid == owner_uid) &&
           (f->owner_uid == (uid_t)-1 ||
            (f->owner_uid == owner_uid && strcmp(f->owner, statement_get_text(st, 13)) == 0)) &&
           (!f->app[0] || strcmp(f->app, statement_get_text(st, 9)) == 0) &&
           (!f->account[0] || strcmp(f->account, statement_get_text(st, 12)) == 0);
}

static int look_at(struct exposure *e, struct statement *st)
{
    _cleanup_(audit_record_freep) struct audit_record *record = NULL;
    int event = audit_event_from_name(statement_get_text(st, 2));
    if (event >= 0 && event != AUDIT_TOKEN_DISCLOSED) /* not worth being fetched */
        return st->r;
    int r = store_audit_show(st, &record);
    if (r < 0)
        return r;
    if (record->is_unreadable) {
        if (may_be_wanted(e, st))
            e->reply->records[e->reply->n_records++] = TAKE_PTR(record);
        return st->r;
    }
    if (!is_good(e, record) || !is_wanted(e->filter, record))
        return 0;
    unsigned short *slot = find_slot(e, record);
    if (*slot != 0)
        return 0;
    e->reply->records[e->reply->n_records++] = TAKE_PTR(record);
    *slot = (unsigned short)e->reply->n_records;
    return 0;
}

/* Some, from *i on, in one read. */
static int look_at_some(struct exposure *e, size_t *i)
{
    _cleanup_statement_ struct statement st = statement_open(e->db, SLOT_NONE, one);
    for (unsigned n = 0; n < SEARCH_SLICE_ROWS && *i < e->n_sequences; n++, ++*i) {
        int r = statement_again(&st, e->sequences[*i]);
        if (r == STEP_ROW)
            r = look_at(e, &st);
        if (r < 0 || e->reply->n_records == STORE_QUERY_RECORDS_MAX)
            return r;
    }
    return 0;
}

static int look_at_all(struct exposure *e)
{
    size_t i = 0;
    while (i < e->n_sequences && e->reply->n_records < STORE_QUERY_RECORDS_MAX) {
        int r = look_at_some(e, &i);
        if (r == 0 && store_query_is_over(e->query))
            r = -EINTR;
        if (r < 0)
            return r;
    }
    return 0;
}

int store_exposure_run(struct store_db *db, struct store_query *q, struct store_reply *reply)
{
    struct exposure e = {.db = db, .query = q, .filter = q->asked, .reply = reply};
    reply->records = calloc(STORE_QUERY_RECORDS_MAX, sizeof(struct audit_record *));
    if (!reply->records)
        return -ENOMEM;
    int r = find_newest(&e);
    if (r == 0)
        r = find_candidates(&e);
    if (r == 0)
        r = look_at_all(&e);
    free(e.sequences);
    return r;
}

/* --- on the loop ------------------------------------------------------------------------------------- */

static void free_filter(void *asked)
{
    struct store_exposure_filter *f = asked;
    strv_clear(&f->scopes);
    free(f);
}

int store_exposure_query(struct store *s, const struct store_exposure_filter *filter, uid_t asker,
                         store_callback callback, void *userdata, struct store_op **ret_op)
{
    struct store_exposure_filter *asked = malloc(sizeof(*asked));
    if (!asked)
        return -ENOMEM;
    *asked = *filter;
    asked->scopes = STRV_EMPTY;
    int r = 0;
    for (size_t i = 0; r == 0 && i < filter->scopes.n; i++)
        r = strv_add(&asked->scopes, filter->scopes.items[i]);
    if (r < 0) {
        free_filter(asked);
        return r;
    }
    struct store_query *q = store_query_new(s, asker, store_exposure_run, asked, free_filter);
    return q ? store_query_start(q, callback, userdata, ret_op) : -ENOMEM;
}
