/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/trail.h"

#include "broker/store-internal.h"

#include <string.h>
#include <sys/stat.h>

static void append(struct trail *trail, struct audit_record *record)
{
    if (trail->n == trail->n_allocated) {
        trail->n_allocated = trail->n_allocated ? 2 * trail->n_allocated : 64;
        trail->records = reallocarray(trail->records, trail->n_allocated, sizeof(struct audit_record *));
        assert_non_null(trail->records);
    }
    trail->records[trail->n++] = record;
}

void trail_read(const char *path, struct trail *ret)
{
    struct store_db db;
    *ret = (struct trail){.n = 0};
    assert_int_equal(store_db_open(&db, path, NULL, STORE_DB_READER), 0);
    struct statement st =
        statement_open(&db, SLOT_NONE, "SELECT " STORE_AUDIT_COLUMNS " FROM audit ORDER BY sequence");
    int r;
    while ((r = statement_step(&st)) == STEP_ROW) {
        struct audit_record *record;
        assert_int_equal(store_audit_get(&st, &record), 0);
        append(ret, record);
    }
    assert_int_equal(r, 0);
    statement_close(&st);
    store_db_close(&db);
}

void trail_clear(struct trail *trail)
{
    for (size_t i = 0; i < trail->n; i++)
        audit_record_free(trail->records[i]);
    free(trail->records);
}

void trail_key(const struct fixture *f, struct audit_chain_key *ret)
{
    _cleanup_(audit_keyfile_freep) struct audit_keyfile *file = NULL;
    assert_int_equal(audit_keyfile_open(fixture_path(f, KEY_FILE), &file), 0);
    assert_int_equal(audit_keyfile_read(file, ret), 0);
}

static void assert_hash(const struct audit_record *record, const unsigned char previous[AUDIT_HASH_BYTES])
{
    struct audit_record again = *record;
    assert_int_equal(audit_chain_hash(&again, previous), 0);
    assert_memory_equal(again.hash, record->hash, AUDIT_HASH_BYTES);
}

static void assert_seal(const struct audit_record *record, struct audit_chain_key *key)
{
    unsigned char seal[AUDIT_SEAL_BYTES];
    assert_true(record->epoch >= key->epoch);
    while (key->epoch < record->epoch)
        assert_int_equal(audit_chain_key_evolve(key), 0);
    audit_chain_seal(key, record->hash, seal);
    assert_memory_equal(seal, record->seal, AUDIT_SEAL_BYTES);
}

void trail_assert_whole(const struct trail *trail, const struct audit_chain_key *first)
{
    _cleanup_chain_key_ struct audit_chain_key key;
    unsigned char previous[AUDIT_HASH_BYTES] = {0};
    assert_int_equal(audit_chain_key_copy(first, &key), 0);
    for (size_t i = 0; i < trail->n; i++) {
        const struct audit_record *record = trail->records[i];
        const struct audit_record *before = i > 0 ? trail->records[i - 1] : NULL;
        assert_true(record->has_hash);
        assert_int_equal(record->sequence, before ? before->sequence + 1 : 1);
        bool is_ended = before && before->event == AUDIT_TRAIL_SEALED;
        assert_int_equal(record->epoch, before ? before->epoch + (is_ended ? 1 : 0) : 1);
        assert_hash(record, previous);
        assert_seal(record, &key);
        memcpy(previous, record->hash, sizeof(previous));
    }
}

size_t trail_count(const struct trail *trail, enum audit_event event)
{
    size_t n = 0;
    for (size_t i = 0; i < trail->n; i++)
        n += trail->records[i]->event == event ? 1 : 0;
    return n;
}

const char *trail_detail(const struct trail *trail, enum audit_event event)
{
    for (size_t i = trail->n; i > 0; i--)
        if (trail->records[i - 1]->event == event)
            return trail->records[i - 1]->detail;
    return "";
}

void trail_copy(const struct fixture *f, const char *from, const char *to)
{
    _cleanup_free_ unsigned char *bytes = NULL;
    size_t n = read_file(fixture_path(f, from), &bytes);
    (void)unlink(fixture_path(f, to));
    write_file(fixture_path(f, to), bytes, n);
    assert_int_equal(chmod(fixture_path(f, to), 0600), 0);
}
