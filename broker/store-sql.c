/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"

#include <string.h>

#define WATCH_STEPS 4096 /* of SQLite's virtual machine: some tens of microseconds */

static const struct {
    int code;
    int error;
} errnos[] = {
    /* Extended codes that mean something else than their class come first. */
    {SQLITE_IOERR_NOMEM, -ENOMEM},
    {SQLITE_IOERR_CORRUPTFS, -EUCLEAN},
    {SQLITE_CANTOPEN_ISDIR, -EISDIR},
    {SQLITE_FULL, -ENOSPC},
    {SQLITE_READONLY, -EROFS},
    {SQLITE_IOERR, -EIO},
    {SQLITE_BUSY, -EBUSY},
    {SQLITE_LOCKED, -EBUSY},
    {SQLITE_CORRUPT, -EUCLEAN},
    {SQLITE_NOTADB, -EUCLEAN},
    {SQLITE_FORMAT, -EUCLEAN},
    {SQLITE_SCHEMA, -EUCLEAN},
    {SQLITE_NOMEM, -ENOMEM},
    {SQLITE_CANTOPEN, -ENOENT},
    {SQLITE_PERM, -EACCES},
    {SQLITE_AUTH, -EACCES},
    {SQLITE_CONSTRAINT, -EEXIST},
    {SQLITE_TOOBIG, -E2BIG},
    {SQLITE_NOLFS, -EFBIG},
    {SQLITE_INTERRUPT, -EINTR},
    {SQLITE_PROTOCOL, -EBUSY},
    {SQLITE_MISUSE, -EINVAL},
};

int store_db_errno(int code)
{
    if (code == SQLITE_OK)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(errnos); i++)
        if (errnos[i].code == code || errnos[i].code == (code & 0xff))
            return errnos[i].error;
    return -EIO;
}

/* --- connections ------------------------------------------------------------------------------------- */

static const char *const pragmas[] = {
    /* What every connection gets: small, and distrustful of what the file holds. */
    "PRAGMA trusted_schema=OFF;PRAGMA cell_size_check=ON;PRAGMA temp_store=MEMORY;PRAGMA mmap_size=0",
    [STORE_DB_WRITER + 1] = "PRAGMA foreign_keys=ON;PRAGMA secure_delete=ON;PRAGMA synchronous=FULL",
    [STORE_DB_READER + 1] = "PRAGMA query_only=ON",
    [STORE_DB_IMMUTABLE + 1] = "PRAGMA query_only=ON",
    /* In exclusive mode the index of the WAL is kept in memory and not in a file. */
    [STORE_DB_EXCLUSIVE + 1] = "PRAGMA locking_mode=EXCLUSIVE;PRAGMA query_only=ON",
};

static const struct {
    int option;
    int value;
} switches[] = {
    {SQLITE_DBCONFIG_DEFENSIVE, 1},
    {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0}, /* we have none: one that is there was put there */
    {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
};

/* "file:" and the path with every byte escaped, so that nothing in it reads as a parameter. */
static char *immutable_uri(const char *path)
{
    static const char hex[] = "0123456789abcdef", head[] = "file:", tail[] = "?immutable=1";
    char *uri = malloc(sizeof(head) + 3 * strlen(path) + sizeof(tail));
    if (!uri)
        return NULL;
    char *end = stpcpy(uri, head);
    for (const unsigned char *p = (const unsigned char *)path; *p; p++) {
        *end++ = '%';
        *end++ = hex[*p >> 4];
        *end++ = hex[*p & 15];
    }
    memcpy(end, tail, sizeof(tail));
    return uri;
}

static int open_handle(struct store_db *db, const char *path, const char *vfs, enum store_db_mode mode)
{
    _cleanup_free_ char *uri = NULL;
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE; /* one thread at a time has each connection */
    flags |=
        mode == STORE_DB_WRITER || mode == STORE_DB_EXCLUSIVE ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
    if (mode == STORE_DB_IMMUTABLE) {
        uri = immutable_uri(path);
        if (!uri)
            return -ENOMEM;
        flags |= SQLITE_OPEN_URI;
    }

    int code = sqlite3_open_v2(uri ? uri : path, &db->sqlite, flags, vfs);
    if ((code & 0xff) == SQLITE_CANTOPEN && db->sqlite && sqlite3_system_errno(db->sqlite) > 0)
        return -sqlite3_system_errno(db->sqlite);
    return store_db_errno(code);
}

static int on_commit(void *userdata, sqlite3 *sqlite _unused_, const char *name _unused_, int n_pages)
{
    *(int *)userdata = n_pages;
    return SQLITE_OK;
}

static int configure(struct store_db *db, enum store_db_mode mode)
{
    int code = sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_LOOKASIDE, NULL, 256, 64);
    for (size_t i = 0; code == SQLITE_OK && i < ARRAY_SIZE(switches); i++)
        code = sqlite3_db_config(db->sqlite, switches[i].option, switches[i].value, (int *)NULL);
    if (code == SQLITE_OK && mode == STORE_DB_EXCLUSIVE)
        code = sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    if (code != SQLITE_OK)
        return store_db_errno(code);

    char cache[48];
    (void)snprintf(cache, sizeof(cache), "PRAGMA cache_size=-%d", STORE_CACHE_KIB);
    /* Its own come first: the others may read the file already, and how is what these say. */
    int r = store_db_exec(db, pragmas[mode + 1]);
    if (r == 0)
        r = store_db_exec(db, pragmas[0]);
    if (r == 0)
        r = store_db_exec(db, cache);
    if (r == 0 && mode == STORE_DB_WRITER)
        /* In place of the automatic checkpoint, which would run before the callbacks of the commit. */
        (void)sqlite3_wal_hook(db->sqlite, on_commit, &db->n_wal_pages);
    return r;
}

