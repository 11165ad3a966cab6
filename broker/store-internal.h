/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of the store share; nobody else includes it.
 *
 *   store.c         operations, the queue to the worker, completions on the loop's thread
 *   store-calls.c   the calls, their arguments copied into operations
 *   store-queries.c queries of the trail, in libuv's workers: whose turn it is
 *   store-search.c  the query for records that fit a filter
 *   store-exposure.c the one for who holds a token
 *   store-worker.c  the thread: batches, savepoints, commit, checkpoint
 *   store-rows.c    what each operation does in the database
 *   store-consent.c the remembered answers of accounts' owners
 *   store-audit.c   audit records, in and out
 *   store-chain.c   the chain of the records: hashes, seals, the key's moving on
 *   store-chain-start.c  at start, the database against the key file
 *   store-chain-ask.c    after a failure, the database against memory
 *   store-chain-end.c    where the trail ends in the database
 *   store-setup.c   a new first key
 *   store-events.c  records of what an operation turned out to do
 *   store-read.c    what is loaded at start
 *   store-keys.c    the master key: which one it is, and sealing under another
 *   store-schema.c  tables, checks before opening, making and migrating a database
 *   store-sql.c     connections, statements, errors: the only file that knows SQLite's result codes
 *   store-files.c   whether the open files still have their names
 *   store-matrix.c  a query that sums up the trail
 *   store-health.c  what is wrong, in words
 *   store-prune.c   removing what the trail need not keep any longer
 *
 * Which thread may touch what: an operation's callback and userdata, n_pending and the queries belong to the
 * loop's thread; the connection belongs to the worker from its start to its join; what is under `mutex` is
 * marked. An operation itself belongs to whoever has it in hand: caller, queue, worker, done list, loop. */

#include "broker/audit-keyfile.h"
#include "broker/limits.h"
#include "broker/retention.h"
#include "broker/seal.h"
#include "broker/store.h"
#include "util/list.h"
#include "util/strv.h"

#include <sqlite3.h>

#define STORE_APPLICATION_ID 0x4c574142 /* "LWAB" */
#define STORE_SCHEMA 3
#define STORE_SEAL_SCHEMA 1 /* in the associated data; changes only when everything is sealed anew */
#define STORE_OWNER_TEXT_SIZE (OWNER_NAME_MAX + 24)

/* --- store-sql.c ------------------------------------------------------------------------------------- */

/* Statements that are kept prepared: those of every commit, of a disclosure and of a refresh. */
enum statement_slot {
    SLOT_NONE = -1,
    SLOT_BEGIN,
    SLOT_COMMIT,
    SLOT_SAVEPOINT,
    SLOT_RELEASE,
    SLOT_AUDIT_INSERT,
    SLOT_REPEATS,
    SLOT_GRANT_OPEN,
    SLOT_INTENT,
    SLOT_REFRESHED,
    SLOT_ROTATED,
    SLOT_PAGE_COUNT,
    SLOT_FREE_COUNT,
    SLOT_PRUNE_FIND,
    SLOT_PRUNE_DELETE,
    SLOT_PRUNE_BASE,
    SLOT_COUNT
};

struct store_db {
    sqlite3 *sqlite;
    sqlite3_stmt *kept[SLOT_COUNT];
    int n_wal_pages;                 /* after the last commit */
    bool (*is_over)(void *userdata); /* store_db_watch() */
    void *is_over_userdata;
};

enum store_db_mode {
    STORE_DB_WRITER,    /* the one of the worker; the file must exist */
    STORE_DB_READER,    /* read-only, beside the writer */
    STORE_DB_IMMUTABLE, /* touches nothing and ignores the WAL */
    STORE_DB_EXCLUSIVE, /* reads through an existing WAL without writing a byte; for one process alone */
};

int store_db_open(struct store_db *db, const char *path, const char *vfs,
                  enum store_db_mode mode) _must_check_;
