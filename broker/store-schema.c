/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"
#include "util/folder.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Opening, in steps, none of which may change a file that is not found to be good:
 *
 * 1. No database (or an empty file): the master key is loaded or made; the database is made whole under
 *    another name, closed, and renamed. So a file under the real name is always a complete database.
 * 2. The database is inspected on a connection that cannot write: ours? not too new? undamaged? An existing
 *    WAL is part of it (after a crash the database file alone may be torn), so it is read through; without
 *    one the file is opened as immutable, since SQLite would create a WAL even to read.
 * 3. The key's id and the sealed index key tell whether the master key is the one.
 * 4. Only then it is opened for writing, and migrated; and what changes the key is finished (store-keys.c).
 */

static const char *const migrations[] = {
    /* 0 -> 1. Rows are never re-used (AUTOINCREMENT): a blob of a removed row fits no later one. The owner's
     * uid is -1 for the device. An account of NULL is a login that is not proven yet. */
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE owner ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, uid INTEGER NOT NULL, name TEXT NOT NULL,"
    " key BLOB NOT NULL, UNIQUE (uid, name)) STRICT;"
    "CREATE TABLE account ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, owner INTEGER NOT NULL REFERENCES owner (id),"
    " name TEXT NOT NULL, label TEXT NOT NULL, is_default INTEGER NOT NULL, created_sec INTEGER NOT NULL,"
    " customer BLOB NOT NULL, UNIQUE (owner, name)) STRICT;"
    "CREATE TABLE grant ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, owner INTEGER NOT NULL REFERENCES owner (id),"
    " account INTEGER REFERENCES account (id), target TEXT NOT NULL, label TEXT NOT NULL,"
    " endpoint TEXT NOT NULL, client_id TEXT NOT NULL, flow TEXT NOT NULL, may_carry TEXT NOT NULL,"
    " carries TEXT NOT NULL, claimed INTEGER NOT NULL, generation INTEGER NOT NULL, token BLOB NOT NULL,"
    " previous BLOB, dead INTEGER NOT NULL DEFAULT 0, dead_reason TEXT NOT NULL DEFAULT '',"
    " intent_sec INTEGER, intent_generation INTEGER, created_sec INTEGER NOT NULL,"
    " refreshed_sec INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX grant_by_owner ON grant (owner);"
    "CREATE INDEX grant_by_account ON grant (account);"
    "CREATE TABLE audit ("
    " sequence INTEGER PRIMARY KEY AUTOINCREMENT, time_sec INTEGER NOT NULL, event TEXT NOT NULL,"
    " uid INTEGER, app TEXT NOT NULL, kind TEXT NOT NULL, strength TEXT NOT NULL, account TEXT NOT NULL,"
    " owner TEXT NOT NULL, owner_uid INTEGER, asked TEXT NOT NULL, carried TEXT NOT NULL,"
    " verdict TEXT NOT NULL, decided_by TEXT NOT NULL, detail TEXT NOT NULL, grant_row INTEGER NOT NULL,"
    " expires_sec INTEGER NOT NULL, repeats INTEGER NOT NULL DEFAULT 0, fingerprint BLOB,"
    " previous_hash BLOB, hash BLOB) STRICT;"
    "CREATE INDEX audit_by_app ON audit (app) WHERE app <> '';"
    "CREATE INDEX audit_by_owner ON audit (owner_uid) WHERE owner_uid IS NOT NULL;",

    /* 1 -> 2. What an account's owner answered about an app; a scope of '' is every scope. Not sealed:
     * nothing in it is secret. More facts on each record of the trail. */
    "CREATE TABLE consent ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL REFERENCES account (id),"
    " app TEXT NOT NULL, scope TEXT NOT NULL, answer TEXT NOT NULL, lasts TEXT NOT NULL,"
    " given_sec INTEGER NOT NULL, until_sec INTEGER NOT NULL, how TEXT NOT NULL, by_uid INTEGER NOT NULL,"
    " by_name TEXT NOT NULL, UNIQUE (account, app, scope)) STRICT;"
    "ALTER TABLE audit ADD COLUMN chain TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE audit ADD COLUMN unit TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE audit ADD COLUMN program TEXT NOT NULL DEFAULT '';"
    "CREATE INDEX audit_exposed ON audit (expires_sec) WHERE event = 'token-disclosed';",

    /* 2 -> 3. The trail is chained: audit-chain.h. What is there keeps a hash of NULL and an epoch of 0.
     * Every way to ask for records has its index. audit_base says what was before the first record that is
     * left. */
    "ALTER TABLE audit DROP COLUMN previous_hash;"
    "ALTER TABLE audit ADD COLUMN boot_usec INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE audit ADD COLUMN boot_id BLOB;"
    "ALTER TABLE audit ADD COLUMN request TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE audit ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE audit ADD COLUMN seal BLOB;"
    "ALTER TABLE audit ADD COLUMN repeats_epoch INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE audit ADD COLUMN repeats_seal BLOB;"
    "CREATE INDEX audit_by_token ON audit (fingerprint) WHERE fingerprint IS NOT NULL;"
    "CREATE INDEX audit_by_account ON audit (account) WHERE account <> '';"
    "CREATE INDEX audit_by_uid ON audit (uid) WHERE uid IS NOT NULL;"
    "CREATE INDEX audit_by_event ON audit (event);"
    "CREATE INDEX audit_by_time ON audit (time_sec);"
    "CREATE TABLE audit_base ("
    " id INTEGER PRIMARY KEY CHECK (id = 1), sequence INTEGER NOT NULL, hash BLOB NOT NULL,"
    " epoch INTEGER NOT NULL, time_sec INTEGER NOT NULL, removed INTEGER NOT NULL,"
    " seal_epoch INTEGER NOT NULL, seal BLOB NOT NULL) STRICT;",
};

