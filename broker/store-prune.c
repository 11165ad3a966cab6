/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"
#include "util/clock.h"

#include <string.h>

/* Removing what the trail need not keep any longer (retention.h), in turns of the worker in which nothing
 * waits:
 *
 * 1. look: how large is it, how far would it have to go;
 * 2. walk over the oldest records, some in a turn, to find the last one that goes; nothing is written;
 * 3. say so on the trail, with a record that is durable before anything is removed;
 * 4. remove, some records in a turn, each turn one transaction: the new base, which says what was removed and
 * is sealed, and the removal itself.
 *
 * What arrives waits for the turn under way at most, and a removal is to cost no more than the commit of one
 * operation: both are measured, and the number of records follows. Between removals there is a pause that is
 * longer than they take: most of what arrives does not wait at all. A crash between them leaves a base that
 * fits what is there; the next run goes on from it. */

/* --- what is when ------------------------------------------------------------------------------------ */

static void rest(struct store_prune *p)
{
    uint64_t now = boottime_usec();
    p->state = PRUNE_RESTS;
    p->due_usec = now + STORE_PRUNE_IDLE_SEC * USEC_PER_SEC;
    p->look_usec = now + STORE_PRUNE_PAUSE_SEC * USEC_PER_SEC;
    p->again_usec = now + STORE_PRUNE_BUSY_SEC * USEC_PER_SEC;
}

void store_prune_init(struct store_prune *p)
{
    *p = (struct store_prune){.due_usec = UINT64_MAX, .rows = STORE_PRUNE_ROWS_MIN};
}

void store_set_retention(struct store *s, const struct retention *limits)
{
    struct store_prune *p = &s->prune;
    uv_mutex_lock(&s->mutex);
    bool is_first = !p->has_limits;
    bool is_other = memcmp(&p->wanted, limits, sizeof(*limits)) != 0;
    p->wanted = *limits;
    p->has_limits = true;
    if (is_first)
        p->wanted_usec = boottime_usec() + STORE_PRUNE_START_SEC * USEC_PER_SEC;
    else if (is_other)
        p->wanted_usec = boottime_usec();
    if (is_first || is_other)
        uv_cond_signal(&s->wake);
    uv_mutex_unlock(&s->mutex);
}

uint64_t store_prune_due_usec(const struct store_prune *p)
{
    if (!p->has_limits)
        return UINT64_MAX;
    return p->wanted_usec > 0 && p->wanted_usec < p->due_usec ? p->wanted_usec : p->due_usec;
}

/* --- 1: look ----------------------------------------------------------------------------------------- */

/* Without the pages that are free to be used again. */
static int read_size(struct store_db *db, const struct store_prune *p, int64_t *ret_bytes)
{
    int64_t n_pages, n_free = 0;
    int r = store_db_number(db, SLOT_PAGE_COUNT, "PRAGMA page_count", &n_pages);
    if (r == 0)
        r = store_db_number(db, SLOT_FREE_COUNT, "PRAGMA freelist_count", &n_free);
    *ret_bytes = (n_pages - n_free) * p->page_bytes;
    return r;
}

/* A renewal that succeeded had a certificate that was valid by this clock. */
static int read_proven(struct store_db *db, int64_t *ret_sec)
{
    int64_t of_grant, of_record;
    int r = store_db_number(db, SLOT_NONE, "SELECT max(refreshed_sec) FROM grant", &of_grant);
    if (r == 0)
        r = store_db_number(db, SLOT_NONE,
                            "SELECT time_sec FROM audit WHERE event = 'token-refreshed'"
                            " ORDER BY sequence DESC LIMIT 1",
                            &of_record);
    if (r == 0)
        *ret_sec = of_grant > of_record ? of_grant : of_record;
    return r;
}

static int read_newest(struct store_db *db, struct retention_now *now)
{
    _cleanup_statement_ struct statement st =
        statement_open(db, SLOT_NONE, "SELECT sequence, boot_id FROM audit ORDER BY sequence DESC LIMIT 1");
    int r = statement_step(&st);
    if (r != STEP_ROW)
        return r;
    now->newest = statement_get_int(&st, 0);
    (void)statement_copy_blob(&st, 1, now->boot_id, sizeof(now->boot_id));
    return 0;
}

/* How far to go for the size: as if all records were of one size. */
static int64_t size_target(const struct store_prune *p, int64_t bytes)
{
    int64_t max = p->limits.max_bytes;
    if (max == 0 || bytes <= max)
        return 0;
    int64_t excess = bytes - (max - max / STORE_PRUNE_MARGIN);
    int64_t n = p->now.newest - p->base;
    return p->base + 1 + (int64_t)((double)n * (double)excess / (double)bytes);
}

