/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"
#include "util/clock.h"

#include <string.h>

/* Records that fit a filter, in the order of the trail or against it.
 *
 * 1. Every condition that has an index of its own says where its next record is. The one farthest away leads:
 *    nothing before it can fit.
 * 2. Along its index the records are looked at one by one, a slice of them. Then the read ends, so
 *    that it does not keep the WAL from being copied back, and it begins anew from 1 where it was.
 * 3. When none of a slice was of the right time, the index of the times tells where the next one is. It is
 * not in the order of the trail, since clocks are set: finding out costs as much as there are records of that
 *    time, and is given up after half of the budget.
 * 4. It ends with as many records as were asked for, with STORE_QUERY_BYTES_MAX, at the trail's end, or when
 *    the budget is spent. `next` is then the last record that was looked at: whoever goes on there gets every
 *    record that fits exactly once.
 *
 * Without any condition that has an index the walk is along the trail itself.
 *
 * What is below the trail's base was removed, and is not shown if somebody puts it back. */

enum search_result { SEARCH_GO_ON, SEARCH_FULL, SEARCH_END };

struct search {
    struct store_db *db;
    struct store_query *query;
    const struct audit_filter *filter;
    bool is_newest;
    int64_t position; /* the last record that was looked at; all that is asked for lies beyond it */
    unsigned limit;
    size_t n_bytes;
    bool had_time; /* the last slice had a record of the right time */
    bool may_skip; /* the index of the times was not found to be too slow */
    unsigned slice_rows;
    uint64_t budget_usec;
    uint64_t deadline_usec;
    struct store_reply *reply;
};

/* --- what has an index ------------------------------------------------------------------------------- */

static bool has_token(const struct audit_filter *f)
{
    return f->has_fingerprint;
}

static void bind_token(struct statement *st, const struct audit_filter *f)
{
    statement_blob(st, f->fingerprint, sizeof(f->fingerprint));
}

static bool has_account(const struct audit_filter *f)
{
    return f->account[0] != '\0';
}

static void bind_account(struct statement *st, const struct audit_filter *f)
{
    statement_text(st, f->account);
}

static bool has_app(const struct audit_filter *f)
{
    return f->app[0] != '\0';
}

static void bind_app(struct statement *st, const struct audit_filter *f)
{
    statement_text(st, f->app);
}

static bool has_uid(const struct audit_filter *f)
{
    return f->uid != (uid_t)-1;
}

static void bind_uid(struct statement *st, const struct audit_filter *f)
{
    statement_int(st, f->uid);
}

static bool has_event(const struct audit_filter *f)
{
    return f->event >= 0;
}

static void bind_event(struct statement *st, const struct audit_filter *f)
{
    statement_text(st, audit_event_name((enum audit_event)f->event));
}

static bool has_owner(const struct audit_filter *f)
{
    return f->owner_uid != (uid_t)-1;
}

static void bind_owner(struct statement *st, const struct audit_filter *f)
{
    statement_int(st, f->owner_uid);
}

static bool has_time(const struct audit_filter *f)
{
    return f->since_sec != INT64_MIN || f->until_sec != INT64_MAX;
}

static void bind_time(struct statement *st, const struct audit_filter *f)
{
    statement_int(st, f->since_sec);
    statement_int(st, f->until_sec);
}

static bool has_none(const struct audit_filter *f _unused_)
{
    return false;
}

static void bind_none(struct statement *st _unused_, const struct audit_filter *f _unused_)
{
}

/* A condition repeats that of its index, where it has one that does not follow. */
struct source {
    const char *by;
    const char *condition;
    bool (*is_given)(const struct audit_filter *f);
    void (*bind)(struct statement *st, const struct audit_filter *f);
};

static const struct source sources[] = {
    {"INDEXED BY audit_by_token", "fingerprint = ?3", has_token, bind_token},
    {"INDEXED BY audit_by_account", "account = ?3 AND account <> ''", has_account, bind_account},
    {"INDEXED BY audit_by_app", "app = ?3 AND app <> ''", has_app, bind_app},
    {"INDEXED BY audit_by_uid", "uid = ?3", has_uid, bind_uid},
    {"INDEXED BY audit_by_event", "event = ?3", has_event, bind_event},
    {"INDEXED BY audit_by_owner", "owner_uid = ?3", has_owner, bind_owner},
};
static const struct source the_trail = {"NOT INDEXED", "TRUE", has_none, bind_none};
static const struct source the_times = {"INDEXED BY audit_by_time", "time_sec >= ?3 AND time_sec < ?4",
                                        has_time, bind_time};

/* --- statements -------------------------------------------------------------------------------------- */

#define SQL_SIZE 768

