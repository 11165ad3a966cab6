/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/reserve.h"
#include "broker/store-internal.h"
#include "broker/store-matrix.h"
#include "util/boot-id.h"
#include "util/clock.h"

#include <signal.h>
#include <sodium.h>
#include <string.h>

/* The side of the loop (the calls: store-calls.c; queries: store-queries.c). Each call makes one operation,
 * which owns copies of all it needs, and queues it. The worker hands it back through `done` and the async
 * handle. A callback may call anything, store_close() included: operations are taken off `done` one at a
 * time, and the struct outlives the call, since libuv frees it only when the async handle is closed. */

/* --- operations -------------------------------------------------------------------------------------- */

void store_reply_clear(struct store_reply *reply)
{
    secret_free(reply->token);
    for (size_t i = 0; i < reply->n_records; i++)
        audit_record_free(reply->records[i]);
    free(reply->records);
    store_matrix_free(reply->matrix);
    free(reply->verify);
    *reply = (struct store_reply){.r = 0};
}

void store_op_free(struct store_op *op)
{
    if (!op)
        return;
    store_reply_clear(&op->reply);
    audit_record_free(op->record);
    audit_record_free(op->events);
    secret_free(op->token);
    secret_free(op->next_master);
    free((void *)op->to.superseded);
    strv_clear(&op->strings);
    free(op);
}

struct store_op *store_op_new(struct audit_record *record, struct secret *token)
{
    struct store_op *op = reserve_calloc(1, sizeof(*op));
    if (!op) {
        audit_record_free(record);
        secret_free(token);
        return NULL;
    }
    list_init(&op->link);
    op->record = record;
    op->token = token;
    op->now_sec = wall_sec();
    return op;
}

int store_op_copy(struct store_op *op, const char *text, const char **ret)
{
    int r = strv_add(&op->strings, text ? text : "");
    if (r == 0)
        *ret = op->strings.items[op->strings.n - 1];
    return r;
}

void store_op_drop(struct store_op *op)
{
    if (!op)
        return;
    op->callback = NULL;
    if (op->query)
        store_query_drop(op->query); /* it may be gone now */
}

void store_op_finish(struct store_op *op)
{
    store_callback callback = op->callback;
    op->callback = NULL;
    /* What could not be stored is handed back, to be tried again. */
    if (op->reply.r < 0 && op->token)
        op->reply.token = TAKE_PTR(op->token);
    if (callback)
        callback(&op->reply, op->userdata);
    store_op_free(op);
}

/* An operation in hand keeps the loop alive, an idle store does not. */
static void count_pending(struct store *s, int change)
{
    if (s->n_pending == 0)
        uv_ref((uv_handle_t *)&s->async);
    s->n_pending += (unsigned)change;
    if (s->n_pending == 0)
        uv_unref((uv_handle_t *)&s->async);
}

void store_op_set_callback(struct store_op *op, store_callback callback, void *userdata,
                           struct store_op **ret_op)
{
    op->callback = callback;
    op->userdata = userdata;
    if (ret_op)
        *ret_op = callback ? op : NULL; /* without a callback nobody could tell when the slot is gone */
}

void store_op_stamp(struct store_op *op, const struct store_stamp *stamp)
{
    struct audit_record *record = op->record;
    if (record && record->time_sec == 0)
        record->time_sec = stamp->wall_sec;
    if (record && record->boot_usec == 0)
        record->boot_usec = stamp->boot_usec;
}

struct store_stamp store_stamp_now(void)
{
    return (struct store_stamp){.wall_sec = wall_sec(), .boot_usec = boottime_usec()};
}

int store_op_submit(struct store *s, struct store_op *op, store_callback callback, void *userdata,
                    struct store_op **ret_op)
{
    if (s->stopping) { /* only this thread sets it */
        store_op_free(op);
        return -ESHUTDOWN;
    }
    if (op->record)
        memcpy(op->record->boot_id, s->boot_id, sizeof(s->boot_id));
    store_op_set_callback(op, callback, userdata, ret_op);
    count_pending(s, 1);
    uv_mutex_lock(&s->mutex);
    /* Not before: the order of the times is that of the records. */
    const struct store_stamp now = store_stamp_now();
    store_op_stamp(op, &now);
    list_append(&s->queue, &op->link);
    uv_cond_signal(&s->wake);
    uv_mutex_unlock(&s->mutex);
    return 0;
}

