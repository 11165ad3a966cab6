/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/trail.h"

#include "broker/audit-verify.h"
#include "broker/store-internal.h"
#include "tests/unit/test-vfs.h"
#include "util/clock.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>

/* What somebody does to a trail that lies there: the verifier, who has the verification secret and the head
 * of before, finds every change of every stored byte, every removal, swap and truncation, and a database that
 * was put back. What a start finds by itself: test-store-chain-start.c. */

struct tampering {
    struct audit_chain_key first; /* the verification secret */
    struct audit_head head;       /* kept elsewhere */
};

/* --- a trail to be tampered with --------------------------------------------------------------------- */

static void fill_record(struct audit_record *r, int i)
{
    static const char *const texts[] = {"snap:player.app", "unit:musicd.service", "user:musicd"};
    r->uid = i % 7 == 0 ? (uid_t)-1 : (uid_t)(1000 + i % 5);
    r->owner_uid = i % 5 == 0 ? (uid_t)-1 : 1000;
    free(r->app);
    r->app = strdup(texts[i % 3]);
    r->kind = strdup("snap");
    r->strength = strdup("label");
    r->unit = strdup("musicd.service");
    r->program = strdup("/usr/bin/player");
    r->account = strdup("main");
    r->owner = strdup("alice");
    r->asked = strdup("music::library:read");
    r->carried = strdup("music::library music::library:read");
    r->verdict = strdup("allow");
    r->decided_by = strdup("table");
    r->chain = strdup("strength=unit; music.conf:3 allow");
    r->detail = strdup("once");
    r->request = strdup("1.42-7");
    r->grant = i;
    r->expires_sec = 1800000000 + i;
    r->has_fingerprint = i % 3 != 0;
    memset(r->fingerprint, i, sizeof(r->fingerprint));
}

/* Closed, of so many records and some, in several epochs; some were counted repeats of. */
static void make_trail(struct fixture *f, struct tampering *t, int n_records)
{
    assert_int_equal(fixture_open(f), 0);
    trail_key(f, &t->first);
    fixture_close(f);
    f->epoch_usec = (uint64_t)n_records * 50; /* a few of them */
    assert_int_equal(fixture_open(f), 0);
    int64_t last = 0;
    for (int i = 1; last < n_records; i++) {
        _cleanup_result_ struct result result = {.done = false};
        struct audit_record *record = new_record(AUDIT_TOKEN_DISCLOSED, "x");
        fill_record(record, i);
        assert_int_equal(store_audit(f->store, record, on_reply, &result, NULL), 0);
        await(f, &result);
        if (i % 4 == 0)
            assert_int_equal(store_count_repeats(f->store, result.row, (uint64_t)i), 0);
        last = result.row;
        (void)usleep(500); /* or a fast disk is done before an epoch ends */
    }
    fixture_close(f);
    assert_true(number(f, "SELECT max(epoch) FROM audit") >= 3);
    t->head.sequence = number(f, "SELECT max(sequence) FROM audit");
    struct trail trail;
    trail_read(f->path, &trail);
    memcpy(t->head.hash, trail.records[trail.n - 1]->hash, AUDIT_HASH_BYTES);
    trail_clear(&trail);
}

/* --- the verifier ------------------------------------------------------------------------------------ */

static int add_up_to(struct store_db *db, struct audit_verify *v, int64_t last)
{
    _cleanup_statement_ struct statement st = statement_open(
        db, SLOT_NONE, "SELECT " STORE_AUDIT_COLUMNS " FROM audit WHERE sequence <= ? ORDER BY sequence");
    statement_int(&st, last);
    int r;
    while ((r = statement_step(&st)) == STEP_ROW) {
        struct audit_record *record;
        r = store_audit_get(&st, &record);
        if (r == 0)
            r = audit_verify_add(v, record);
        else if (r == -EUCLEAN)
            audit_verify_add_unreadable(v, statement_get_int(&st, 0));
        if (r == 0)
            audit_record_free(record);
        st.r = 0;
        assert_true(r == 0 || r == -EUCLEAN);
    }
    return r;
}