_Static_assert(ARRAY_SIZE(migrations) == STORE_SCHEMA, "one migration for each version");

static const struct {
    const char *name;
    int64_t since; /* version */
} login_tables[] = {
    {"sqlite_schema", 1}, {"meta", 1}, {"owner", 1}, {"account", 1}, {"grant", 1}, {"consent", 2},
};

/* --- step 2 and 3: inspect --------------------------------------------------------------------------- */

static int check_version(struct store_db *db, int64_t *ret_version)
{
    int64_t application = 0;
    int r = store_db_number(db, SLOT_NONE, "PRAGMA application_id", &application);
    if (r == 0)
        r = store_db_number(db, SLOT_NONE, "PRAGMA user_version", ret_version);
    if (r < 0)
        return r;
    if (application != STORE_APPLICATION_ID || *ret_version < 1)
        return STORE_E_CORRUPT;
    return *ret_version > STORE_SCHEMA ? STORE_E_TOO_NEW : 0;
}

static int quick_check(struct store_db *db, const char *table)
{
    char sql[64];
    (void)snprintf(sql, sizeof(sql), table ? "PRAGMA quick_check('%s')" : "PRAGMA quick_check", table);
    _cleanup_statement_ struct statement st = statement_open(db, SLOT_NONE, sql);
    int r = statement_step(&st);
    if (r < 0)
        return r;
    return r == STEP_ROW && strcmp(statement_get_text(&st, 0), "ok") == 0 ? 0 : STORE_E_CORRUPT;
}

static int check_pages(struct store_db *db, int64_t version)
{
    int64_t n_pages;
    int r = store_db_number(db, SLOT_NONE, "PRAGMA page_count", &n_pages);
    if (r < 0)
        return r;
    if (n_pages <= STORE_CHECK_PAGES_MAX)
        return quick_check(db, NULL);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(login_tables); i++)
        if (version >= login_tables[i].since)
            r = quick_check(db, login_tables[i].name);
    return r;
}