int store_db_open(struct store_db *db, const char *path, const char *vfs, enum store_db_mode mode)
{
    *db = (struct store_db){NULL};
    int r = open_handle(db, path, vfs, mode);
    if (r == 0) {
        (void)sqlite3_busy_timeout(db->sqlite, STORE_BUSY_MSEC);
        r = configure(db, mode);
    }
    if (r < 0)
        store_db_close(db);
    return r;
}

void store_db_close(struct store_db *db)
{
    for (int i = 0; i < SLOT_COUNT; i++)
        (void)sqlite3_finalize(db->kept[i]);
    (void)sqlite3_close(db->sqlite);
    *db = (struct store_db){NULL};
}

static int ask_watch(void *userdata)
{
    const struct store_db *db = userdata;
    return db->is_over(db->is_over_userdata);
}

void store_db_watch(struct store_db *db, bool (*is_over)(void *userdata), void *userdata)
{
    db->is_over = is_over;
    db->is_over_userdata = userdata;
    sqlite3_progress_handler(db->sqlite, WATCH_STEPS, ask_watch, db);
}

int store_db_exec(struct store_db *db, const char *sql)
{
    return store_db_errno(sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL));
}

int store_db_exec_kept(struct store_db *db, enum statement_slot slot, const char *sql)
{
    _cleanup_statement_ struct statement st = statement_open(db, slot, sql);
    return statement_run(&st);
}

int store_db_number(struct store_db *db, enum statement_slot slot, const char *sql, int64_t *ret)
{
    _cleanup_statement_ struct statement st = statement_open(db, slot, sql);
    int r = statement_step(&st);
    if (r < 0)
        return r;
    *ret = r == STEP_ROW ? statement_get_int(&st, 0) : 0;
    return 0;
}

void store_db_rollback(struct store_db *db)
{
    /* What fails here leaves the connection in the same state, which the next BEGIN reports. */
    if (!sqlite3_get_autocommit(db->sqlite))
        (void)sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL);
}

/* --- statements -------------------------------------------------------------------------------------- */

struct statement statement_open(struct store_db *db, enum statement_slot slot, const char *sql)
{
    struct statement st = {.kept = slot != SLOT_NONE};
    if (st.kept && db->kept[slot]) {
        st.stmt = db->kept[slot];
        return st;
    }
    unsigned flags = st.kept ? SQLITE_PREPARE_PERSISTENT : 0;
    st.r = store_db_errno(sqlite3_prepare_v3(db->sqlite, sql, -1, flags, &st.stmt, NULL));
    if (st.kept)
        db->kept[slot] = st.stmt;
    return st;
}

void statement_close(struct statement *st)
{
    if (!st->kept) {
        (void)sqlite3_finalize(st->stmt);
    } else if (st->stmt) {
        (void)sqlite3_reset(st->stmt); /* what it would say was said by the step */
        (void)sqlite3_clear_bindings(st->stmt);
    }
    st->stmt = NULL;
}

void statement_int(struct statement *st, int64_t value)
{
    if (st->r == 0)
        st->r = store_db_errno(sqlite3_bind_int64(st->stmt, ++st->n_bound, value));
}

void statement_null(struct statement *st)
{
    if (st->r == 0)
        st->r = store_db_errno(sqlite3_bind_null(st->stmt, ++st->n_bound));
}

void statement_text(struct statement *st, const char *text)
{
    if (st->r == 0)
        st->r =
            store_db_errno(sqlite3_bind_text(st->stmt, ++st->n_bound, text ? text : "", -1, SQLITE_STATIC));
}

void statement_blob(struct statement *st, const void *blob, size_t n)
{
    if (!blob)
        statement_null(st);
    else if (st->r == 0)
        st->r = store_db_errno(sqlite3_bind_blob64(st->stmt, ++st->n_bound, blob, n, SQLITE_STATIC));
}

int statement_step(struct statement *st)
{
    if (st->r < 0)
        return st->r;
    int code = sqlite3_step(st->stmt);
    if (code == SQLITE_ROW)
        return STEP_ROW;
    if (code != SQLITE_DONE)
        st->r = store_db_errno(code);
    return st->r;
}

int statement_again(struct statement *st, int64_t value)
{
    if (st->stmt)
        (void)sqlite3_reset(st->stmt); /* what it would say was said by the step */
    st->n_bound = 0;
    statement_int(st, value);
    return statement_step(st);
}

int statement_run(struct statement *st)
{
    int r = statement_step(st);
    return r < 0 ? r : 0;
}

uid_t statement_get_uid(struct statement *st, int column)
{
    int64_t uid = statement_get_int(st, column);
    bool is_one = sqlite3_column_type(st->stmt, column) != SQLITE_NULL && uid >= 0 && uid < (uid_t)-1;
    return is_one ? (uid_t)uid : (uid_t)-1;
}

const unsigned char *statement_get_blob(struct statement *st, int column, size_t n)
{
    if ((size_t)sqlite3_column_bytes(st->stmt, column) != n)
        return NULL;
    return sqlite3_column_blob(st->stmt, column);
}

bool statement_copy_blob(struct statement *st, int column, unsigned char *ret, size_t n)
{
    const unsigned char *blob = statement_get_blob(st, column, n);
    if (!blob)
        return false;
    memcpy(ret, blob, n);
    return true;
}

int64_t statement_get_int(struct statement *st, int column)
{
    return sqlite3_column_int64(st->stmt, column);
}

const char *statement_get_text(struct statement *st, int column)
{
    const char *text = (const char *)sqlite3_column_text(st->stmt, column);
    if (!text && sqlite3_column_type(st->stmt, column) != SQLITE_NULL)
        st->r = -ENOMEM;
    return text ? text : "";
}
