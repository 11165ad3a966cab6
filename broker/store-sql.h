/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Connections to SQLite and their statements, for the files of the store. Results are negative errnos;
 * SQLite's own codes are known to store-sql.c alone. A connection belongs to one thread at a time. */

#include "util/cleanup.h"

#include <sqlite3.h>
#include <stdint.h>
#include <sys/types.h>

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
/* The first number of a query without parameters; 0 without a row, or for a null. */
int store_db_number(struct store_db *db, enum statement_slot slot, const char *sql,
                    int64_t *ret) _must_check_;
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