static struct store_op *pop_unlocked(struct store *s)
{
    if (list_is_empty(&s->done))
        return NULL;
    struct store_op *op = LIST_ENTRY(s->done.next, struct store_op, link);
    list_remove(&op->link);
    return op;
}

static struct store_op *pop_done(struct store *s)
{
    uv_mutex_lock(&s->mutex);
    struct store_op *op = pop_unlocked(s);
    uv_mutex_unlock(&s->mutex);
    return op;
}

void store_on_record(struct store *s, store_record_callback callback, void *userdata)
{
    s->on_record = callback;
    s->on_record_userdata = userdata;
}

/* The listener may end its listening while it is told. */
static void tell_record(const struct store *s, const struct audit_record *record)
{
    if (s->on_record)
        s->on_record(record, s->on_record_userdata);
}

static void tell_records(const struct store *s, const struct store_op *op)
{
    if (op->reply.r != 0)
        return;
    for (const struct audit_record *event = op->events; event; event = event->next)
        tell_record(s, event);
    if (op->record)
        tell_record(s, op->record);
}

static void deliver(struct store *s)
{
    uv_mutex_lock(&s->mutex);
    int reported = s->reported;
    enum store_trail_trouble trail = s->trail_reported;
    uv_mutex_unlock(&s->mutex);
    store_set_health(s, s->is_damaged ? -EUCLEAN : reported);
    store_set_trail_trouble(s, trail);
    struct store_op *op;
    while ((op = pop_done(s))) {
        bool is_counted = !op->is_own;
        tell_records(s, op);
        store_op_finish(op);
        if (is_counted)
            count_pending(s, -1);
    }
}

static void on_async(uv_async_t *async)
{
    deliver(async->data);
}

void store_key_id(const struct store *s, unsigned char ret[KEYS_ID_BYTES])
{
    memcpy(ret, s->key_id, KEYS_ID_BYTES);
}

/* --- keyed hashes ------------------------------------------------------------------------------------ */

static void keyed_hash(const struct store *s, const char personal[crypto_generichash_blake2b_PERSONALBYTES],
                       const void *bytes, size_t n, unsigned char *ret, size_t n_ret)
{
    (void)crypto_generichash_blake2b_salt_personal(ret, n_ret, bytes, n, secret_bytes(s->index),
                                                   secret_size(s->index), NULL,
                                                   (const unsigned char *)personal);
}

void store_fingerprint(const struct store *s, const void *token, size_t n,
                       unsigned char ret[AUDIT_FINGERPRINT_BYTES])
{
    keyed_hash(s, "token print 0001", token, n, ret, AUDIT_FINGERPRINT_BYTES);
}

void store_customer_hash(const struct store *s, const char *user_id, unsigned char ret[STORE_CUSTOMER_BYTES])
{
    keyed_hash(s, "customer id 0001", user_id, strlen(user_id), ret, STORE_CUSTOMER_BYTES);
}

/* --- open and close ---------------------------------------------------------------------------------- */

static void store_free(struct store *s)
{
    struct store_op *op;
    while ((op = pop_unlocked(s)))
        store_op_free(op);
    secret_free(s->master);
    secret_free(s->index);
    store_chain_close(&s->chain);
    free(s->key_file);
    free(s->path);
    free(s->vfs);
    free(s->repeats);
    free(s);
}

static int init_locks(struct store *s)
{
    int r = uv_mutex_init(&s->mutex);
    if (r < 0)
        return r;
    r = uv_cond_init(&s->wake);
    if (r == 0) {
        r = uv_cond_init(&s->query_finished);
        if (r == 0)
            return 0;
        uv_cond_destroy(&s->wake);
    }
    uv_mutex_destroy(&s->mutex);
    return r;
}

static void deinit_locks(struct store *s)
{
    uv_cond_destroy(&s->query_finished);
    uv_cond_destroy(&s->wake);
    uv_mutex_destroy(&s->mutex);
}

/* Only now, since store_close() may have been called from a callback of deliver(). */
static void on_closed(uv_handle_t *handle)
{
    struct store *s = handle->data;
    deinit_locks(s);
    store_free(s);
}

