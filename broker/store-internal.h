/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of the store share; nobody else includes it, and no test but for what cannot be seen from
 * outside.
 *
 *   store.c          operations, the queue to the worker, completions on the loop's thread
 *   store-calls.c    the calls, their arguments copied into operations
 *   store-health.c   what is wrong, in words
 *
 *   store-worker.c   the thread: batches, savepoints, commit, checkpoint
 *   store-rows.c     what each operation does in the database
 *   store-consent.c  the remembered answers of accounts' owners
 *   store-keys.c     the master key: which one it is, and sealing under another
 *   store-events.c   records of what an operation turned out to do
 *   store-audit.c    audit records, in and out
 *   store-repeats.c  how often disclosures were repeated
 *   store-chain*.c   the chain of the records: store-chain.h
 *   store-setup.c    a new first key of the chain
 *   store-prune.c    removing old records
 *
 *   store-queries.c  queries of the trail, in libuv's workers: whose turn it is
 *   store-search.c   the query for records that fit a filter
 *   store-exposure.c the one for who holds a token
 *   store-matrix.c   the one that sums up the trail
 *   store-verify.c   the one that verifies it
 *   store-pages.c    the one that checks the database's pages
 *
 *   store-read.c     what is loaded at start
 *   store-schema.c   tables, checks before opening, making and migrating a database
 *   store-sql.c      connections, statements, errors: the only file that knows SQLite's result codes
 *   store-files.c    whether the open files still have their names
 *
 * Which thread may touch what:
 *
 * - The loop's thread has the callbacks and their userdata, n_pending, the listener, and the lists of
 * queries.
 * - The worker has the connection, the key, the chain, and what is removed, from its start to its join;
 * before that the loop's thread has them, since it makes the first transaction itself, and after it closes
 * them.
 * - A worker of libuv's has, for its one query, a connection of its own, what is asked and the reply, until
 * it says `is_finished`. It asks the store where the chain stands through store_chain_view() only, and the
 * loop does that for it.
 * - Under `mutex`, for whoever holds it: the two queues, and what is marked so below, in struct store_prune,
 * in struct store_query and in struct store_chain. Nobody calls SQLite, a file or a callback with it held.
 * - An operation belongs to whoever has it in hand: caller, queue, worker, done list, loop. */

#include "broker/limits.h"
#include "broker/retention.h"
#include "broker/seal.h"
#include "broker/store-chain.h"
#include "broker/store-sql.h"
#include "broker/store.h"
#include "util/list.h"
#include "util/strv.h"

#define STORE_APPLICATION_ID 0x4c574142 /* "LWAB" */
#define STORE_SCHEMA 3
#define STORE_SEAL_SCHEMA 1 /* in the associated data; changes only when everything is sealed anew */
#define STORE_OWNER_TEXT_SIZE (OWNER_NAME_MAX + 24)

/* --- store-files.c ----------------------------------------------------------------------------------- */

/* Which files are open, by what they are and not by name. */
struct store_files {
    struct store_file {
        dev_t device;
        ino_t inode;
    } database, wal, shm;
};

enum { STORE_FILES_E_WAL = 1 };

/* Notes the files that the names stand for now: right after they were opened. */
int store_files_note(struct store_files *ret, const char *path) _must_check_;
/* 0; STORE_FILES_E_WAL when the WAL or its index is gone and nothing took its place; -ESTALE when the
 * database itself is gone, or something else stands where the files were. */
int store_files_check(const struct store_files *files, const char *path) _must_check_;

/* --- store-keys.c ------------------------------------------------------------------------------------ */

struct store_keys {
    struct secret *master; /* the database is sealed with it */
    struct secret *index;
    struct secret *next; /* while sealing anew */
    bool is_staged;      /* it is that of FILE.new */
    bool is_previous;    /* it is that of the previous source */
    enum store_key_event event;
    struct audit_record *record; /* of what became of it, to be written; NULL for none */
};

