/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"
#include "util/clock.h"

/* The thread, in a circle:
 *
 * 1. wait for operations, for repeat counters that are due, or for the end;
 * 2. take all that is queued, up to a batch; after a commit that served several, those who come back are
 * waited for, for a part of a commit;
 * 3. BEGIN IMMEDIATE; each operation in a savepoint of its own, undone alone if it fails; some repeat
 *    counters; COMMIT, which returns once the WAL is synced;
 * 4. see that the files that were written still have their names: what was committed into a file that is no
 *    longer in the folder is gone after a restart;
 * 5. only now hand the batch to the loop. If the transaction as a whole failed, every operation of it did,
 *    and the connection is rolled back: the next batch is tried anew, so a disk that has room again just
 *    works;
 * 6. checkpoint when the WAL is long, after the batch was handed over.
 *
 * A turn in which nothing is to be done may be used to remove old records (store-prune.c).
 *
 * While something fails a write of no consequence is tried every few seconds, so that it is known when the
 * trouble is over though nobody asks for anything. */

/* What one turn of the circle works on. */
struct batch {
    struct list ops;
    struct store_stamp last; /* no record of it is later, and none that comes after it is earlier */
    struct store_repeat repeats[STORE_REPEATS_PER_COMMIT];
    size_t n_repeats;
    bool repeats_failed;
    bool prunes;   /* removes old records, or finds out which */
    bool removes;  /* in its transaction */
    bool is_lone;  /* it has one operation */
    uint64_t usec; /* what its transaction took; 0: it had none */
};

/* --- the transaction --------------------------------------------------------------------------------- */

static int savepoint_end(struct store_db *db, bool keep)
{
    int r = keep ? 0 : store_db_exec(db, "ROLLBACK TO op");
    return r < 0 ? r : store_db_exec_kept(db, SLOT_RELEASE, "RELEASE op");
}

/* Negative only when the transaction itself is lost; how the operation went is in its reply. */
static int run_op(struct store *s, struct store_op *op)
{
    int r = store_db_exec_kept(&s->db, SLOT_SAVEPOINT, "SAVEPOINT op");
    if (r < 0)
        return r;
    const struct store_chain_link link = s->chain.link;
    op->chain = &s->chain;
    r = store_rows_run(&s->db, s->master, op);
    if (r != 0) {
        store_reply_clear(&op->reply);
        s->chain.link = link;
    }
    op->reply.r = r;
    if (sqlite3_get_autocommit(s->db.sqlite)) /* SQLite rolled everything back: disk full, I/O error, ... */
        return r < 0 ? r : -EIO;
    return savepoint_end(&s->db, r == 0);
}

/* A counter that cannot be written takes no operation along. */
static int run_repeats(struct store *s, struct batch *batch)
{
    if (batch->n_repeats == 0)
        return 0;
    int r = store_db_exec_kept(&s->db, SLOT_SAVEPOINT, "SAVEPOINT op");
    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < batch->n_repeats; i++)
        r = store_repeats_write(&s->db, &s->chain, &batch->repeats[i]);
    batch->repeats_failed = r < 0;
    return sqlite3_get_autocommit(s->db.sqlite) ? -EIO : savepoint_end(&s->db, r == 0);
}

/* Another value each time: SQLite does not write what is there already. */
static int run_probe(struct store *s)
{
    _cleanup_statement_ struct statement st =
        statement_open(&s->db, SLOT_NONE,
                       "INSERT INTO meta (name, value) VALUES ('probe', randomblob(8))"
                       " ON CONFLICT (name) DO UPDATE SET value = excluded.value");
    return statement_run(&st);
}

/* Records that go before all others: they come in front. */
static void take_notes(struct store *s, struct batch *batch)
{
    struct store_stamp first = batch->last;
    const struct store_op *op;
    LIST_FOREACH (op, &batch->ops, link)
        if (op->record) {
            first = (struct store_stamp){op->record->time_sec, op->record->boot_usec};
            break;
        }
    struct list ops;
    list_init(&ops);
    list_move_all(&batch->ops, &ops);
    list_move_all(&s->chain.notes, &batch->ops);
    struct store_op *note;
    LIST_FOREACH (note, &batch->ops, link)
        store_op_stamp(note, &first);
    list_move_all(&ops, &batch->ops);
}

/* For the next transaction. One that ends an epoch is made anew, and so is one that says what is removed. */
static void return_notes(struct store *s, struct batch *batch)
{
    struct store_op *op, *after;
    LIST_FOREACH_SAFE (op, after, &batch->ops, link) {
        if (!op->is_own)
            continue;
        list_remove(&op->link);
        if (op->record->event == AUDIT_TRAIL_SEALED || op->record->event == AUDIT_TRAIL_PRUNED)
            store_op_free(op);
        else
            list_append(&s->chain.notes, &op->link);
    }
}