static int look(struct store *s)
{
    struct store_prune *p = &s->prune;
    struct audit_base base;
    int64_t bytes = 0;
    p->now = (struct retention_now){
        .wall_sec = wall_sec(),
        .boot_usec = boottime_usec(),
        .epoch = s->chain.committed.epoch,
        .keep_sec = p->limits.keep_sec,
    };
    int r = store_base_read(&s->db, &base);
    if (r == 0)
        r = read_newest(&s->db, &p->now);
    if (r == 0)
        r = read_proven(&s->db, &p->now.proven_sec);
    if (r == 0)
        r = store_db_number(&s->db, SLOT_NONE, "PRAGMA page_size", &p->page_bytes);
    if (r == 0)
        r = read_size(&s->db, p, &bytes);
    if (r < 0)
        return r;
    p->base = base.sequence;
    p->removed = base.removed;
    p->now.up_to = size_target(p, bytes);
    retention_walk_begin(&p->walk, &p->now);
    p->at = p->base;
    p->state = PRUNE_WALKS;
    return 0;
}

/* --- 2: walk ----------------------------------------------------------------------------------------- */

static void end_walk(struct store_prune *p)
{
    p->target = retention_walk_target(&p->walk);
    p->is_held = p->walk.is_held;
    if (p->target > p->base)
        p->state = PRUNE_SAYS;
    else
        rest(p);
}

static struct retention_record record_at(struct statement *st)
{
    struct retention_record record = {
        .sequence = statement_get_int(st, 0),
        .time_sec = statement_get_int(st, 1),
        .expires_sec = statement_get_int(st, 2),
        .boot_usec = (uint64_t)statement_get_int(st, 3),
        .epoch = (uint64_t)statement_get_int(st, 4),
    };
    (void)statement_copy_blob(st, 5, record.boot_id, sizeof(record.boot_id));
    return record;
}

static int walk(struct store *s)
{
    struct store_prune *p = &s->prune;
    _cleanup_statement_ struct statement st =
        statement_open(&s->db, SLOT_NONE,
                       "SELECT sequence, time_sec, expires_sec, boot_usec, epoch, boot_id FROM audit"
                       " WHERE sequence > ? ORDER BY sequence LIMIT ?");
    statement_int(&st, p->at);
    statement_int(&st, STORE_PRUNE_WALK_ROWS);
    bool goes_on = true;
    int r, n = 0;
    while (goes_on && (r = statement_step(&st)) != 0) {
        if (r < 0)
            return r;
        const struct retention_record record = record_at(&st);
        goes_on = retention_walk_see(&p->walk, &p->now, &record);
        p->at = record.sequence;
        n++;
    }
    if (!goes_on || n < STORE_PRUNE_WALK_ROWS)
        end_walk(p);
    return 0;
}

/* --- 3: say so --------------------------------------------------------------------------------------- */

static int say(struct store *s, struct store_op **ret_op)
{
    struct store_prune *p = &s->prune;
    const char *why = p->walk.by_age >= p->walk.by_size ? "age" : "size";
    char *detail;
    if (asprintf(&detail, "up to %lld, by %s", (long long)p->target, why) < 0)
        return -ENOMEM;
    *ret_op = store_chain_op(s, AUDIT_TRAIL_PRUNED, detail);
    if (!*ret_op)
        return -ENOMEM;
    p->state = PRUNE_REMOVES;
    return 0;
}

/* --- 4: remove --------------------------------------------------------------------------------------- */

/* The last record of the next turn. */
static int find_last(struct store *s, struct audit_base *base)
{
    const struct store_prune *p = &s->prune;
    _cleanup_statement_ struct statement st =
        statement_open(&s->db, SLOT_PRUNE_FIND,
                       "SELECT sequence, hash, epoch, time_sec FROM audit"
                       " WHERE sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?");
    statement_int(&st, p->base);
    statement_int(&st, p->target);
    statement_int(&st, p->rows);
    int r;
    while ((r = statement_step(&st)) == STEP_ROW) {
        base->sequence = statement_get_int(&st, 0);
        memset(base->hash, 0, sizeof(base->hash)); /* of before the trail was chained */
        (void)statement_copy_blob(&st, 1, base->hash, sizeof(base->hash));
        base->epoch = (uint64_t)statement_get_int(&st, 2);
        base->time_sec = statement_get_int(&st, 3);
    }
    return r;
}

static int remove_up_to(struct store_db *db, int64_t sequence, int64_t *ret_removed)
{
    _cleanup_statement_ struct statement st =
        statement_open(db, SLOT_PRUNE_DELETE, "DELETE FROM audit WHERE sequence <= ?");
    statement_int(&st, sequence);
    int r = statement_run(&st);
    *ret_removed = r == 0 ? sqlite3_changes(db->sqlite) : 0;
    return r;
}