void store_db_close(struct store_db *db);
/* Runs statements that return nothing. */
int store_db_exec(struct store_db *db, const char *sql) _must_check_;
int store_db_exec_kept(struct store_db *db, enum statement_slot slot, const char *sql) _must_check_;
/* Leaves no transaction open, whatever happened to it. */
void store_db_rollback(struct store_db *db);
/* Asks again and again, also in the middle of a statement, whether it is to end: it does then with -EINTR.
 * The struct must stay where it is. */
void store_db_watch(struct store_db *db, bool (*is_over)(void *userdata), void *userdata);
/* The negative errno of a SQLite result code; 0 for SQLITE_OK. */
int store_db_errno(int code);

/* One run of a statement. The first failure sticks, so that only the last call needs checking. */
struct statement {
    sqlite3_stmt *stmt;
    bool kept;
    int n_bound;
    int r;
};

struct statement statement_open(struct store_db *db, enum statement_slot slot, const char *sql);
void statement_close(struct statement *st);
#define _cleanup_statement_ _cleanup_(statement_close)

/* Bind the next parameter. Texts and blobs must stay until the statement is closed. */
void statement_int(struct statement *st, int64_t value);
void statement_null(struct statement *st);
void statement_text(struct statement *st, const char *text);           /* NULL: "" */
void statement_blob(struct statement *st, const void *blob, size_t n); /* NULL: a null */

enum { STEP_ROW = 1 };
/* STEP_ROW, 0 at the end, or a negative errno. */
int statement_step(struct statement *st) _must_check_;
/* From the start, with another value for its one parameter. The same. */
int statement_again(struct statement *st, int64_t value) _must_check_;
/* For statements without rows. */
int statement_run(struct statement *st) _must_check_;
int64_t statement_get_int(struct statement *st, int column);
/* (uid_t)-1 for a null, and for what is no uid: cut to its size it would be another user's. */
uid_t statement_get_uid(struct statement *st, int column);
/* Valid until the next step; NULL when it is no blob of n bytes. */
const unsigned char *statement_get_blob(struct statement *st, int column, size_t n);
/* False, and *ret as it was, when it is no blob of n bytes. */
bool statement_copy_blob(struct statement *st, int column, unsigned char *ret, size_t n);
/* Valid until the next step; "" for a null. Out of memory shows in st->r. */
const char *statement_get_text(struct statement *st, int column);

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

struct store_repeat {
    int64_t sequence;
    uint64_t repeats;
};

/* Where the chain stands. */
struct store_chain_link {
    int64_t sequence;                     /* the last number that was given; above `row` after a loss */
    int64_t row;                          /* of the newest record */
    unsigned char hash[AUDIT_HASH_BYTES]; /* its */
    bool is_chained;                      /* it has one */
    bool is_ended;                        /* it ended its epoch, and the key has not moved on */
    bool is_setup;                        /* records are sealed with the key of a setup */
    uint64_t epoch;                       /* of the next record */
    uint64_t due_usec;                    /* when the epoch ends; 0: it has no record */
};

struct store_chain {
    char *path; /* of the key file */
    uint64_t epoch_usec;
    struct audit_keyfile *file;     /* NULL while there is none */
    struct audit_chain_key setup;   /* from a setup's operation to its commit */
    bool is_started;                /* the database and the file were compared */
    bool is_uncertain;              /* a transaction failed: was it made? */
    bool wants_write;               /* what was found there is to be synced before the file moves on */
    bool is_file_due;               /* it lags behind */
    uint64_t file_due_usec;         /* when it is tried next */
    int file_failure;               /* how the last try went */
    struct store_chain_link link;   /* as the transaction has it */
    struct store_chain_link unsure; /* after a setup whose commit failed */
    struct list notes;              /* operations: records of its own that go before all others */

    /* others read these: written by the worker alone, under the mutex */
    struct audit_chain_key key;
    struct store_chain_link committed;
    bool is_damaged; /* since the last setup */
};

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