/* Whether anything is found; or the database cannot be read, which shows, too. */
static bool is_found_up_to(sqlite3 *sqlite, const struct tampering *t, int64_t last, bool with_head)
{
    struct store_db db = {.sqlite = sqlite};
    struct audit_verify_options options = {.key = &t->first, .findings_max = 10};
    struct audit_verify *v;
    struct audit_verify_report report;
    if (with_head)
        options.head = t->head;
    assert_int_equal(audit_verify_new(&options, &v), 0);
    int r = add_up_to(&db, v, last);
    assert_int_equal(audit_verify_finish(v, &report), 0);
    bool is_found = r < 0 || report.n_damage > 0;
    audit_verify_free(v);
    return is_found;
}

static bool is_found_in(sqlite3 *sqlite, const struct tampering *t, bool with_head)
{
    return is_found_up_to(sqlite, t, INT64_MAX, with_head);
}

/* A copy of the database in memory, which is cheap to alter. */
static sqlite3 *load_copy(const struct fixture *f)
{
    sqlite3 *from, *to;
    assert_int_equal(sqlite3_open(f->path, &from), SQLITE_OK);
    assert_int_equal(sqlite3_open(":memory:", &to), SQLITE_OK);
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    assert_non_null(backup);
    assert_int_equal(sqlite3_backup_step(backup, -1), SQLITE_DONE);
    assert_int_equal(sqlite3_backup_finish(backup), SQLITE_OK);
    assert_int_equal(sqlite3_close(from), SQLITE_OK);
    return to;
}

static void run(sqlite3 *db, const char *sql)
{
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

/* --- every byte of every column ---------------------------------------------------------------------- */

struct columns {
    char names[40][32];
    int n;
};

static void list_columns(sqlite3 *db, struct columns *ret)
{
    sqlite3_stmt *st;
    ret->n = 0;
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT name FROM pragma_table_info('audit')", -1, &st, NULL),
                     SQLITE_OK);
    while (sqlite3_step(st) == SQLITE_ROW)
        (void)snprintf(ret->names[ret->n++], sizeof(ret->names[0]), "%s", sqlite3_column_text(st, 0));
    assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
}

/* Puts a value in one place; false where a constraint forbids it. */
static bool put(sqlite3 *db, const char *column, int64_t row, int type, const void *bytes, size_t n,
                int64_t value)
{
    char sql[128];
    sqlite3_stmt *st;
    (void)snprintf(sql, sizeof(sql), "UPDATE audit SET %s = ?1 WHERE sequence = ?2", column);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    if (type == SQLITE_INTEGER)
        (void)sqlite3_bind_int64(st, 1, value);
    else if (type == SQLITE_TEXT)
        (void)sqlite3_bind_text(st, 1, bytes, (int)n, SQLITE_STATIC);
    else if (type == SQLITE_BLOB)
        (void)sqlite3_bind_blob(st, 1, bytes, (int)n, SQLITE_STATIC);
    (void)sqlite3_bind_int64(st, 2, row);
    int code = sqlite3_step(st);
    (void)sqlite3_finalize(st);
    return code == SQLITE_DONE;
}

struct value {
    int type;
    int64_t number;
    size_t n;
    unsigned char bytes[256];
};

static void get(sqlite3 *db, const char *column, int64_t row, struct value *ret)
{
    char sql[128];
    sqlite3_stmt *st;
    (void)snprintf(sql, sizeof(sql), "SELECT %s FROM audit WHERE sequence = %lld", column, (long long)row);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    *ret = (struct value){.type = sqlite3_column_type(st, 0)};
    if (ret->type == SQLITE_INTEGER) {
        ret->number = sqlite3_column_int64(st, 0);
        ret->n = sizeof(ret->number);
    } else if (ret->type != SQLITE_NULL) {
        const void *bytes = sqlite3_column_blob(st, 0);
        ret->n = (size_t)sqlite3_column_bytes(st, 0);
        assert_true(ret->n <= sizeof(ret->bytes));
        if (ret->n > 0)
            memcpy(ret->bytes, bytes, ret->n);
    }
    (void)sqlite3_finalize(st);
}

