/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"

#include <sodium.h>
#include <string.h>

/* The master key and the database. Sealed under it are the owners' keys and the index key; the id of the key
 * that they are sealed under stands beside them, so whatever changes all of them in one transaction changes
 * the key. Two things do: a rotation of the key file (`lwactl rekey`, keys.h has the order), and a start with
 * another key source than before (previous_key_file, previous_key_credential).
 *
 * At start, of the keys that there are the one whose id the database holds is the key: the configured one,
 * else FILE.new (a rotation was cut short after its commit), else the previous one. None: nothing is touched.
 * Only then leftovers are finished or discarded, under the write lock, and after a checkpoint: what the WAL
 * says may not have reached the disk yet, and until it has, both files are needed. */

static const struct seal_context index_context = {
    .schema = STORE_SEAL_SCHEMA, .table = "meta", .owner = "", .endpoint = "", .client_id = ""};

void store_keys_clear(struct store_keys *keys)
{
    secret_free(keys->master);
    secret_free(keys->index);
    secret_free(keys->next);
    audit_record_free(keys->record);
    *keys = (struct store_keys){NULL};
}

/* --- which it is ------------------------------------------------------------------------------------- */

static int check_key(struct store_db *db, const struct secret *master, struct secret **ret_index)
{
    unsigned char id[KEYS_ID_BYTES];
    keys_id(master, id);

    _cleanup_statement_ struct statement st = statement_open(
        db, SLOT_NONE,
        "SELECT k.value, i.value FROM meta k, meta i WHERE k.name = 'key-id' AND i.name = 'index-key'");
    int r = statement_step(&st);
    if (r <= 0)
        return r < 0 ? r : STORE_E_CORRUPT;
    if (sqlite3_column_bytes(st.stmt, 0) != KEYS_ID_BYTES ||
        memcmp(sqlite3_column_blob(st.stmt, 0), id, sizeof(id)) != 0)
        return STORE_E_OTHER_KEY;

    const unsigned char *blob = sqlite3_column_blob(st.stmt, 1);
    r = unseal(master, &index_context, blob, (size_t)sqlite3_column_bytes(st.stmt, 1), ret_index);
    return r == SEAL_E_BROKEN ? STORE_E_OTHER_KEY : r;
}

bool store_keys_fit(struct store_db *db, const struct secret *master)
{
    _cleanup_(secret_freep) struct secret *index = NULL;
    return check_key(db, master, &index) == 0;
}

int store_keys_outcome(int r)
{
    return r == KEYS_E_MISSING ? STORE_E_NO_KEY : r == KEYS_E_MALFORMED ? STORE_E_BAD_KEY : r;
}

/* Takes the key if it is the one; else STORE_E_OTHER_KEY. `loaded` is how its loading went. */
static int take_if_fits(struct store_db *db, int loaded, struct secret *key, struct store_keys *ret)
{
    _cleanup_(secret_freep) struct secret *owned = key;
    if (loaded != 0)
        return store_keys_outcome(loaded);
    int r = check_key(db, key, &ret->index);
    if (r == 0)
        ret->master = TAKE_PTR(owned);
    return r;
}

/* Neither fits nor fails: the next one may. */
static bool is_to_go_on(int r)
{
    return r == STORE_E_NO_KEY || r == STORE_E_BAD_KEY || r == STORE_E_OTHER_KEY;
}

static const char *rotating_file(const struct key_source *source)
{
    return source->credential_path ? NULL : source->file;
}

static int take_staged(struct store_db *db, const char *file, struct store_keys *ret)
{
    struct secret *key = NULL;
    int loaded = keys_load_staged(file, &key);
    int r = take_if_fits(db, loaded, key, ret);
    ret->is_staged = r == 0;
    return r;
}

static int take_previous(struct store_db *db, const struct key_source *source, struct store_keys *ret)
{
    const struct key_source sources[] = {{.credential_path = source->previous_credential_path},
                                         {.file = source->previous_file}};
    int r = STORE_E_NO_KEY;
    for (size_t i = 0; i < ARRAY_SIZE(sources) && is_to_go_on(r); i++) {
        struct secret *key = NULL;
        int loaded = keys_load(&sources[i], false, &key);
        r = take_if_fits(db, loaded, key, ret);
    }
    ret->is_previous = r == 0;
    return r;
}

int store_keys_choose(struct store_db *db, const struct key_source *source, struct store_keys *ret)
{
    struct secret *key = NULL;
    int loaded = keys_load(source, false, &key);
    int configured = take_if_fits(db, loaded, key, ret);
    if (!is_to_go_on(configured))
        return configured;

    const char *file = rotating_file(source);
    int r = file ? take_staged(db, file, ret) : STORE_E_NO_KEY;
    /* To another key file that is not there yet one can move: it is made. Anything else must be there. */
    bool is_target = configured == STORE_E_OTHER_KEY || (configured == STORE_E_NO_KEY && file);
    if (is_to_go_on(r) && is_target)
        r = take_previous(db, source, ret);
    return is_to_go_on(r) ? configured : r;
}

/* --- sealing anew ------------------------------------------------------------------------------------ */

static int write_meta(struct store_db *db, const char *name, const void *value, size_t n)
{
    _cleanup_statement_ struct statement st =
        statement_open(db, SLOT_NONE, "INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)");
    statement_text(&st, name);
    statement_blob(&st, value, n);
    return statement_run(&st);
}