/* Nothing comes after it but what seals nothing. It takes no operation along, unless a setup needs it. */
static int end_epoch(struct store *s, struct batch *batch)
{
    bool is_needed = s->chain.link.is_setup;
    struct store_op *op = store_chain_op(s, AUDIT_TRAIL_SEALED, NULL);
    int r = op ? 0 : -ENOMEM;
    if (r == 0) {
        store_op_stamp(op, &batch->last);
        list_append(&batch->ops, &op->link);
        r = run_op(s, op);
        if (r < 0)
            return r;
        r = op->reply.r;
    }
    if (r == 0 || is_needed)
        return r;
    if (op) {
        list_remove(&op->link);
        store_op_free(op);
    }
    store_chain_put_off_end(&s->chain);
    return 0;
}

static int run_ops(struct store *s, struct batch *batch)
{
    struct store_op *op;
    LIST_FOREACH (op, &batch->ops, link) {
        int r = run_op(s, op);
        if (r == 0 && op->is_own)
            r = op->reply.r;
        if (r < 0)
            return r;
    }
    return 0;
}

static int run_transaction(struct store *s, struct batch *batch)
{
    int r = store_db_exec_kept(&s->db, SLOT_BEGIN, "BEGIN IMMEDIATE");
    if (r == 0)
        r = store_chain_begin(s);
    if (r == 0) {
        take_notes(s, batch);
        r = batch->removes ? store_prune_remove(s) : 0;
    }
    if (r == 0)
        r = run_ops(s, batch);
    if (r == 0)
        r = run_repeats(s, batch);
    if (r == 0 && store_chain_must_end(&s->chain))
        r = end_epoch(s, batch);
    if (r == 0 && (s->trouble < 0 || s->chain.wants_write))
        r = run_probe(s);
    if (r == 0)
        r = store_db_exec_kept(&s->db, SLOT_COMMIT, "COMMIT");
    return r;
}

static bool has_work(const struct store *s, const struct batch *batch)
{
    return !list_is_empty(&batch->ops) || batch->n_repeats > 0 || batch->removes || s->trouble < 0 ||
           !s->chain.is_started || s->chain.is_uncertain || store_chain_must_end(&s->chain);
}

/* --- the files --------------------------------------------------------------------------------------- */

/* All of the database's content is in the file itself afterwards, and synced. */
static int checkpoint_all(struct store *s)
{
    int n_log, n_done;
    int r = store_db_errno(
        sqlite3_wal_checkpoint_v2(s->db.sqlite, NULL, SQLITE_CHECKPOINT_FULL, &n_log, &n_done));
    return r == 0 && n_done != n_log ? -EBUSY : r;
}

/* The WAL or its index was removed. SQLite still has it open: its content goes into the database, and the
 * database is opened anew, which makes new ones. */
static int renew_connection(struct store *s)
{
    int r = checkpoint_all(s);
    if (r < 0)
        return r;
    store_db_close(&s->db);
    return store_schema_reopen(&s->db, s->path, s->vfs, &s->files);
}

static int ensure_connection(struct store *s)
{
    return s->db.sqlite ? 0 : store_schema_reopen(&s->db, s->path, s->vfs, &s->files);
}

static int ensure_files(struct store *s)
{
    int r = store_files_check(&s->files, s->path);
    return r == STORE_FILES_E_WAL ? renew_connection(s) : r;
}

static void fail_all(struct batch *batch, int r)
{
    struct store_op *op;
    LIST_FOREACH (op, &batch->ops, link) {
        store_reply_clear(&op->reply);
        op->reply.r = r;
    }
}

/* The loop is told what is wrong, and gets the batch. */
static void hand_over(struct store *s, struct batch *batch)
{
    s->trouble = s->failure < 0 ? s->failure : s->checkpoint_r;
    enum store_trail_trouble trail = s->chain.is_damaged         ? STORE_TRAIL_DAMAGED
                                     : s->chain.file_failure < 0 ? STORE_TRAIL_KEY_FILE
                                     : s->prune.is_held          ? STORE_TRAIL_LARGE
                                                                 : STORE_TRAIL_OK;
    uv_mutex_lock(&s->mutex);
    bool has_news = s->reported != s->trouble || s->trail_reported != trail || !list_is_empty(&batch->ops);
    s->reported = s->trouble;
    s->trail_reported = trail;
    while (!list_is_empty(&batch->ops)) {
        struct list *first = batch->ops.next;
        list_remove(first);
        list_append(&s->done, first);
    }
    uv_mutex_unlock(&s->mutex);
    if (has_news)
        (void)uv_async_send(&s->async);
}

