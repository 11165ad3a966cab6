/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the trail costs below the bus, for tests/harness/bench.py:
 *
 *     bench-trail verify DATABASE       of a broker that is not running: verifies all of it without a key
 *     bench-trail commit FOLDER COUNT   an own store in the folder: one operation to its callback, by turns
 * with a bare durable insert of the same bytes
 *
 * Each writes one JSON object of figures. */

#include "tests/bench/bench.h"
#include "tests/bench/long-trail.h"

#include "broker/audit-encode.h"
#include "broker/audit-verify.h"
#include "broker/store-internal.h"

#include <sodium.h>
#include <string.h>

#define WARM_UP 20

static void check(int r, const char *what)
{
    if (r != 0)
        die("%s: %d", what, r);
}

/* --- verify ----------------------------------------------------------------------------------------------
 */

static void go_through(struct store_db *db, struct audit_verify *v)
{
    _cleanup_statement_ struct statement st =
        statement_open(db, SLOT_NONE, "SELECT " STORE_AUDIT_COLUMNS " FROM audit ORDER BY sequence");
    int r;
    while ((r = statement_step(&st)) == STEP_ROW) {
        struct audit_record record;
        check(store_audit_look(&st, &record), "a record");
        check(audit_verify_add(v, &record), "its check");
    }
    check(r, "the trail");
}

static void read_base(struct store_db *db, struct audit_base *base)
{
    _cleanup_statement_ struct statement st = statement_open(
        db, SLOT_NONE, "SELECT sequence, hash, epoch, time_sec, removed, seal_epoch, seal FROM audit_base");
    if (statement_step(&st) != STEP_ROW)
        return;
    base->sequence = statement_get_int(&st, 0);
    memcpy(base->hash, sqlite3_column_blob(st.stmt, 1), sizeof(base->hash));
    base->epoch = (uint64_t)statement_get_int(&st, 2);
    base->time_sec = statement_get_int(&st, 3);
    base->removed = statement_get_int(&st, 4);
    base->seal_epoch = (uint64_t)statement_get_int(&st, 5);
    memcpy(base->seal, sqlite3_column_blob(st.stmt, 6), sizeof(base->seal));
}

static void measure_verify(const char *path)
{
    struct audit_verify_options options = {.findings_max = 10};
    struct audit_verify_report report;
    struct audit_verify *v = NULL;
    struct store_db db;
    check(store_db_open(&db, path, NULL, STORE_DB_READER), path);
    read_base(&db, &options.base);
    check(audit_verify_new(&options, &v), "a verifier");
    double before = precise_usec();
    go_through(&db, v);
    check(audit_verify_finish(v, &report), "the report");
    double usec = precise_usec() - before;
    if (report.n_damage > 0)
        die("the trail is damaged: %s", report.findings[0].text);
    figures_add("audit_verify_records", (double)report.n_records);
    figures_add("audit_verify_per_s", (double)report.n_records * 1e6 / usec);
    audit_verify_free(v);
    store_db_close(&db);
}

/* --- one durable write -----------------------------------------------------------------------------------
 */

struct bare {
    sqlite3 *db;
    sqlite3_stmt *insert;
};

static void sql(sqlite3 *db, const char *text)
{
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
        die("%s: %s", text, sqlite3_errmsg(db));
}

static void bare_open(struct bare *bare, const char *folder)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/bare.db", folder);
    if (sqlite3_open(path, &bare->db) != SQLITE_OK)
        die("%s cannot be opened", path);
    sql(bare->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=500;"
                  "CREATE TABLE record (id INTEGER PRIMARY KEY AUTOINCREMENT, bytes BLOB NOT NULL)");
    if (sqlite3_prepare_v2(bare->db, "INSERT INTO record (bytes) VALUES (?)", -1, &bare->insert, NULL) !=
        SQLITE_OK)
        die("%s", sqlite3_errmsg(bare->db));
}

/* The bytes that the chain hashes are those of the record. */
static double bare_write(struct bare *bare, int64_t n)
{
    _cleanup_(audit_record_freep) struct audit_record *record = long_trail_record(n);
    _cleanup_free_ unsigned char *bytes = NULL;
    size_t size;
    check(record ? audit_encode(record, &bytes, &size) : -ENOMEM, "a record");
    double before = precise_usec();
    if (sqlite3_bind_blob(bare->insert, 1, bytes, (int)size, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_step(bare->insert) != SQLITE_DONE || sqlite3_reset(bare->insert) != SQLITE_OK)
        die("%s", sqlite3_errmsg(bare->db));
    return precise_usec() - before;
}

static void on_written(struct store_reply *reply, void *userdata)
{
    check(reply->r, "a record");
    *(bool *)userdata = true;
}

static double store_write(uv_loop_t *loop, struct store *store, int64_t n)
{
    bool is_done = false;
    struct audit_record *record = long_trail_record(n);
    double before = precise_usec();
    check(store_audit(store, record, on_written, &is_done, NULL), "a record");
    while (!is_done)
        (void)uv_run(loop, UV_RUN_ONCE);
    return precise_usec() - before;
}

static struct store *open_store(uv_loop_t *loop, const char *folder)
{
    char path[256], key[256];
    (void)snprintf(path, sizeof(path), "%s/broker.db", folder);
    (void)snprintf(key, sizeof(key), "%s/master.key", folder);
    struct store *store = NULL;
    const struct store_options options = {.path = path, .key_source = {.file = key}};
    check(uv_loop_init(loop), "a loop");
    check(store_open(loop, &options, &store), path);
    return store;
}

static void measure_commit(const char *folder, int64_t count)
{
    struct samples ours = {.n = 0}, theirs = {.n = 0};
    struct bare bare;
    uv_loop_t loop;
    struct store *store = open_store(&loop, folder);
    bare_open(&bare, folder);
    for (int64_t n = 0; n < WARM_UP + count; n++) {
        int64_t disclosed = 100 * n; /* each of them is a disclosure */
        double mine = store_write(&loop, store, disclosed), other = bare_write(&bare, disclosed);
        if (n >= WARM_UP) {
            samples_add(&ours, mine);
            samples_add(&theirs, other);
        }
    }
    samples_report("audit_commit", &ours);
    samples_report("audit_commit_bare", &theirs);
    figures_add("audit_commit_ratio", samples_quantile(&ours, 0.5) / samples_quantile(&theirs, 0.5));
    samples_clear(&ours);
    samples_clear(&theirs);
    (void)sqlite3_finalize(bare.insert);
    (void)sqlite3_close(bare.db);
    store_close(store);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    check(uv_loop_close(&loop), "the loop");
}

int main(int argc, char **argv)
{
    if (sodium_init() < 0)
        die("no sodium");
    figures_begin();
    if (argc == 3 && strcmp(argv[1], "verify") == 0)
        measure_verify(argv[2]);
    else if (argc == 4 && strcmp(argv[1], "commit") == 0)
        measure_commit(argv[2], strtoll(argv[3], NULL, 10));
    else
        die("see the head of tests/bench/bench-trail.c for how it is called");
    figures_end();
    return EXIT_SUCCESS;
}