/* Between ?1 and ?2, both excluded. Made of our own texts only. */
static struct statement open_at(const struct search *s, const struct source *source, const char *columns,
                                const char *order)
{
    char sql[SQL_SIZE];
    (void)snprintf(sql, sizeof(sql),
                   "SELECT %s FROM audit %s WHERE %s AND sequence < ?2"
                   " AND sequence > max(?1, coalesce((SELECT sequence FROM audit_base), 0))%s",
                   columns, source->by, source->condition, order);
    struct statement st = statement_open(s->db, SLOT_NONE, sql);
    statement_int(&st, s->is_newest ? 0 : s->position);
    statement_int(&st, s->is_newest ? s->position : INT64_MAX);
    source->bind(&st, s->filter);
    return st;
}

static const char *order_of(const struct search *s)
{
    return s->is_newest ? " ORDER BY sequence DESC" : " ORDER BY sequence";
}

/* Goes to right before the record. */
static void go_to(struct search *s, int64_t sequence)
{
    s->position = s->is_newest ? sequence + 1 : sequence - 1;
}

/* --- 1 and 3: where to ------------------------------------------------------------------------------- */

/* The next record of this source: STEP_ROW, 0 without one, or an error. */
static int find_next(struct search *s, const struct source *source, int64_t *ret)
{
    _cleanup_statement_ struct statement st = open_at(s, source, "sequence", order_of(s));
    int r = statement_step(&st);
    if (r == STEP_ROW)
        *ret = statement_get_int(&st, 0);
    return r;
}

/* STEP_ROW having gone to the next record of the right time, 0 without one, or an error. */
static int skip_to_time(struct search *s)
{
    const char *nearest = s->is_newest ? "max(sequence)" : "min(sequence)";
    s->query->interrupt_usec = boottime_usec() + s->budget_usec / 2;
    _cleanup_statement_ struct statement st = open_at(s, &the_times, nearest, "");
    int r = statement_step(&st);
    s->query->interrupt_usec = 0;
    if (r == -EINTR && !store_query_is_over(s->query)) {
        s->may_skip = false; /* and it goes on without */
        return STEP_ROW;
    }
    int64_t sequence = r == STEP_ROW ? statement_get_int(&st, 0) : 0; /* a null where there is none */
    if (sequence == 0)
        return r < 0 ? r : 0;
    go_to(s, sequence);
    return STEP_ROW;
}

/* STEP_ROW with the source that leads, 0 when there is nothing more, or an error. */
static int aim(struct search *s, const struct source **ret)
{
    *ret = &the_trail;
    int r = s->had_time || !s->may_skip ? STEP_ROW : skip_to_time(s);
    int64_t farthest = 0;
    for (size_t i = 0; r == STEP_ROW && i < ARRAY_SIZE(sources); i++) {
        int64_t sequence;
        if (!sources[i].is_given(s->filter))
            continue;
        r = find_next(s, &sources[i], &sequence);
        if (r == STEP_ROW && (farthest == 0 || (s->is_newest ? sequence < farthest : sequence > farthest))) {
            farthest = sequence;
            *ret = &sources[i];
        }
    }
    if (farthest != 0)
        go_to(s, farthest);
    return r;
}

/* --- 2: walking -------------------------------------------------------------------------------------- */

static struct audit_facts facts_of(struct statement *st, const struct audit_filter *f)
{
    /* By the numbers of STORE_AUDIT_COLUMNS. A text is only fetched where the filter looks at it. */
    struct audit_facts facts = {
        .time_sec = statement_get_int(st, 1),
        .event = f->event >= 0 ? audit_event_from_name(statement_get_text(st, 2)) : -1,
        .uid = statement_get_uid(st, 3),
        .owner_uid = statement_get_uid(st, 4),
        .app = f->app[0] ? statement_get_text(st, 9) : NULL,
        .account = f->account[0] ? statement_get_text(st, 12) : NULL,
        .owner = f->owner_uid != (uid_t)-1 ? statement_get_text(st, 13) : NULL,
        .asked = f->scopes.n > 0 ? statement_get_text(st, 14) : NULL,
        .carried = f->scopes.n > 0 ? statement_get_text(st, 15) : NULL,
        .verdict = f->verdict[0] ? statement_get_text(st, 16) : NULL,
    };
    if (f->has_fingerprint)
        facts.fingerprint = statement_get_blob(st, 8, AUDIT_FINGERPRINT_BYTES);
    return facts;
}

/* About what it will be in a message. */
static size_t size_of(const struct audit_record *record)
{
    const char *const texts[] = {record->app,     record->kind,       record->strength, record->unit,
                                 record->program, record->account,    record->owner,    record->asked,
                                 record->carried, record->decided_by, record->chain,    record->detail,
                                 record->request, record->verdict};
    size_t n = STORE_QUERY_RECORD_BYTES;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        n += texts[i] ? strlen(texts[i]) : 0;
    return n;
}