int store_schema_check_pages(struct store_db *db)
{
    int64_t version = 0;
    int r = check_version(db, &version);
    return r == 0 ? check_pages(db, version) : r;
}

static int inspect(struct store_db *db, const struct store_options *options, struct store_keys *ret)
{
    int r = store_schema_check_pages(db);
    return r == 0 ? store_keys_choose(db, &options->key_source, ret) : r;
}

/* --- step 1: make ------------------------------------------------------------------------------------ */

static int write_keys(struct store_db *db, const struct secret *master)
{
    _cleanup_(secret_freep) struct secret *index = NULL;
    int r = secret_new_random(SEAL_KEY_BYTES, &index);
    return r < 0 ? r : store_keys_write(db, master, index);
}

static int migrate_from(struct store_db *db, int64_t version)
{
    int r = 0;
    for (; r == 0 && version < STORE_SCHEMA; version++)
        r = store_db_exec(db, migrations[version]);
    if (r < 0)
        return r;
    char sql[96];
    (void)snprintf(sql, sizeof(sql), "PRAGMA user_version=%d;PRAGMA application_id=%d", STORE_SCHEMA,
                   STORE_APPLICATION_ID);
    return store_db_exec(db, sql);
}

static int fill(struct store_db *db, const struct secret *master)
{
    int r = store_db_exec(db, "BEGIN IMMEDIATE");
    if (r == 0)
        r = migrate_from(db, 0);
    if (r == 0)
        r = write_keys(db, master);
    if (r == 0)
        r = store_db_exec(db, "COMMIT");
    return r == 0 ? store_db_exec(db, "PRAGMA journal_mode=WAL") : r;
}

/* Makes the database whole at `path`, a name of its own. */
static int make_at(const char *path, const char *vfs, const struct secret *master)
{
    /* SQLite gives its other files the mode of this one. */
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    (void)close_fd(fd); /* now: a close later on would drop SQLite's locks on the file */

    struct store_db db;
    int r = store_db_open(&db, path, vfs, STORE_DB_WRITER);
    if (r < 0)
        return r;
    r = fill(&db, master);
    store_db_close(&db);
    return r;
}

static void remove_made(const char *path)
{
    static const char *const tails[] = {"", "-journal", "-wal", "-shm"};
    for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
        _cleanup_free_ char *name = NULL;
        if (asprintf(&name, "%s%s", path, tails[i]) < 0)
            name = NULL;
        else
            (void)unlink(name);
    }
}

static int make(const struct store_options *options, bool *ret_is_new)
{
    _cleanup_(secret_freep) struct secret *master = NULL;
    /* The same key is loaded again when what was made is inspected. */
    int r = keys_load(&options->key_source, false, &master);
    bool is_new = r == KEYS_E_MISSING;
    *ret_is_new = is_new;
    if (is_new)
        r = keys_load(&options->key_source, true, &master);
    if (r != 0)
        return store_keys_outcome(r);

    _cleanup_free_ char *temporary = NULL;
    if (asprintf(&temporary, "%s.new", options->path) < 0) {
        temporary = NULL;
        return -ENOMEM;
    }
    remove_made(temporary); /* of a start that was cut short */
    r = make_at(temporary, options->vfs, master);
    if (r == 0 && rename(temporary, options->path) < 0)
        r = -errno;
    if (r < 0) {
        remove_made(temporary);
        return r;
    }
    return folder_sync_of(options->path);
}

/* --- step 4 ------------------------------------------------------------------------------------------ */

static int migrate(struct store_db *db)
{
    int64_t version;
    int r = store_db_number(db, SLOT_NONE, "PRAGMA user_version", &version);
    if (r < 0 || version == STORE_SCHEMA)
        return r;
    r = store_db_exec(db, "BEGIN IMMEDIATE");
    if (r == 0)
        r = migrate_from(db, version);
    return r == 0 ? store_db_exec(db, "COMMIT") : r;
}