/* One byte of a value, exclusive-or'ed. */
static bool alter(sqlite3 *db, const char *column, int64_t row, const struct value *value, size_t at,
                  unsigned char mask)
{
    struct value altered = *value;
    if (value->type == SQLITE_INTEGER)
        altered.number = (int64_t)((uint64_t)value->number ^ (uint64_t)mask << (8 * at));
    else
        altered.bytes[at] ^= mask;
    return put(db, column, row, value->type, altered.bytes, altered.n, altered.number);
}

static unsigned try_byte(sqlite3 *db, const struct tampering *t, const char *column, int64_t row,
                         const struct value *value, size_t at, unsigned char mask)
{
    /* The verifier walks to an epoch some ten thousands ahead, key by key: a few of these are enough. */
    if (at == 2 && row % 16 != 0 && strstr(column, "epoch"))
        return 0;
    if (!alter(db, column, row, value, at, mask))
        return 0; /* no such number, or it is taken */
    int64_t row_now = strcmp(column, "sequence") == 0
                          ? (int64_t)((uint64_t)value->number ^ (uint64_t)mask << (8 * at))
                          : row;
    /* Most shows near it. */
    if (!is_found_up_to(db, t, row + 2, false) && !is_found_in(db, t, true)) {
        print_message("not found: %s of %lld, byte %zu\n", column, (long long)row, at);
        fail();
    }
    assert_true(put(db, column, row_now, value->type, value->bytes, value->n, value->number));
    return 1;
}

static void every_byte_of_every_column(void **state)
{
    enum { N = 64 };
    static const unsigned char masks[] = {0x01, 0x80};
    struct fixture *f = *state;
    struct tampering t;
    struct columns columns;
    make_trail(f, &t, N);
    sqlite3 *db = load_copy(f);
    list_columns(db, &columns);
    assert_int_equal(columns.n, 30);
    assert_false(is_found_in(db, &t, true));
    unsigned n = 0;
    for (int64_t row = 1; row <= N; row++)
        for (int c = 0; c < columns.n; c++) {
            struct value value;
            get(db, columns.names[c], row, &value);
            for (size_t at = 0; at < value.n; at++)
                n += try_byte(db, &t, columns.names[c], row, &value, at, masks[(at + (size_t)row) % 2]);
        }
    assert_false(is_found_in(db, &t, true)); /* all is as it was */
    print_message("%u changes\n", n);
    assert_true(n > 10000);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    audit_chain_key_clear(&t.first);
}

/* --- rows -------------------------------------------------------------------------------------------- */

#define COPY_TO(to)                                                                                          \
    "CREATE TEMP TABLE one AS SELECT * FROM audit WHERE sequence = 20;UPDATE one SET sequence = " #to ";"    \
    "INSERT INTO audit SELECT * FROM one;DROP TABLE one"

/* A table that says no more of what type its values are: a blob is not found where a text is asked for. */
#define LAX                                                                                                  \
    "PRAGMA writable_schema=ON;UPDATE sqlite_schema SET sql = replace(sql, ' STRICT', '') WHERE"             \
    " name = 'audit';PRAGMA writable_schema=RESET;UPDATE audit SET "