void store_keys_clear(struct store_keys *keys);
/* Whether the database is sealed with this key. */
bool store_keys_fit(struct store_db *db, const struct secret *master);
/* What store_open() says for an outcome of keys_load(). */
int store_keys_outcome(int r);
/* Finds the key that fits; reads only. Outcomes as store_open(). */
int store_keys_choose(struct store_db *db, const struct key_source *source,
                      struct store_keys *ret) _must_check_;
/* Moves to the configured key; finishes or discards what a rotation left. On a writer without transaction. */
int store_keys_settle(struct store_db *db, const struct key_source *source,
                      struct store_keys *keys) _must_check_;
/* The key's id, and the index key sealed with it. */
int store_keys_write(struct store_db *db, const struct secret *master,
                     const struct secret *index) _must_check_;

/* --- store-health.c ---------------------------------------------------------------------------------- */

/* On the loop's thread; 0 or a negative errno. Logs a change. */
void store_set_health(struct store *s, int health);
void store_set_trail_trouble(struct store *s, enum store_trail_trouble trouble);

/* --- store-schema.c ---------------------------------------------------------------------------------- */

/* Checks, makes or migrates; on 0 the database is open, both keys are in hand. Outcomes as store_open(). */
int store_schema_open(struct store_db *db, const struct store_options *options,
                      struct store_keys *ret) _must_check_;
/* Whether it is one of ours whose pages are sound; of a large one only the tables that hold logins. Outcomes
 * as store_open(). */
int store_schema_check_pages(struct store_db *db) _must_check_;
/* A new connection to a database that was open before. */
int store_schema_reopen(struct store_db *db, const char *path, const char *vfs,
                        struct store_files *ret_files) _must_check_;

/* --- operations -------------------------------------------------------------------------------------- */

struct store_op {
    struct list link;
    struct store_query
        *query;              /* that it is the answer of, until it is answered; NULL for another operation */
    store_callback callback; /* NULL once dropped */
    void *userdata;
    struct store_reply reply;

    /* What it does inside its savepoint, once; NULL: only the record. */
    int (*run)(struct store_db *db, const struct secret *master, struct store_op *op);
    struct audit_record *record;
    struct audit_record *events; /* a list, written before it: what else the operation did */
    bool truncates;              /* it removes secrets: truncate the WAL after the commit */
    bool names_grant;            /* `row` is a grant, for the record */
    bool names_record;           /* the reply's row is the record */
    bool is_alone;               /* no other operation may be in its transaction */
    bool is_own;                 /* a record of the worker's: nobody waits for it */
    struct store_chain *chain;   /* the worker's, once it has it in hand */

    int64_t row;
    uint64_t generation;
    int64_t now_sec;
    enum store_token_which which;
    enum store_refresh_end end;
    bool make_default;
    const char *text; /* reason, label, key file; NULL */
    struct secret *token;
    struct secret *next_master; /* the database is sealed with it once the transaction is committed */
    struct store_grant grant;
    struct store_link to;
    struct store_consent_change consents;
    struct strv strings; /* owns every text above */
};

/* When a record was written. */
struct store_stamp {
    int64_t wall_sec;
    uint64_t boot_usec;
};
struct store_stamp store_stamp_now(void);
/* Sets the times of the operation's record, where it has none. */
void store_op_stamp(struct store_op *op, const struct store_stamp *stamp);

/* Takes the record and the token in every case; NULL without memory. */
struct store_op *store_op_new(struct audit_record *record, struct secret *token) _must_check_;
void store_op_free(struct store_op *op);
/* Keeps a copy of the text (NULL: "") with the operation. */
int store_op_copy(struct store_op *op, const char *text, const char **ret) _must_check_;
/* Queues the operation, which is taken whatever comes of it. */
int store_op_submit(struct store *s, struct store_op *op, store_callback callback, void *userdata,
                    struct store_op **ret_op) _must_check_;
void store_op_set_callback(struct store_op *op, store_callback callback, void *userdata,
                           struct store_op **ret_op);
