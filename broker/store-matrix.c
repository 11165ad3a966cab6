/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-matrix.h"

#include "broker/store-internal.h"

#include <string.h>

/* Reads every record of the time that is asked about, which may be a million: from the newest on, in slices,
 * each a read transaction of its own, since a reader that stays keeps the WAL from being cut back. They are
 * summed up here and not by GROUP BY, which would sort each slice.
 *
 * Where the time begins is found by the clock, and from there it goes by the order of the trail: records of
 * before that are left out though a clock that ran ahead gave them a later time. */

/* --- the sums ---------------------------------------------------------------------------------------- */

static void entry_free(struct store_matrix_entry *e)
{
    if (!e)
        return;
    free(e->app);
    free(e->asked);
    free(e->carried);
    free(e->user);
    free(e);
}

DEFINE_CLEANUP(struct store_matrix_entry, entry_free);

void store_matrix_free(struct store_matrix *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n; i++)
        entry_free(m->entries[i]);
    free(m->entries);
    free(m);
}

/* What a record adds; the texts are the statement's. */
struct addition {
    enum store_matrix_kind kind;
    uid_t uid;
    const char *app, *asked, *carried, *user;
    uint64_t n;
    int64_t sec;
};

static int compare(const struct addition *a, const struct store_matrix_entry *e)
{
    if (a->kind != e->kind)
        return a->kind < e->kind ? -1 : 1;
    if (a->uid != e->uid)
        return a->uid < e->uid ? -1 : 1;
    int r = strcmp(a->app, e->app);
    if (r == 0)
        r = strcmp(a->asked, e->asked);
    return r == 0 ? strcmp(a->carried, e->carried) : r;
}

/* Where it is, or would be. */
static size_t find(const struct store_matrix *m, const struct addition *a, bool *ret_is_there)
{
    size_t first = 0, end = m->n;
    *ret_is_there = false;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        int r = compare(a, m->entries[middle]);
        if (r == 0) {
            *ret_is_there = true;
            return middle;
        }
        if (r < 0)
            end = middle;
        else
            first = middle + 1;
    }
    return first;
}

static struct store_matrix_entry *entry_new(const struct addition *a)
{
    _cleanup_(entry_freep) struct store_matrix_entry *e = calloc(1, sizeof(*e));
    if (!e)
        return NULL;
    e->kind = a->kind;
    e->uid = a->uid;
    e->app = strdup(a->app);
    e->asked = strdup(a->asked);
    e->carried = strdup(a->carried);
    e->user = strdup(a->user);
    return e->app && e->asked && e->carried && e->user ? TAKE_PTR(e) : NULL;
}

static int insert(struct store_matrix *m, size_t at, const struct addition *a)
{
    struct store_matrix_entry *e = entry_new(a);
    if (!e)
        return -ENOMEM;
    memmove(m->entries + at + 1, m->entries + at, (m->n - at) * sizeof(struct store_matrix_entry *));
    m->entries[at] = e;
    m->n++;
    return 0;
}

static int set_user(struct store_matrix_entry *e, const char *user)
{
    if (!*user || *e->user)
        return 0;
    char *copy = strdup(user);
    if (!copy)
        return -ENOMEM;
    free(e->user);
    e->user = copy;
    return 0;
}

static int add(struct store_matrix *m, const struct addition *a)
{
    bool is_there;
    size_t at = find(m, a, &is_there);
    if (!is_there && m->n == LIMIT_MATRIX_ENTRIES) {
        m->is_complete = false;
        return 0;
    }
    int r = is_there ? 0 : insert(m, at, a);
    if (r < 0)
        return r;
    struct store_matrix_entry *e = m->entries[at];
    e->n += a->n;
    if (a->sec > e->last_sec)
        e->last_sec = a->sec;
    return set_user(e, a->user);
}

/* --- reading ----------------------------------------------------------------------------------------- */

#define COLUMNS "uid, app, CASE WHEN owner_uid = uid THEN owner ELSE '' END"

static const char held_text[] =
    "SELECT " COLUMNS ", carried, expires_sec FROM audit INDEXED BY audit_exposed" /* not all disclosures */
    " WHERE event = 'token-disclosed' AND expires_sec > ?1 AND time_sec >= ?1 - ?2"
    " AND (time_sec <= ?1 + ?2 OR sequence > (SELECT max(sequence) FROM audit) - ?3)"
    " AND (?4 < 0 OR (owner_uid = ?4 AND owner = ?5)) AND uid IS NOT NULL"
    " AND sequence > coalesce((SELECT sequence FROM audit_base), 0)";

static const char slice_text[] = "SELECT " COLUMNS ", asked, carried, event, 1 + repeats, time_sec FROM audit"
                                 " WHERE sequence > ?1 AND sequence <= ?2 AND time_sec >= ?3"
                                 " AND +event IN ('token-disclosed', 'token-denied') AND uid IS NOT NULL"
                                 " AND (?4 < 0 OR (+owner_uid = ?4 AND owner = ?5))"
                                 " ORDER BY sequence DESC";

static void bind_owner(struct statement *st, const struct store_matrix_question *q)
{
    statement_int(st, q->owner_uid == (uid_t)-1 ? -1 : (int64_t)q->owner_uid);
    statement_text(st, q->owner);
}