int store_keys_write(struct store_db *db, const struct secret *master, const struct secret *index)
{
    _cleanup_free_ unsigned char *blob = NULL;
    size_t n;
    int r = seal(master, &index_context, index, &blob, &n);
    if (r < 0)
        return r;
    unsigned char id[KEYS_ID_BYTES];
    keys_id(master, id);
    r = write_meta(db, "key-id", id, sizeof(id));
    return r < 0 ? r : write_meta(db, "index-key", blob, n);
}

/* The owner after `*row`. STEP_ROW, or 0 when there is none. */
static int rewrap_next_owner(struct store_db *db, const struct secret *from, const struct secret *to,
                             int64_t *row)
{
    _cleanup_statement_ struct statement st = statement_open(
        db, SLOT_NONE, "SELECT id, uid, name, key FROM owner WHERE id > ? ORDER BY id LIMIT 1");
    statement_int(&st, *row);
    int r = statement_step(&st);
    if (r != STEP_ROW)
        return r;
    *row = statement_get_int(&st, 0);
    int64_t uid = statement_get_int(&st, 1);
    char owner[STORE_OWNER_TEXT_SIZE];
    store_rows_owner_text(uid < 0, uid, statement_get_text(&st, 2), owner);
    const struct seal_context context = store_rows_owner_context(*row, owner);

    _cleanup_(secret_freep) struct secret *key = NULL;
    r = unseal(from, &context, sqlite3_column_blob(st.stmt, 3), (size_t)sqlite3_column_bytes(st.stmt, 3),
               &key);
    if (r != 0)
        return r == SEAL_E_BROKEN ? -EBADMSG : r;
    r = store_rows_seal_into(db, "UPDATE owner SET key = ? WHERE id = ?", to, &context, key);
    return r < 0 ? r : STEP_ROW;
}

static int rewrap(struct store_db *db, const struct secret *from, const struct secret *to, unsigned *ret_n)
{
    _cleanup_(secret_freep) struct secret *index = NULL;
    int r = check_key(db, from, &index);
    if (r != 0) /* somebody else changed it */
        return r < 0 ? r : -EBADMSG;
    unsigned n = 0;
    int64_t row = 0;
    while ((r = rewrap_next_owner(db, from, to, &row)) == STEP_ROW)
        n++;
    if (r == 0)
        r = store_keys_write(db, to, index);
    if (r == 0)
        *ret_n = n;
    return r;
}

static int describe(const struct secret *key, struct audit_record *record)
{
    unsigned char id[KEYS_ID_BYTES];
    keys_id(key, id);
    char *text = calloc(1, 2 * KEYS_ID_BYTES + 1);
    if (!text)
        return -ENOMEM;
    (void)sodium_bin2hex(text, 2 * KEYS_ID_BYTES + 1, id, sizeof(id));
    free(record->detail);
    record->detail = text;
    return 0;
}

int store_rows_rekey(struct store_db *db, const struct secret *master, struct store_op *op)
{
    int r = keys_stage(op->text, master, &op->next_master);
    if (r != 0)
        return r < 0 ? r : -EEXIST;
    unsigned n;
    r = rewrap(db, master, op->next_master, &n);
    if (r == 0 && op->record)
        r = describe(op->next_master, op->record);
    if (r < 0)
        return r;
    op->reply.row = n;
    keys_id(op->next_master, op->reply.key_id);
    return 0;
}

/* --- at start ---------------------------------------------------------------------------------------- */

static int checkpoint(struct store_db *db)
{
    return store_db_errno(
        sqlite3_wal_checkpoint_v2(db->sqlite, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL));
}

/* The chain of the trail stands only later: its record is written by the first transaction. */
static int move(struct store_db *db, const struct key_source *source, struct store_keys *keys)
{
    int r = store_keys_outcome(keys_load(source, true, &keys->next));
    if (r != 0)
        return r;
    _cleanup_(audit_record_freep) struct audit_record *record = audit_record_new(AUDIT_KEY_ROTATED);
    if (!record || describe(keys->next, record) < 0)
        return -ENOMEM;
    unsigned n;
    r = store_db_exec(db, "BEGIN IMMEDIATE");
    if (r == 0)
        r = rewrap(db, keys->master, keys->next, &n);
    if (r == 0)
        r = store_db_exec(db, "COMMIT");
    if (r < 0) {
        store_db_rollback(db);
        return r;
    }
    secret_free(keys->master);
    keys->master = TAKE_PTR(keys->next);
    keys->event = STORE_KEY_MOVED;
    keys->record = TAKE_PTR(record);
    (void)checkpoint(db); /* pages under the old key; if it fails now, the worker's next one takes them */
    return 0;
}

/* Another process may be at it: under the lock the database is asked again. */
static int tidy(struct store_db *db, const char *file, struct store_keys *keys)
{
    _cleanup_(secret_freep) struct secret *index = NULL;
    int r = check_key(db, keys->master, &index);
    if (r != 0)
        return r < 0 ? r : -EBUSY;
    if (!keys->is_staged)
        return keys_discard_staged(file);
    r = keys_put_in_place(file, keys->master);
    if (r == 0)
        keys->event = STORE_KEY_FINISHED;
    return r;
}

int store_keys_settle(struct store_db *db, const struct key_source *source, struct store_keys *keys)
{
    if (keys->is_previous)
        return move(db, source, keys);
    const char *file = rotating_file(source);
    if (!file || !keys_is_staged(file))
        return 0;
    int r = checkpoint(db);
    if (r == 0)
        r = store_db_exec(db, "BEGIN IMMEDIATE");
    if (r == 0)
        r = tidy(db, file, keys);
    store_db_rollback(db);
    /* It works as it is, and the next start tries again. */
    return r == -EBUSY ? r : 0;
}