static void checkpoint(struct store *s)
{
    if (!s->db.sqlite || (!s->truncate_due && s->db.n_wal_pages < STORE_WAL_PAGES))
        return;
    int n_log, n_done, mode = s->truncate_due ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
    (void)sqlite3_busy_timeout(s->db.sqlite, 0); /* a reader in the WAL must not hold up the next commit */
    int r = store_db_errno(sqlite3_wal_checkpoint_v2(s->db.sqlite, NULL, mode, &n_log, &n_done));
    s->is_wal_home = r == 0 && n_log == n_done;
    if (r == 0)
        s->truncate_due = false;
    s->checkpoint_r = r == -EBUSY ? 0 : r;
    (void)sqlite3_busy_timeout(s->db.sqlite, STORE_BUSY_MSEC);
}

/* What the database says counts, not how the batch went: a commit that was made can be reported as failed.
 * What follows is sealed with the new key, and its file takes the old one's place; if that fails, or the
 * database cannot be asked now, both files stay, and the next start finds the one that fits. */
static void adopt_key(struct store *s, struct store_op *op)
{
    if (!s->db.sqlite || !store_keys_fit(&s->db, op->next_master))
        return;
    secret_free(s->master);
    s->master = TAKE_PTR(op->next_master);
    op->reply.is_key_beside = keys_put_in_place(op->text, s->master) < 0;
}

/* An operation can fail where its transaction does not: at a page that cannot be read. */
static int find_damage(const struct batch *batch)
{
    const struct store_op *op;
    LIST_FOREACH (op, &batch->ops, link)
        if (op->reply.r == -EUCLEAN || op->reply.r == -EIO)
            return op->reply.r;
    return 0;
}

/* Damage stays: what was read around it may be good, but nobody has looked since. */
static void judge(struct store *s, const struct batch *batch, int r)
{
    if (s->failure != -EUCLEAN)
        s->failure = r < 0 ? r : find_damage(batch);
    s->probe_due_usec = boottime_usec() + STORE_PROBE_SEC * USEC_PER_SEC;
}

static int prune(struct store *s, struct batch *batch)
{
    struct store_op *op = NULL;
    int r = store_prune_turn(s, &op);
    if (op) {
        store_op_stamp(op, &batch->last);
        list_append(&batch->ops, &op->link);
    }
    batch->removes = r == STORE_PRUNE_REMOVES;
    return r < 0 ? r : 0;
}

/* What became of it; and what the trail has grown to. */
static void end_prune(struct store *s, const struct batch *batch, int r)
{
    if (batch->prunes && r < 0)
        store_prune_failed(&s->prune);
    else if (batch->removes)
        store_prune_removed(&s->prune, batch->usec);
    else if (r == 0 && batch->usec > 0)
        store_prune_note_commit(s, batch->usec, batch->is_lone);
}

/* The transaction, between two looks at the files: before, since nothing is to be done that would be found
 * lost afterwards. */
static int write_batch(struct store *s, struct batch *batch)
{
    int r = ensure_connection(s);
    if (r == 0)
        r = ensure_files(s);
    if (r == 0 && batch->prunes)
        r = prune(s, batch);
    if (r < 0 || !has_work(s, batch))
        return r;
    uint64_t begun = boottime_usec();
    batch->is_lone = !list_is_empty(&batch->ops) && batch->ops.next == batch->ops.prev;
    r = run_transaction(s, batch);
    batch->usec = s->last_commit_usec = boottime_usec() - begun;
    if (r == 0)
        r = ensure_files(s);
    if (r == 0)
        store_chain_commit(s);
    else
        store_chain_fail(s);
    return r;
}

static void fail_batch(struct store *s, struct batch *batch, int r)
{
    if (s->db.sqlite)
        store_db_rollback(&s->db);
    return_notes(s, batch);
    fail_all(batch, r);
}

static void run_batch(struct store *s, struct batch *batch)
{
    bool truncates = false;
    int r = write_batch(s, batch);
    if (r < 0)
        fail_batch(s, batch, r);
    if (r < 0 || batch->repeats_failed)
        store_repeats_return(s, batch->repeats, batch->n_repeats);
    struct store_op *op;
    LIST_FOREACH (op, &batch->ops, link) {
        truncates |= op->truncates && op->reply.r == 0;
        if (op->next_master)
            adopt_key(s, op);
    }
    s->truncate_due |= truncates;
    judge(s, batch, r);
    hand_over(s, batch);
    end_prune(s, batch, r);
    store_chain_keep(s);
    checkpoint(s);
    hand_over(s, batch); /* nothing but how that went */
}