static int write_base(struct store_db *db, const struct audit_base *base)
{
    _cleanup_statement_ struct statement st =
        statement_open(db, SLOT_PRUNE_BASE,
                       "INSERT OR REPLACE INTO audit_base"
                       " (id, sequence, hash, epoch, time_sec, removed, seal_epoch, seal)"
                       " VALUES (1, ?, ?, ?, ?, ?, ?, ?)");
    statement_int(&st, base->sequence);
    statement_blob(&st, base->hash, sizeof(base->hash));
    statement_int(&st, (int64_t)base->epoch);
    statement_int(&st, base->time_sec);
    statement_int(&st, base->removed);
    statement_int(&st, (int64_t)base->seal_epoch);
    statement_blob(&st, base->seal, sizeof(base->seal));
    return statement_run(&st);
}

int store_prune_remove(struct store *s)
{
    struct audit_base base = {.sequence = 0};
    int64_t n = 0;
    int r = find_last(s, &base);
    if (r == 0 && base.sequence > 0)
        r = remove_up_to(&s->db, base.sequence, &n);
    base.removed = s->prune.removed + n;
    if (r == 0 && base.sequence > 0) {
        store_chain_seal_base(&s->chain, &base);
        r = write_base(&s->db, &base);
    }
    s->prune.slice = base;
    return r;
}

static uint64_t smoothed(uint64_t before, uint64_t usec)
{
    return before ? before - before / 16 + usec / 16 : usec;
}

/* As many records as cost what an ordinary commit costs. */
static void adapt(struct store_prune *p, uint64_t usec)
{
    p->slice_usec = smoothed(p->slice_usec, usec);
    if (p->slice_usec > p->commit_usec)
        p->rows -= p->rows / 4;
    else if (p->slice_usec < p->commit_usec - p->commit_usec / 4)
        p->rows += 1 + p->rows / 8;
    if (p->rows < STORE_PRUNE_ROWS_MIN)
        p->rows = STORE_PRUNE_ROWS_MIN;
    if (p->rows > STORE_PRUNE_ROWS_MAX)
        p->rows = STORE_PRUNE_ROWS_MAX;
}

/* Pages that are not quite empty are not free: it may take some more. */
static void end_run(struct store_prune *p)
{
    bool was_by_size = p->walk.by_size > p->walk.by_age;
    rest(p);
    if (was_by_size)
        p->due_usec = boottime_usec();
}

void store_prune_removed(struct store_prune *p, uint64_t usec)
{
    adapt(p, usec);
    p->due_usec = boottime_usec() + STORE_PRUNE_PAUSE_PARTS * usec;
    p->removed = p->slice.removed;
    p->base = p->slice.sequence;
    if (p->base == 0 || p->base >= p->target)
        end_run(p);
}

static int may_remove(struct store *s)
{
    bool is_full = s->db.n_wal_pages >= 2 * STORE_WAL_PAGES && !s->is_wal_home;
    if (is_full) /* a reader keeps it */
        s->prune.due_usec = boottime_usec() + STORE_PRUNE_WAL_MSEC * USEC_PER_MSEC;
    return is_full ? 0 : STORE_PRUNE_REMOVES;
}

/* --- the worker's turn ------------------------------------------------------------------------------- */

/* Other bounds end the run under way. */
static void take_limits(struct store *s)
{
    struct store_prune *p = &s->prune;
    uv_mutex_lock(&s->mutex);
    if (p->wanted_usec > 0 && p->wanted_usec <= boottime_usec()) {
        p->limits = p->wanted;
        p->wanted_usec = 0;
        p->state = PRUNE_RESTS;
    }
    uv_mutex_unlock(&s->mutex);
}

int store_prune_turn(struct store *s, struct store_op **ret_op)
{
    struct store_prune *p = &s->prune;
    p->due_usec = 0; /* the next turn follows, but for what is said otherwise */
    take_limits(s);
    switch (p->state) {
    case PRUNE_RESTS:
        return look(s);
    case PRUNE_WALKS:
        return walk(s);
    case PRUNE_SAYS:
        return say(s, ret_op);
    case PRUNE_REMOVES:
        return may_remove(s);
    }
    return 0;
}

/* Looked at anew once there is no trouble any more. */
void store_prune_failed(struct store_prune *p)
{
    p->state = PRUNE_RESTS;
    p->due_usec = boottime_usec() + STORE_PRUNE_PAUSE_SEC * USEC_PER_SEC;
}

/* An idle device is not woken for what has to be looked at because it is in use. */
void store_prune_note_commit(struct store *s, uint64_t usec, bool is_lone)
{
    struct store_prune *p = &s->prune;
    int64_t bytes;
    uint64_t now = boottime_usec();
    if (is_lone) /* what it can cost, and not what it costs beside the removals */
        p->commit_usec = p->commit_usec > 0 && usec > p->commit_usec ? smoothed(p->commit_usec, usec) : usec;
    if (p->state != PRUNE_RESTS || now < p->look_usec)
        return;
    bool is_large =
        p->limits.max_bytes > 0 && read_size(&s->db, p, &bytes) == 0 && bytes > p->limits.max_bytes;
    if (is_large || (p->limits.keep_sec > 0 && now >= p->again_usec))
        p->due_usec = now;
}