/* Signals are the loop's business: the thread starts with all of them blocked. */
static int start_thread(struct store *s)
{
    static const uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE,
                                                .stack_size = STORE_THREAD_STACK_BYTES};
    sigset_t all, before;
    (void)sigfillset(&all);
    int r = -pthread_sigmask(SIG_SETMASK, &all, &before);
    if (r < 0)
        return r;
    r = uv_thread_create_ex(&s->thread, &options, store_worker_main, s);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

enum store_key_event store_key_event(const struct store *s)
{
    return s->key_event;
}

static struct store *store_new(uv_loop_t *loop, const struct store_options *options)
{
    struct store *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->loop = loop;
    boot_id_read(BOOT_ID_PATH, s->boot_id);
    s->path = strdup(options->path);
    s->vfs = options->vfs ? strdup(options->vfs) : NULL;
    const char *key_file = options->key_source.credential_path ? NULL : options->key_source.file;
    s->key_file = key_file ? strdup(key_file) : NULL;
    list_init(&s->waiting_queries);
    list_init(&s->queries);
    list_init(&s->queue);
    list_init(&s->done);
    store_prune_init(&s->prune);
    list_init(&s->chain.notes);
    s->chain.epoch_usec =
        options->audit_epoch_usec ? options->audit_epoch_usec : STORE_EPOCH_SEC * USEC_PER_SEC;
    if (options->audit_key_path)
        s->chain.path = strdup(options->audit_key_path);
    else if (asprintf(&s->chain.path, "%s-audit.key", options->path) < 0)
        s->chain.path = NULL;
    if (!s->chain.path || !s->path || (options->vfs && !s->vfs) || (key_file && !s->key_file)) {
        store_free(s);
        return NULL;
    }
    return s;
}

/* The first transaction writes it. */
static int note_key_record(struct store *s, struct audit_record *record)
{
    if (!record)
        return 0;
    struct store_op *op = store_op_new(record, NULL);
    if (!op)
        return -ENOMEM;
    memcpy(record->boot_id, s->boot_id, sizeof(s->boot_id));
    op->is_own = true;
    op->chain = &s->chain;
    list_append(&s->chain.notes, &op->link);
    return 0;
}

/* On 0 the database is open, and the keys are the store's. Outcomes as store_open(). */
static int open_database(struct store *s, const struct store_options *options)
{
    struct store_keys keys = {NULL};
    int r = store_schema_open(&s->db, options, &keys);
    if (r != 0)
        return r;
    s->master = keys.master;
    s->index = keys.index;
    s->key_event = keys.event;
    keys_id(s->master, s->key_id);
    r = note_key_record(s, keys.record);
    if (r == 0)
        r = store_files_note(&s->files, s->path);
    if (r < 0)
        store_db_close(&s->db);
    return r;
}

static int init_async(struct store *s)
{
    int r = init_locks(s);
    if (r < 0)
        return r;
    r = uv_async_init(s->loop, &s->async, on_async);
    if (r < 0) {
        deinit_locks(s);
        return r;
    }
    s->async.data = s;
    uv_unref((uv_handle_t *)&s->async);
    return 0;
}

int store_open(uv_loop_t *loop, const struct store_options *options, struct store **ret)
{
    struct store *s = store_new(loop, options);
    if (!s)
        return -ENOMEM;
    int r = open_database(s, options);
    if (r != 0) {
        store_free(s);
        return r;
    }
    r = init_async(s);
    if (r < 0) {
        store_db_close(&s->db);
        store_free(s);
        return r;
    }
    store_worker_start(s);
    r = start_thread(s);
    if (r < 0) {
        store_db_close(&s->db);
        uv_close((uv_handle_t *)&s->async, on_closed);
        return r;
    }
    *ret = s;
    return 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    uv_mutex_lock(&s->mutex);
    s->stopping = true;
    uv_cond_signal(&s->wake);
    uv_mutex_unlock(&s->mutex);
    (void)uv_thread_join(&s->thread);
    deliver(s);
    store_queries_finish(s);

    store_db_close(&s->db);
    uv_close((uv_handle_t *)&s->async, on_closed);
}