/* --- the thread -------------------------------------------------------------------------------------- */

static uint64_t until(uint64_t due_usec)
{
    uint64_t now = due_usec == UINT64_MAX ? 0 : boottime_usec();
    return now >= due_usec ? 0 : due_usec - now;
}

static uint64_t own_due_usec(const struct store *s)
{
    uint64_t prune = store_prune_due_usec(&s->prune), chain = store_chain_due_usec(&s->chain);
    return prune < chain ? prune : chain;
}

/* How long there is nothing to do, as far as is known; 0: there is. UINT64_MAX: until woken. */
static uint64_t idle_usec(const struct store *s)
{
    if (!list_is_empty(&s->queue))
        return 0;
    uint64_t idle = UINT64_MAX;
    if (s->n_repeats > 0)
        idle = until(s->repeats_due_usec);
    if (s->truncate_due && idle > STORE_TRUNCATE_RETRY_SEC * USEC_PER_SEC)
        idle = STORE_TRUNCATE_RETRY_SEC * USEC_PER_SEC;
    /* What is due by itself waits for the end of a trouble. */
    uint64_t other = until(s->trouble < 0 ? s->probe_due_usec : own_due_usec(s));
    return other < idle ? other : idle;
}

static bool has_queued(const struct store *s, unsigned n)
{
    const struct list *at = &s->queue;
    for (; n > 0 && at->next != &s->queue; n--)
        at = at->next;
    return n == 0;
}

/* Those who were answered together come back together. The first of them would get a commit for itself, and
 * all others wait for it: so it waits for them, for a part of a commit. Who comes alone waits for nobody. */
static void gather(struct store *s)
{
    if (s->n_last_ops < 2 || list_is_empty(&s->queue))
        return;
    uint64_t end = boottime_usec() + s->last_commit_usec / STORE_GATHER_PART, left;
    while (!s->stopping && !has_queued(s, s->n_last_ops) && (left = until(end)) > 0)
        (void)uv_cond_timedwait(&s->wake, &s->mutex, left * 1000);
}

/* Where nothing else is to be done. */
static bool may_prune(const struct store *s)
{
    uint64_t now = boottime_usec();
    return s->trouble == 0 && !s->stopping && list_is_empty(&s->queue) &&
           store_prune_due_usec(&s->prune) <= now && (s->n_repeats == 0 || s->repeats_due_usec > now);
}

static void take_ops(struct store *s, struct batch *batch)
{
    bool is_alone = false;
    s->n_last_ops = 0;
    while (s->n_last_ops < STORE_BATCH_OPS_MAX && !list_is_empty(&s->queue) && !is_alone) {
        struct store_op *first = LIST_ENTRY(s->queue.next, struct store_op, link);
        is_alone = first->is_alone;
        if (is_alone && s->n_last_ops > 0)
            return;
        list_remove(&first->link);
        list_append(&batch->ops, &first->link);
        s->n_last_ops++;
    }
}

/* Now, unless records wait that are older. */
static struct store_stamp last_stamp(const struct store *s)
{
    const struct store_op *op;
    LIST_FOREACH (op, &s->queue, link)
        if (op->record)
            return (struct store_stamp){op->record->time_sec, op->record->boot_usec};
    return store_stamp_now();
}

/* False: the store is stopping, and nothing is left. */
static bool take_batch(struct store *s, struct batch *batch)
{
    uv_mutex_lock(&s->mutex);
    uint64_t idle;
    while ((idle = idle_usec(s)) > 0 && !s->stopping)
        if (idle == UINT64_MAX)
            uv_cond_wait(&s->wake, &s->mutex);
        else if (uv_cond_timedwait(&s->wake, &s->mutex, idle * 1000) == UV_ETIMEDOUT)
            break;

    gather(s);
    batch->prunes = may_prune(s);
    take_ops(s, batch);
    if (!batch->prunes)
        batch->n_repeats = store_repeats_take(s, batch->repeats);
    batch->last = last_stamp(s);
    bool more = !s->stopping || !list_is_empty(&batch->ops) || batch->n_repeats > 0;
    uv_mutex_unlock(&s->mutex);
    return more;
}

void store_worker_start(struct store *s)
{
    struct batch batch = {.n_repeats = 0};
    list_init(&batch.ops);
    batch.last = store_stamp_now();
    run_batch(s, &batch);
}

void store_worker_main(void *store)
{
    struct store *s = store;
    for (;;) {
        struct batch batch = {.n_repeats = 0};
        list_init(&batch.ops);
        if (!take_batch(s, &batch))
            return;
        run_batch(s, &batch);
    }
}