/* Of one that no broker wrote so nothing is summed up: what it says would be another app's. */
static bool is_as_written(struct statement *st, struct store_matrix *m)
{
    bool is = store_audit_is_uid(st, 0);
    for (int i = 1; i < sqlite3_column_count(st->stmt); i++)
        is = is && store_audit_is_whole(st, i);
    m->is_complete = m->is_complete && is;
    return is;
}

static int add_held(struct statement *st, struct store_matrix *m)
{
    if (!is_as_written(st, m))
        return st->r;
    const struct addition a = {
        .kind = STORE_MATRIX_HELD,
        .uid = statement_get_uid(st, 0),
        .app = statement_get_text(st, 1),
        .user = statement_get_text(st, 2),
        .asked = "",
        .carried = statement_get_text(st, 3),
        .n = 1,
        .sec = statement_get_int(st, 4),
    };
    return st->r < 0 ? st->r : add(m, &a);
}

static int read_held(struct store_db *db, const struct store_matrix_question *q, struct store_matrix *m)
{
    _cleanup_statement_ struct statement st = statement_open(db, SLOT_NONE, held_text);
    statement_int(&st, q->now_sec);
    statement_int(&st, LIMIT_TOKEN_LIFETIME_SEC);
    statement_int(&st, STORE_QUERY_NEWEST_RECORDS);
    bind_owner(&st, q);
    int r;
    while ((r = statement_step(&st)) == STEP_ROW) {
        r = add_held(&st, m);
        if (r < 0)
            return r;
    }
    return r;
}

static int add_record(struct statement *st, struct store_matrix *m)
{
    if (!is_as_written(st, m))
        return st->r;
    bool is_denied = strcmp(statement_get_text(st, 5), "token-denied") == 0;
    const struct addition a = {
        .kind = is_denied ? STORE_MATRIX_DENIED : STORE_MATRIX_DISCLOSED,
        .uid = statement_get_uid(st, 0),
        .app = statement_get_text(st, 1),
        .user = statement_get_text(st, 2),
        .asked = statement_get_text(st, 3),
        .carried = is_denied ? "" : statement_get_text(st, 4),
        .n = (uint64_t)statement_get_int(st, 6),
        .sec = statement_get_int(st, 7),
    };
    return st->r < 0 ? st->r : add(m, &a);
}

static int read_slice(struct store_db *db, const struct store_matrix_question *q, int64_t after,
                      int64_t up_to, struct store_matrix *m)
{
    _cleanup_statement_ struct statement st = statement_open(db, SLOT_NONE, slice_text);
    statement_int(&st, after);
    statement_int(&st, up_to);
    statement_int(&st, q->since_sec);
    bind_owner(&st, q);
    int r;
    while ((r = statement_step(&st)) == STEP_ROW) {
        r = add_record(&st, m);
        if (r < 0)
            return r;
    }
    return r;
}

/* 0 for an empty trail, or one that ends before. */
static int find_bounds(struct store_db *db, int64_t since_sec, int64_t *ret_first, int64_t *ret_last)
{
    _cleanup_statement_ struct statement st =
        statement_open(db, SLOT_NONE,
                       "SELECT (SELECT sequence FROM audit WHERE time_sec >= ? ORDER BY time_sec LIMIT 1),"
                       " (SELECT max(sequence) FROM audit), (SELECT sequence FROM audit_base)");
    statement_int(&st, since_sec);
    int r = statement_step(&st);
    if (r < 0)
        return r;
    int64_t base = statement_get_int(&st, 2); /* a null, and so 0, when nothing was removed */
    *ret_first = statement_get_int(&st, 0);
    *ret_last = *ret_first > 0 ? statement_get_int(&st, 1) : 0;
    if (*ret_first > 0 && *ret_first <= base)
        *ret_first = base + 1;
    return 0;
}

static int read_all(struct store_db *db, struct store_query *query, struct store_matrix *m)
{
    const struct store_matrix_question *q = query->asked;
    int64_t first, last;
    int r = read_held(db, q, m);
    if (r == 0)
        r = find_bounds(db, q->since_sec, &first, &last);
    while (r == 0 && last > 0 && last >= first) {
        int64_t after = last - LIMIT_MATRIX_SLICE < first ? first - 1 : last - LIMIT_MATRIX_SLICE;
        r = store_query_is_over(query) ? -EINTR : read_slice(db, q, after, last, m);
        last = after;
    }
    return r;
}

static int run(struct store_db *db, struct store_query *query, struct store_reply *reply)
{
    _cleanup_(store_matrix_freep) struct store_matrix *m = calloc(1, sizeof(*m));
    if (!m)
        return -ENOMEM;
    m->is_complete = true;
    m->entries = calloc(LIMIT_MATRIX_ENTRIES, sizeof(struct store_matrix_entry *));
    int r = m->entries ? read_all(db, query, m) : -ENOMEM;
    if (r == 0)
        reply->matrix = TAKE_PTR(m);
    return r;
}

int store_matrix_query(struct store *s, const struct store_matrix_question *question, uid_t asker,
                       store_callback callback, void *userdata, struct store_op **ret_op)
{
    struct store_matrix_question *asked = malloc(sizeof(*asked));
    if (!asked)
        return -ENOMEM;
    *asked = *question;
    struct store_query *q = store_query_new(s, asker, run, asked, free);
    if (!q)
        return -ENOMEM;
    q->is_long = true;
    return store_query_start(q, callback, userdata, ret_op);
}