static int open_writer(struct store_db *db, const struct store_options *options)
{
    /* SQLite would open it for reading instead, and fail later with a code that tells nothing. */
    if (!options->vfs && access(options->path, W_OK) < 0)
        return -errno;
    int r = store_db_open(db, options->path, options->vfs, STORE_DB_WRITER);
    if (r < 0)
        return r;
    r = store_db_exec(db, "PRAGMA journal_mode=WAL");
    if (r == 0)
        r = migrate(db);
    if (r < 0)
        store_db_close(db);
    return r;
}

int store_schema_reopen(struct store_db *db, const char *path, const char *vfs, struct store_files *ret_files)
{
    int r = store_db_open(db, path, vfs, STORE_DB_WRITER);
    if (r < 0)
        return r;
    r = store_db_exec(db, "PRAGMA journal_mode=WAL");
    if (r == 0)
        r = store_files_note(ret_files, path);
    if (r < 0)
        store_db_close(db);
    return r;
}

/* Size of a regular file; -1 when there is none. */
static int look(const char *path, int64_t *ret_size)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        *ret_size = -1;
        return errno == ENOENT ? 0 : -errno;
    }
    *ret_size = st.st_size;
    return S_ISREG(st.st_mode) ? 0 : -EPERM;
}

/* Reads only: whether it can be opened, and with which key. */
static int inspect_closed(const struct store_options *options, bool has_wal, struct store_keys *ret)
{
    struct store_db db;
    int r =
        store_db_open(&db, options->path, options->vfs, has_wal ? STORE_DB_EXCLUSIVE : STORE_DB_IMMUTABLE);
    if (r == 0) {
        r = inspect(&db, options, ret);
        store_db_close(&db);
    }
    return r == -EUCLEAN ? STORE_E_CORRUPT : r;
}

static int look_at_both(const char *path, int64_t *ret_size, int64_t *ret_wal_size)
{
    _cleanup_free_ char *wal = NULL;
    *ret_size = *ret_wal_size = -1;
    if (asprintf(&wal, "%s-wal", path) < 0) {
        wal = NULL;
        return -ENOMEM;
    }
    int r = look(path, ret_size);
    return r == 0 ? look(wal, ret_wal_size) : r;
}

int store_check_closed(const struct store_options *options)
{
    _cleanup_(store_keys_clear) struct store_keys keys = {NULL};
    int64_t size, wal_size;
    int r = look_at_both(options->path, &size, &wal_size);
    if (r == 0 && size <= 0)
        r = wal_size > 0 ? STORE_E_CORRUPT : -ENOENT;
    return r == 0 ? inspect_closed(options, wal_size > 0, &keys) : r;
}

int store_schema_open(struct store_db *db, const struct store_options *options, struct store_keys *ret)
{
    int64_t size, wal_size;
    bool is_new_key = false;
    int r = look_at_both(options->path, &size, &wal_size);
    if (r == 0 && size <= 0) {
        /* A WAL whose database is gone may hold what is left of it, and would be read into a new one. */
        if (wal_size > 0)
            return STORE_E_CORRUPT;
        r = make(options, &is_new_key);
    }
    if (r != 0)
        return r;

    _cleanup_(store_keys_clear) struct store_keys keys = {NULL};
    r = inspect_closed(options, wal_size > 0, &keys);
    if (r == 0)
        r = open_writer(db, options);
    if (r != 0)
        return r;
    if (is_new_key)
        keys.event = STORE_KEY_CREATED;
    /* Beside a database that was made just now a FILE.new is not of it: it may be that of one that was moved
     * away. */
    r = size > 0 ? store_keys_settle(db, &options->key_source, &keys) : 0;
    if (r != 0) {
        store_db_close(db);
        return r;
    }
    *ret = keys;
    keys = (struct store_keys){NULL};
    return 0;
}
