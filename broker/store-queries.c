/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"
#include "util/clock.h"

/* Queries of the trail read beside the writer: each on a connection of its own in a worker of libuv's pool,
 * so that a long one holds up no commit. The pool has other work too, so at most LIMIT_AUDIT_QUERIES are in
 * it; of these, one may be long. The others wait for their turn.
 *
 * Turns are fair between users: a query comes one turn after the last one of the same user, or after the one
 * that was started last if he has none. So whoever asks a hundred times is served once before another's first
 * query, and not a hundred times. */

static void query_free(struct store_query *q)
{
    if (!q)
        return;
    store_op_free(q->op);
    if (q->asked)
        q->free_asked(q->asked);
    free(q);
}

static void query_freep(struct store_query **q)
{
    query_free(*q);
}

struct store_query *store_query_new(struct store *s, uid_t asker, store_query_run run, void *asked,
                                    void (*free_asked)(void *asked))
{
    _cleanup_(query_freep) struct store_query *q = calloc(1, sizeof(*q));
    if (!q) {
        free_asked(asked);
        return NULL;
    }
    list_init(&q->link);
    q->store = s;
    q->asker = asker;
    q->run = run;
    q->asked = asked;
    q->free_asked = free_asked;
    q->op = store_op_new(NULL, NULL);
    if (!q->op)
        return NULL;
    q->op->query = q;
    return TAKE_PTR(q);
}

/* --- in the worker ----------------------------------------------------------------------------------- */

bool store_query_is_over(struct store_query *q)
{
    uv_mutex_lock(&q->store->mutex);
    bool is_over = q->is_over;
    uv_mutex_unlock(&q->store->mutex);
    return is_over;
}

/* In the middle of a statement, too. */
static bool is_over(void *userdata)
{
    struct store_query *q = userdata;
    return (q->interrupt_usec != 0 && boottime_usec() >= q->interrupt_usec) || store_query_is_over(q);
}

static void run_query(uv_work_t *work)
{
    struct store_query *q = LIST_ENTRY(work, struct store_query, work);
    struct store *s = q->store;
    struct store_db db;
    int r = store_db_open(&db, s->path, s->vfs, STORE_DB_READER);
    if (r == 0) {
        store_db_watch(&db, is_over, q);
        r = q->run(&db, q, &q->op->reply);
        store_db_close(&db);
    }
    if (r < 0)
        store_reply_clear(&q->op->reply);
    q->op->reply.r = r;

    uv_mutex_lock(&s->mutex);
    q->is_finished = true;
    uv_cond_signal(&s->query_finished);
    uv_mutex_unlock(&s->mutex);
}

/* --- on the loop ------------------------------------------------------------------------------------- */

static void after_query(uv_work_t *work, int status);

/* Starts those whose turn it is, as many as there is room for. */
static void start_waiting(struct store *s)
{
    struct store_query *q, *after;
    LIST_FOREACH_SAFE (q, after, &s->waiting_queries, link) {
        if (s->n_queries == LIMIT_AUDIT_QUERIES)
            return;
        if (q->is_long && s->has_long_query)
            continue;
        list_remove(&q->link);
        list_append(&s->queries, &q->link);
        s->query_turn = q->turn;
        s->n_queries++;
        s->has_long_query |= q->is_long;
        q->is_running = true;
        (void)uv_queue_work(s->loop, &q->work, run_query, after_query); /* it only fails without a function */
    }
}

/* Takes it out of the books: from here on it counts no more, and the next one may be started. */
static void take_out(struct store_query *q)
{
    struct store *s = q->store;
    list_remove(&q->link);
    q->is_delivered = true;
    if (q->is_running) {
        s->n_queries--;
        s->has_long_query &= !q->is_long;
    }
    if (q->op->reply.r == -EUCLEAN) {
        s->is_damaged = true;
        store_set_health(s, -EUCLEAN);
    }
}

/* The store may be gone after it. */
static void deliver(struct store_query *q)
{
    q->op->query = NULL;
    store_op_finish(TAKE_PTR(q->op));
}

static void after_query(uv_work_t *work, int status _unused_)
{
    struct store_query *q = LIST_ENTRY(work, struct store_query, work);
    if (!q->is_delivered) { /* else store_close() did, and the store may be gone */
        take_out(q);
        start_waiting(q->store);
        deliver(q);
    }
    query_free(q);
}

static uint64_t last_turn_of(const struct list *queries, uid_t asker)
{
    uint64_t last = 0;
    const struct store_query *q;
    LIST_FOREACH (q, queries, link)
        if (q->asker == asker && q->turn > last)
            last = q->turn;
    return last;
}

static void enqueue(struct store *s, struct store_query *q)
{
    uint64_t waiting = last_turn_of(&s->waiting_queries, q->asker);
    uint64_t running = last_turn_of(&s->queries, q->asker);
    q->turn = s->query_turn + 1;
    if (waiting >= q->turn || running >= q->turn)
        q->turn = (waiting > running ? waiting : running) + 1;
    struct list *before = s->waiting_queries.prev;
    while (before != &s->waiting_queries && LIST_ENTRY(before, struct store_query, link)->turn > q->turn)
        before = before->prev;
    list_append(before->next, &q->link); /* in front of the one that it precedes, or of the head */
}

int store_query_start(struct store_query *q, store_callback callback, void *userdata,
                      struct store_op **ret_op)
{
    struct store *s = q->store;
    if (s->stopping) {
        query_free(q);
        return -ESHUTDOWN;
    }
    store_op_set_callback(q->op, callback, userdata, ret_op);
    enqueue(s, q);
    start_waiting(s);
    return 0;
}

void store_query_drop(struct store_query *q)
{
    if (!q->is_running) {
        list_remove(&q->link);
        query_free(q);
        return;
    }
    uv_mutex_lock(&q->store->mutex);
    q->is_over = true;
    uv_mutex_unlock(&q->store->mutex);
}

/* Those under way are told to end, and waited for; libuv calls after_query() for them once the loop turns
 * again. */
static void end_running(struct store *s)
{
    struct store_query *q = LIST_ENTRY(s->queries.next, struct store_query, link);
    bool has_begun = uv_cancel((uv_req_t *)&q->work) < 0;
    uv_mutex_lock(&s->mutex);
    q->is_over = true;
    while (has_begun && !q->is_finished)
        uv_cond_wait(&s->query_finished, &s->mutex);
    uv_mutex_unlock(&s->mutex);
    if (!has_begun || q->op->reply.r == -EINTR)
        q->op->reply.r = -ESHUTDOWN;
    take_out(q);
    deliver(q); /* after_query() frees the rest */
}

void store_queries_finish(struct store *s)
{
    while (!list_is_empty(&s->waiting_queries)) {
        struct store_query *q = LIST_ENTRY(s->waiting_queries.next, struct store_query, link);
        q->op->reply.r = -ESHUTDOWN;
        take_out(q);
        deliver(q);
        query_free(q);
    }
    while (!list_is_empty(&s->queries))
        end_running(s);
}