/* --- store-chain.c: all in the worker, but for what is said ------------------------------------------- */

/* In a transaction: gives the record its place in the chain and writes it. */
int store_chain_add(struct store_chain *chain, struct store_db *db, struct audit_record *record) _must_check_;
/* Seal what is no record, with the present key. */
void store_chain_seal_repeats(const struct store_chain *chain, const struct store_repeat *repeat,
                              uint64_t *ret_epoch, unsigned char ret_seal[AUDIT_SEAL_BYTES]);
/* Sets the base's seal and its epoch. */
void store_chain_seal_base(const struct store_chain *chain, struct audit_base *base);

/* First in each transaction: finds out where the chain stands, if that is not known. */
int store_chain_begin(struct store *s) _must_check_;
/* After it; and after one that failed, though nobody knows how far it came. */
void store_chain_commit(struct store *s);
void store_chain_fail(struct store *s);

/* Whether a record that ends the epoch is due. */
bool store_chain_must_end(const struct store_chain *chain);
void store_chain_put_off_end(struct store_chain *chain);
/* When there is something to do without anybody asking; UINT64_MAX: never. */
uint64_t store_chain_due_usec(const struct store_chain *chain);
/* Moves the key file on, if it lags behind and is due. */
void store_chain_keep(struct store *s);
int store_chain_write_key(struct store_chain *chain);

/* An operation of the worker's own, for a record. Takes `detail`, malloc'ed or NULL. NULL: out of memory. */
struct store_op *store_chain_op(struct store *s, enum audit_event event, char *detail) _must_check_;
/* Records to be written before any other: of a key, found or made (`how`: first, lost, or NULL), and of
 * damage ("" for none). */
int store_chain_note(struct store *s, const struct audit_chain_key *key, const char *how,
                     const char *damage) _must_check_;
/* "how ID", in the place of the string that is there. */
int store_chain_describe(const char *how, const struct audit_chain_key *key, char **ret) _must_check_;

struct audit_head store_chain_head(const struct store_chain_link *link);
void store_chain_close(struct store_chain *chain);

/* --- store-chain-end.c ------------------------------------------------------------------------------- */

/* The newest record; where all were removed, the last of these. */
struct store_end {
    bool exists;
    bool is_chained; /* it has a hash */
    bool is_ended;   /* it ends its epoch */
    int64_t sequence;
    uint64_t epoch;
    unsigned char hash[AUDIT_HASH_BYTES];
};
int store_end_read(struct store_db *db, struct store_end *ret) _must_check_;
/* Whether there is, or was before it was removed, a record of this number and hash. */
int store_end_has(struct store_db *db, int64_t sequence, const unsigned char hash[AUDIT_HASH_BYTES],
                  bool *ret) _must_check_;
/* What was removed; all zeros when nothing was. */
int store_base_read(struct store_db *db, struct audit_base *ret) _must_check_;

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

/* --- store-chain-start.c ----------------------------------------------------------------------------- */

/* In the first transaction. */
int store_chain_start(struct store *s) _must_check_;

/* --- store-chain-ask.c ------------------------------------------------------------------------------- */

/* In the first transaction after one that failed. */
int store_chain_ask(struct store *s) _must_check_;

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
/* Sets a counter; the mutex must be held. */
int store_repeats_set(struct store *s, int64_t sequence, uint64_t repeats, bool overwrite) _must_check_;

/* --- store-rows.c ------------------------------------------------------------------------------------ */

/* Runs op->run and adds its record. 0, STORE_E_GONE or a negative errno; op->reply is filled on 0. */
int store_rows_run(struct store_db *db, const struct secret *master, struct store_op *op) _must_check_;
int store_rows_set_repeats(struct store_db *db, const struct store_chain *chain,
                           const struct store_repeat *repeat) _must_check_;

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
int store_audit_get(struct statement *st, struct audit_record **ret) _must_check_;