static const struct {
    const char *name;
    const char *sql;
    bool needs_head; /* nothing else shows it */
} deeds[] = {
    {"the first removed", "DELETE FROM audit WHERE sequence = 1", false},
    {"one removed", "DELETE FROM audit WHERE sequence = 30", false},
    {"two removed", "DELETE FROM audit WHERE sequence IN (30, 31)", false},
    {"one removed, the rest moved up",
     "DELETE FROM audit WHERE sequence = 30;UPDATE audit SET sequence = sequence - 1 WHERE sequence > 30",
     false},
    {"the end of an epoch removed",
     "DELETE FROM audit WHERE sequence = (SELECT min(sequence) FROM audit WHERE event = 'trail-sealed')",
     false},
    {"an epoch removed", "DELETE FROM audit WHERE epoch = (SELECT max(epoch) - 1 FROM audit)", false},
    {"the beginning removed", "DELETE FROM audit WHERE sequence < 40", false},
    {"the beginning removed, and said so",
     "INSERT INTO audit_base SELECT 1, sequence, hash, epoch, time_sec, 40, epoch, seal FROM audit WHERE"
     " sequence = 40;DELETE FROM audit WHERE sequence <= 40",
     false},
    {"the last removed", "DELETE FROM audit WHERE sequence = (SELECT max(sequence) FROM audit)", true},
    {"the end removed", "DELETE FROM audit WHERE sequence > 50", true},
    {"all removed", "DELETE FROM audit", true},
    {"two swapped",
     "UPDATE audit SET sequence = -1 WHERE sequence = 30;UPDATE audit SET sequence = 30 WHERE sequence = 31;"
     "UPDATE audit SET sequence = 31 WHERE sequence = -1",
     false},
    {"two far ones swapped",
     "UPDATE audit SET sequence = -1 WHERE sequence = 10;UPDATE audit SET sequence = 10 WHERE sequence = 60;"
     "UPDATE audit SET sequence = 60 WHERE sequence = -1",
     false},
    {"one copied to the end", COPY_TO((SELECT max(sequence) + 1 FROM audit)), false},
    {"one copied over another", "DELETE FROM audit WHERE sequence = 40;" COPY_TO(40), false},
    {"contents of two swapped",
     "UPDATE audit SET app = CASE sequence WHEN 20 THEN (SELECT app FROM audit WHERE sequence = 21) ELSE"
     " (SELECT app FROM audit WHERE sequence = 20) END WHERE sequence IN (20, 21)",
     false},
    {"an older counter put back", "UPDATE audit SET repeats = 1 WHERE repeats > 1", false},
    {"counters forgotten, with their seals",
     "UPDATE audit SET repeats = repeats + 1, repeats_epoch = 0, repeats_seal = NULL WHERE repeats > 0",
     false},
    {"one unchained", "UPDATE audit SET hash = NULL, seal = NULL, epoch = 0 WHERE sequence = 30", false},
    {"the beginning unchained", "UPDATE audit SET hash = NULL, seal = NULL, epoch = 0 WHERE sequence < 30",
     false},
    {"all unchained", "UPDATE audit SET hash = NULL, seal = NULL, epoch = 0", true},
    {"a text with an end inside", "UPDATE audit SET app = app || char(0) || 'x' WHERE sequence = 30", false},
    {"a user beyond all users", "UPDATE audit SET uid = uid + 4294967296 WHERE uid = 1001", false},
    {"an owner below all users", "UPDATE audit SET owner_uid = owner_uid - 4294967296 WHERE owner_uid = 1000",
     false},
    {"an app that no index finds", LAX "app = CAST(app AS BLOB) WHERE sequence = 30", false},
    {"a user that no index finds", LAX "uid = CAST(CAST(uid AS TEXT) AS BLOB) WHERE uid = 1001", false},
    {"a time that no index finds", LAX "time_sec = CAST(time_sec || 'x' AS TEXT) WHERE sequence = 30", false},
    {"a part of a second", LAX "time_sec = time_sec + 0.5 WHERE sequence = 30", false},
    {"a token that no index finds",
     LAX
     "fingerprint = NULL WHERE sequence = (SELECT max(sequence) FROM audit WHERE fingerprint IS NOT NULL)",
     false},
};

static void every_deed(void **state)
{
    struct fixture *f = *state;
    struct tampering t;
    make_trail(f, &t, 64);
    for (size_t i = 0; i < ARRAY_SIZE(deeds); i++) {
        sqlite3 *db = load_copy(f);
        print_message("%s\n", deeds[i].name);
        run(db, deeds[i].sql);
        assert_true(is_found_in(db, &t, true));
        if (!deeds[i].needs_head)
            assert_true(is_found_in(db, &t, false));
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
    }
    audit_chain_key_clear(&t.first);
}

/* --- bytes of the file ------------------------------------------------------------------------------- */