/* Calls back, unless it was dropped, and frees it. */
void store_op_finish(struct store_op *op);
void store_reply_clear(struct store_reply *reply);

/* Removing old records. */
struct store_prune {
    /* under the store's mutex: */
    struct retention wanted;
    bool has_limits;
    uint64_t wanted_usec; /* when `wanted` counts; 0: it does */

    /* the worker's: */
    enum { PRUNE_RESTS, PRUNE_WALKS, PRUNE_SAYS, PRUNE_REMOVES } state;
    struct retention limits;
    bool is_held;        /* larger than it may be, and too young to be removed */
    uint64_t due_usec;   /* of the next turn */
    uint64_t look_usec;  /* resting: no sooner, however large it is */
    uint64_t again_usec; /* resting: from then on the next commit is followed by a look */
    int64_t page_bytes;
    struct retention_now now;
    struct retention_walk walk;
    int64_t at;              /* walked up to this record */
    int64_t base, removed;   /* what was removed */
    int64_t target;          /* the last one that goes */
    struct audit_base slice; /* what is said with a removal under way */
    unsigned rows;           /* to be removed in the next turn */
    uint64_t commit_usec;    /* what the transaction of one operation takes, smoothed */
    uint64_t slice_usec;     /* what a removal takes */
};

struct store {
    uv_loop_t *loop;
    uv_async_t async;
    uv_thread_t thread;
    char *path;
    char *vfs;
    char *key_file;        /* NULL: the key is a credential */
    struct secret *master; /* the worker's, once it runs */
    struct secret *index;  /* key of the keyed hashes */
    enum store_key_event key_event;
    unsigned char boot_id[AUDIT_BOOT_ID_BYTES];
    unsigned char key_id[KEYS_ID_BYTES];
    unsigned n_pending;                     /* operations whose callback is still to come */
    int health;                             /* what the loop knows of `reported` */
    bool is_damaged;                        /* a query has found it so */
    enum store_trail_trouble trail_trouble; /* what the loop knows of `trail_reported` */
    struct list waiting_queries;            /* in the order of their turns */
    struct list queries;                    /* in libuv's pool */
    unsigned n_queries;
    bool has_long_query;
    uint64_t query_turn; /* of the one that was started last */
    store_record_callback on_record;
    void *on_record_userdata;

    /* the worker's: */
    struct store_db db; /* closed while it could not be opened anew */
    struct store_files files;
    struct store_prune prune;
    bool is_wal_home;          /* the last checkpoint copied all of the WAL */
    unsigned n_last_ops;       /* in the last transaction */
    uint64_t last_commit_usec; /* what it took */
    bool truncate_due;
    int failure;             /* 0, or the negative errno of what the last transaction met */
    int checkpoint_r;        /* how the last one went; that it has to wait is no failure */
    int trouble;             /* one of these */
    uint64_t probe_due_usec; /* with trouble */
    struct store_chain chain;

    uv_mutex_t mutex;
    uv_cond_t wake;           /* for the worker */
    uv_cond_t query_finished; /* for store_close() */
    /* under mutex: */
    struct list queue;
    struct list done;
    bool stopping;
    int reported; /* trouble, for the loop */
    enum store_trail_trouble trail_reported;
    struct store_repeat *repeats; /* sorted by sequence */
    size_t n_repeats, n_repeats_allocated;
    uint64_t repeats_due_usec;
};

/* --- store-prune.c: in the worker --------------------------------------------------------------------- */

void store_prune_init(struct store_prune *p);
/* When the next turn is; UINT64_MAX: none is. With the mutex held. */
uint64_t store_prune_due_usec(const struct store_prune *p) _must_check_;

enum { STORE_PRUNE_REMOVES = 1 };
/* A turn. 0; STORE_PRUNE_REMOVES: a transaction with store_prune_remove() is to follow; or a negative errno.
 * What is set in *ret_op is to be run in a transaction first. */