/* Adds the record of the row. SEARCH_FULL: it is too much for this answer. */
static int take(struct search *s, struct statement *st)
{
    _cleanup_(audit_record_freep) struct audit_record *record = NULL;
    int r = store_audit_show(st, &record);
    if (r < 0)
        return r;
    size_t n_bytes = s->n_bytes + size_of(record);
    if (n_bytes > STORE_QUERY_BYTES_MAX && s->reply->n_records > 0)
        return SEARCH_FULL;
    s->n_bytes = n_bytes;
    s->reply->records[s->reply->n_records++] = TAKE_PTR(record);
    return SEARCH_GO_ON;
}

static int look_at(struct search *s, struct statement *st)
{
    struct audit_facts facts = facts_of(st, s->filter);
    if (st->r < 0)
        return st->r;
    s->had_time |= audit_filter_has_time(s->filter, facts.time_sec);
    int r = audit_filter_fits(s->filter, &facts) ? take(s, st) : SEARCH_GO_ON;
    if (r == SEARCH_GO_ON)
        s->position = statement_get_int(st, 0);
    return r;
}

/* One slice. An enum search_result or an error. */
static int walk(struct search *s, const struct source *source)
{
    _cleanup_statement_ struct statement st = open_at(s, source, STORE_AUDIT_COLUMNS, order_of(s));
    int r = SEARCH_GO_ON;
    s->had_time = !has_time(s->filter);
    for (unsigned i = 0; r == SEARCH_GO_ON && i < s->slice_rows; i++) {
        r = statement_step(&st);
        if (r != STEP_ROW)
            return r < 0 ? r : SEARCH_END;
        /* Only now it is known that there is one more to look at. */
        r = s->reply->n_records < s->limit ? look_at(s, &st) : SEARCH_FULL;
    }
    return r;
}

static void reverse(struct audit_record **records, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        struct audit_record *other = records[i];
        records[i] = records[n - 1 - i];
        records[n - 1 - i] = other;
    }
}

static int search(struct search *s)
{
    const struct source *source;
    int r;
    do {
        r = aim(s, &source);
        if (r <= 0)
            return r < 0 ? r : SEARCH_END;
        r = walk(s, source);
    } while (r == SEARCH_GO_ON && boottime_usec() < s->deadline_usec && !store_query_is_over(s->query));
    return r;
}

int store_search_run(struct store_db *db, struct store_query *query, struct store_reply *reply)
{
    const struct store_search *asked = query->asked;
    struct search s = {
        .db = db,
        .query = query,
        .filter = &asked->filter,
        .is_newest = asked->is_newest,
        .position = asked->is_newest && asked->after == 0 ? INT64_MAX : asked->after,
        .limit = asked->limit,
        .had_time = true,
        .may_skip = true,
        .slice_rows = asked->slice_rows,
        .budget_usec = asked->budget_usec,
        .deadline_usec = boottime_usec() + asked->budget_usec,
        .reply = reply,
    };
    reply->records = calloc(s.limit, sizeof(struct audit_record *));
    if (!reply->records)
        return -ENOMEM;
    int r = search(&s);
    if (r < 0)
        return r;
    reply->next = r == SEARCH_END ? 0 : s.position;
    if (s.is_newest)
        reverse(reply->records, reply->n_records);
    return 0;
}

/* --- on the loop ------------------------------------------------------------------------------------- */

static void free_search(void *asked)
{
    struct store_search *s = asked;
    audit_filter_clear(&s->filter);
    free(s);
}

int store_audit_query(struct store *s, const struct audit_filter *filter, const struct store_page *page,
                      uid_t asker, store_callback callback, void *userdata, struct store_op **ret_op)
{
    struct store_search *asked = calloc(1, sizeof(*asked));
    if (!asked || audit_filter_copy(filter, &asked->filter) < 0) {
        free(asked);
        return -ENOMEM;
    }
    asked->after = page->after;
    asked->is_newest = page->is_newest;
    asked->limit = page->limit < 1                         ? 1
                   : page->limit > STORE_QUERY_RECORDS_MAX ? STORE_QUERY_RECORDS_MAX
                                                           : page->limit;
    asked->slice_rows = SEARCH_SLICE_ROWS;
    asked->budget_usec = STORE_QUERY_MSEC * USEC_PER_MSEC;
    struct store_query *q = store_query_new(s, asker, store_search_run, asked, free_search);
    return q ? store_query_start(q, callback, userdata, ret_op) : -ENOMEM;
}