/* Whether the file, as altered, reads in every column of every record as the trail does. */
static bool reads_the_same(const char *path, const struct trail *trail)
{
    struct store_db db;
    bool is_same = true;
    size_t n = 0;
    if (store_db_open(&db, path, NULL, STORE_DB_IMMUTABLE) < 0)
        return false;
    struct statement st =
        statement_open(&db, SLOT_NONE, "SELECT " STORE_AUDIT_COLUMNS " FROM audit ORDER BY sequence");
    while (is_same && statement_step(&st) == STEP_ROW) {
        struct audit_record *record = NULL;
        is_same = n < trail->n && store_audit_get(&st, &record) == 0;
        if (is_same) {
            const struct audit_record *was = trail->records[n++];
            unsigned char hash[AUDIT_HASH_BYTES] = {0};
            is_same = record->sequence == was->sequence && record->repeats == was->repeats &&
                      record->has_hash && memcmp(record->hash, was->hash, AUDIT_HASH_BYTES) == 0 &&
                      memcmp(record->seal, was->seal, AUDIT_SEAL_BYTES) == 0 &&
                      record->repeats_epoch == was->repeats_epoch &&
                      memcmp(record->repeats_seal, was->repeats_seal, AUDIT_SEAL_BYTES) == 0;
            if (n > 1)
                memcpy(hash, trail->records[n - 2]->hash, sizeof(hash));
            is_same = is_same && audit_chain_hash(record, hash) == 0 &&
                      memcmp(record->hash, was->hash, AUDIT_HASH_BYTES) == 0;
        }
        audit_record_free(record);
    }
    statement_close(&st);
    store_db_close(&db);
    return is_same && n == trail->n;
}

static bool is_found_at(const char *path, const struct tampering *t)
{
    struct store_db db;
    if (store_db_open(&db, path, NULL, STORE_DB_IMMUTABLE) < 0)
        return true;
    bool is_found = is_found_in(db.sqlite, t, true);
    store_db_close(&db);
    return is_found;
}

static void random_bytes_of_the_file(void **state)
{
    enum { RECORDS = 1000, CHANGES = 400 };
    struct fixture *f = *state;
    struct tampering t;
    _cleanup_trail_ struct trail trail;
    make_trail(f, &t, RECORDS);
    trail_read(f->path, &trail);
    trail_copy(f, "store.db", "altered.db");
    char path[160];
    (void)snprintf(path, sizeof(path), "%s", fixture_path(f, "altered.db"));
    assert_false(is_found_at(path, &t));
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    off_t size = lseek(fd, 0, SEEK_END);
    uint64_t seed = 1;
    unsigned n_found = 0;
    for (unsigned i = 0; i < CHANGES; i++) {
        unsigned char was, now;
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        off_t at = (off_t)((seed >> 20) % (uint64_t)size);
        assert_int_equal(pread(fd, &was, 1, at), 1);
        now = was ^ (unsigned char)(1 + (seed >> 12) % 255);
        assert_int_equal(pwrite(fd, &now, 1, at), 1);
        bool is_found = is_found_at(path, &t);
        n_found += is_found ? 1 : 0;
        if (!is_found)
            assert_true(
                reads_the_same(path, &trail)); /* it was in nobody's way: free space, an index, a login */
        assert_int_equal(pwrite(fd, &was, 1, at), 1);
    }
    (void)close(fd);
    assert_false(is_found_at(path, &t));
    print_message("%u of %d changes of the file found; the others change no record\n", n_found, CHANGES);
    assert_true(n_found > CHANGES / 3);
    audit_chain_key_clear(&t.first);
}

/* Of stored values, as many. */
static void random_bytes_of_columns(void **state)
{
    enum { RECORDS = 1000, CHANGES = 2000 };
    struct fixture *f = *state;
    struct tampering t;
    struct columns columns;
    make_trail(f, &t, RECORDS);
    sqlite3 *db = load_copy(f);
    list_columns(db, &columns);
    assert_true(columns.n > 0);
    uint64_t seed = 7;
    for (unsigned n = 0; n < CHANGES && columns.n > 0;) {
        struct value value;
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        const char *column = columns.names[(seed >> 33) % (uint64_t)columns.n];
        int64_t row = 1 + (int64_t)((seed >> 20) % RECORDS);
        get(db, column, row, &value);
        if (value.n > 0)
            n += try_byte(db, &t, column, row, &value, (seed >> 8) % value.n,
                          (unsigned char)(1 + (seed >> 40) % 255));
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    audit_chain_key_clear(&t.first);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_byte_of_every_column),
        TEST(every_deed),
        TEST(random_bytes_of_the_file),
        TEST(random_bytes_of_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