int store_prune_turn(struct store *s, struct store_op **ret_op) _must_check_;
int store_prune_remove(struct store *s) _must_check_;
/* The removal is durable, and took so long. */
void store_prune_removed(struct store_prune *p, uint64_t usec);
/* A turn, or what it asked for, could not be done. */
void store_prune_failed(struct store_prune *p);
/* After a transaction that took this long: with one operation, or not. */
void store_prune_note_commit(struct store *s, uint64_t usec, bool is_lone);

/* --- store-queries.c --------------------------------------------------------------------------------- */

struct store_query;
/* In a worker: fills the reply. 0 or a negative errno. It ends read transactions now and then, and itself
 * once store_query_is_over(), with -EINTR: the one that asked has gone, or the store is to be closed. */
typedef int (*store_query_run)(struct store_db *db, struct store_query *q, struct store_reply *reply);

struct store_query {
    struct list link;
    uv_work_t work;
    struct store *store;
    struct store_op *op;
    store_query_run run;
    void *asked; /* what is asked for */
    void (*free_asked)(void *asked);
    uid_t asker;
    uint64_t turn;
    uint64_t interrupt_usec; /* the worker's: when a statement of its ends with -EINTR; 0: never */
    bool is_long;            /* it may take more than a second: of these there is one at a time */
    bool is_running;
    bool is_delivered;
    /* under the store's mutex: */
    bool is_finished;
    bool is_over;
};

/* Takes what is asked for, also without memory: then it is NULL. */
struct store_query *store_query_new(struct store *s, uid_t asker, store_query_run run, void *asked,
                                    void (*free_asked)(void *asked)) _must_check_;
/* Takes the query in every case. 0, or -ESHUTDOWN and no callback will run. */
int store_query_start(struct store_query *q, store_callback callback, void *userdata,
                      struct store_op **ret_op) _must_check_;
/* In the worker. */
bool store_query_is_over(struct store_query *q) _must_check_;
/* Its operation was dropped: takes it from the queue, or has it end. */
void store_query_drop(struct store_query *q);
/* At the end: those that have begun are interrupted, and all are answered -ESHUTDOWN. */
void store_queries_finish(struct store *s);

/* --- store-search.c ---------------------------------------------------------------------------------- */

struct store_search {
    struct audit_filter filter;
    int64_t after;
    unsigned limit;
    bool is_newest;
    unsigned slice_rows;
    uint64_t budget_usec; /* it ends after a slice that this is over in */
};

/* Fills the reply's records and next; q->asked is a struct store_search. */
int store_search_run(struct store_db *db, struct store_query *q, struct store_reply *reply) _must_check_;

/* --- store-exposure.c -------------------------------------------------------------------------------- */

/* Fills the reply's records; q->asked is a struct store_exposure_filter. */
int store_exposure_run(struct store_db *db, struct store_query *q, struct store_reply *reply) _must_check_;

/* --- store-worker.c ---------------------------------------------------------------------------------- */

/* Before the thread: the first transaction. What it could not do the thread tries again. */
void store_worker_start(struct store *s);
/* The thread: returns once the store is stopping and nothing is queued any more. */
void store_worker_main(void *store);

/* --- store-repeats.c --------------------------------------------------------------------------------- */

/* Sets a counter, to be written in a while. With the mutex held. */
int store_repeats_set(struct store *s, int64_t sequence, uint64_t repeats) _must_check_;
/* Takes some of them, STORE_REPEATS_PER_COMMIT at most, to be written now, and returns how many. With the
 * mutex held. */
size_t store_repeats_take(struct store *s, struct store_repeat ret[STORE_REPEATS_PER_COMMIT]);
/* They were not written. */
void store_repeats_return(struct store *s, const struct store_repeat *repeats, size_t n);
/* In a transaction. */
int store_repeats_write(struct store_db *db, const struct store_chain *chain,
                        const struct store_repeat *repeat) _must_check_;

/* --- store-rows.c ------------------------------------------------------------------------------------ */

