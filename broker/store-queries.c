/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"
#include "broker/store-matrix.h"

#include <string.h>

/* Queries of the trail read beside the writer: each on a connection of its own in a worker of libuv's pool,
 * so that a long one holds up no commit. */

static void query_free(struct store_query *q)
{
    if (!q)
        return;
    store_op_free(q->op);
    free(q->app);
    free(q);
}

static void query_freep(struct store_query **q)
{
    query_free(*q);
}

/* In a worker of libuv's pool, or in store_close(). */
static void run_query(uv_work_t *work)
{
    struct store_query *q = LIST_ENTRY(work, struct store_query, work);
    struct store *s = q->store;
    struct store_db db;
    int r = store_db_open(&db, s->path, s->vfs, STORE_DB_READER);
    if (r == 0) {
        r = q->read(&db, q, &q->op->reply);
        store_db_close(&db);
    }
    if (r < 0)
        store_reply_clear(&q->op->reply);
    q->op->reply.r = r;

    uv_mutex_lock(&s->mutex);
    q->finished = true;
    uv_cond_signal(&s->query_finished);
    uv_mutex_unlock(&s->mutex);
}

static void query_deliver(struct store_query *q)
{
    list_remove(&q->link);
    q->delivered = true;
    if (q->op->reply.r == -EUCLEAN) {
        q->store->is_damaged = true;
        store_set_health(q->store, -EUCLEAN);
    }
    store_op_finish(TAKE_PTR(q->op));
}

static void after_query(uv_work_t *work, int status _unused_)
{
    struct store_query *q = LIST_ENTRY(work, struct store_query, work);
    if (!q->delivered) /* else store_close() did, and the store may be gone */
        query_deliver(q);
    query_free(q);
}

static struct store_query *query_new(struct store *s)
{
    _cleanup_(query_freep) struct store_query *q = calloc(1, sizeof(*q));
    if (!q)
        return NULL;
    q->store = s;
    list_init(&q->link);
    q->op = store_op_new(NULL, NULL);
    return q->op ? TAKE_PTR(q) : NULL;
}

static int query_start(struct store_query *q, store_callback callback, void *userdata,
                       struct store_op **ret_op)
{
    struct store *s = q->store;
    if (uv_queue_work(s->loop, &q->work, run_query, after_query) < 0) {
        query_free(q);
        return -ENOMEM;
    }
    list_append(&s->queries, &q->link);
    store_op_set_callback(q->op, callback, userdata, ret_op);
    return 0;
}

int store_audit_query(struct store *s, int64_t after, unsigned limit, bool newest, uid_t uid_only,
                      store_callback callback, void *userdata, struct store_op **ret_op)
{
    if (s->stopping)
        return -ESHUTDOWN;
    struct store_query *q = query_new(s);
    if (!q)
        return -ENOMEM;
    q->read = store_audit_read;
    q->after = after;
    q->limit = limit < 1 ? 1 : limit > STORE_QUERY_RECORDS_MAX ? STORE_QUERY_RECORDS_MAX : limit;
    q->newest = newest;
    q->uid_only = uid_only;
    return query_start(q, callback, userdata, ret_op);
}

int store_exposure_query(struct store *s, int64_t after_sec, uid_t uid_only, const char *app,
                         store_callback callback, void *userdata, struct store_op **ret_op)
{
    if (s->stopping)
        return -ESHUTDOWN;
    struct store_query *q = query_new(s);
    if (!q)
        return -ENOMEM;
    q->read = store_exposure_read;
    q->exposed_after_sec = after_sec > 0 ? after_sec : 1;
    q->limit = STORE_QUERY_RECORDS_MAX;
    q->uid_only = uid_only;
    q->app = strdup(app);
    if (!q->app) {
        query_free(q);
        return -ENOMEM;
    }
    return query_start(q, callback, userdata, ret_op);
}

int store_matrix_query(struct store *s, int64_t since_sec, int64_t now_sec, uid_t uid_only,
                       store_callback callback, void *userdata, struct store_op **ret_op)
{
    if (s->stopping)
        return -ESHUTDOWN;
    struct store_query *q = query_new(s);
    if (!q)
        return -ENOMEM;
    q->read = store_matrix_read;
    q->since_sec = since_sec;
    q->exposed_after_sec = now_sec;
    q->uid_only = uid_only;
    return query_start(q, callback, userdata, ret_op);
}

bool store_query_is_dropped(const struct store_query *q)
{
    return __atomic_load_n(&q->op->is_dropped, __ATOMIC_RELAXED);
}

/* A query that has begun is waited for, one that has not is run here. libuv calls after_query() for both once
 * the loop turns again. */
void store_queries_finish(struct store *s)
{
    while (!list_is_empty(&s->queries)) {
        struct store_query *q = LIST_ENTRY(s->queries.next, struct store_query, link);
        if (uv_cancel((uv_req_t *)&q->work) == 0)
            run_query(&q->work);
        uv_mutex_lock(&s->mutex);
        while (!q->finished)
            uv_cond_wait(&s->query_finished, &s->mutex);
        uv_mutex_unlock(&s->mutex);
        query_deliver(q);
    }
}