/* Runs op->run and adds its record. 0, STORE_E_GONE or a negative errno; op->reply is filled on 0. */
int store_rows_run(struct store_db *db, const struct secret *master, struct store_op *op) _must_check_;

int store_rows_add_grant(struct store_db *db, const struct secret *master, struct store_op *op);
int store_rows_refresh_begin(struct store_db *db, const struct secret *master, struct store_op *op);
int store_rows_refresh_finish(struct store_db *db, const struct secret *master, struct store_op *op);
int store_rows_refresh_fail(struct store_db *db, const struct secret *master, struct store_op *op);
int store_rows_link(struct store_db *db, const struct secret *master, struct store_op *op);
int store_rows_remove_grant(struct store_db *db, const struct secret *master, struct store_op *op);
int store_rows_remove_account(struct store_db *db, const struct secret *master, struct store_op *op);
int store_rows_change_account(struct store_db *db, const struct secret *master, struct store_op *op);
int store_rows_change_consents(struct store_db *db, const struct secret *master, struct store_op *op);
int store_rows_use_consents(struct store_db *db, const struct secret *master, struct store_op *op);
int store_rows_expire_consents(struct store_db *db, const struct secret *master, struct store_op *op);
int store_rows_rekey(struct store_db *db, const struct secret *master, struct store_op *op);
int store_rows_setup_audit(struct store_db *db, const struct secret *master, struct store_op *op);

/* How an owner's key is sealed, for those who seal it anew. */
void store_rows_owner_text(bool device, int64_t uid, const char *name, char ret[STORE_OWNER_TEXT_SIZE]);
struct seal_context store_rows_owner_context(int64_t row, const char *owner);
/* `sql` has the blob and the row as its parameters. */
int store_rows_seal_into(struct store_db *db, const char *sql, const struct secret *key,
                         const struct seal_context *context, const struct secret *secret) _must_check_;

/* --- store-events.c ---------------------------------------------------------------------------------- */

/* What an operation did besides; all that is not given is as in the operation's record. */
struct store_event {
    enum audit_event event;
    const char *account; /* NULL: as there */
    int64_t grant;
    const char *carried; /* scopes joined by spaces; NULL: none */
    const char *detail;  /* NULL: none */
};

/* Adds a record of it to the operation's, in whose transaction it is written. Nothing where the operation has
 * no record. */
int store_events_add(struct store_op *op, const struct store_event *event) _must_check_;
/* Adds `event` for each row of a statement whose columns are a grant and what it carries. */
int store_events_add_grants(struct store_op *op, struct statement *st,
                            const struct store_event *event) _must_check_;

/* --- store-audit.c ----------------------------------------------------------------------------------- */

/* With the sequence, epoch, hash and seal that it has: store_chain_add() gives them. */
int store_audit_insert(struct store_db *db, const struct audit_record *record) _must_check_;
/* What a query for records selects, and the record of its present row. */
#define STORE_AUDIT_COLUMNS                                                                                  \
    "sequence, time_sec, event, uid, owner_uid, grant_row, expires_sec, repeats, fingerprint, app, kind,"    \
    " strength, account, owner, asked, carried, verdict, decided_by, detail, chain, unit, program,"          \
    " request, boot_usec, boot_id, epoch, hash, seal, repeats_epoch, repeats_seal"
/* -EUCLEAN: no broker wrote the row so. */
int store_audit_get(struct statement *st, struct audit_record **ret) _must_check_;
/* The same without copies: its texts are the statement's, good until its next step. */
int store_audit_look(struct statement *st, struct audit_record *ret) _must_check_;
/* For who asks: such a row is a record that says so, and hides nothing of the rest. */
int store_audit_show(struct statement *st, struct audit_record **ret) _must_check_;
/* Whether reading the column loses nothing: a uid or none, a text without a NUL in it. */
bool store_audit_is_uid(struct statement *st, int column);
bool store_audit_is_whole(struct statement *st, int column);
