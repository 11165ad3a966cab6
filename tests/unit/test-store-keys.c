/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/store-fixture.h"
#include "tests/unit/test-vfs.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* A new master key: what is left wherever it is cut short, and which files are touched. */

#define ALICE_TOKEN "Atzr|alice-token-that-is-not-to-be-found"
#define BOB_TOKEN "Atzr|bob-token-that-is-not-to-be-found"

struct bytes {
    unsigned char *p;
    size_t n; /* 0: no such file */
};

static struct bytes grab(const struct fixture *f, const char *name)
{
    struct bytes b;
    b.n = read_file(fixture_path(f, name), &b.p);
    return b;
}

static bool equal(struct bytes a, struct bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static void put_file(const struct fixture *f, const char *name, struct bytes content, mode_t mode)
{
    const char *path = fixture_path(f, name);
    (void)unlink(path);
    if (content.n > 0) {
        write_file(path, content.p, content.n);
        assert_int_equal(chmod(path, mode), 0);
    }
}

static int rekey(struct fixture *f, int64_t *ret_owners)
{
    _cleanup_result_ struct result result = {.done = false};
    assert_int_equal(
        store_rekey(f->store, new_record(AUDIT_KEY_ROTATED, "user:root"), on_reply, &result, NULL), 0);
    await(f, &result);
    *ret_owners = result.row;
    return result.r;
}

static void fill(struct fixture *f)
{
    int64_t row;
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(add_grant(f, alice(), ALICE_TOKEN, &row), 0);
    assert_int_equal(add_grant(f, bob(), BOB_TOKEN, &row), 0);
}

static void assert_tokens(struct fixture *f)
{
    assert_int_equal(begin(f, 1, 1, STORE_TOKEN_CURRENT, ALICE_TOKEN), 0);
    assert_int_equal(begin(f, 2, 1, STORE_TOKEN_CURRENT, BOB_TOKEN), 0);
}

static bool is_there(const struct fixture *f, const char *name)
{
    return access(fixture_path(f, name), F_OK) == 0;
}

/* --- a rotation ---------------------------------------------------------------------------------------- */

static struct bytes column(const struct fixture *f, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    struct bytes b = {.n = (size_t)sqlite3_column_bytes(stmt, 0)};
    b.p = malloc(b.n);
    assert_non_null(b.p);
    memcpy(b.p, sqlite3_column_blob(stmt, 0), b.n);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return b;
}

/* The checkpoint comes after the answer. */
static void assert_gone(const struct fixture *f, struct bytes blob)
{
    const struct timespec pause = {.tv_nsec = 5000000L};
    for (int i = 0; i < 1000 && folder_holds(f, blob.p, blob.n); i++)
        (void)nanosleep(&pause, NULL);
    assert_false(folder_holds(f, blob.p, blob.n));
}

/* Everything that the old key opened is gone from the database and its WAL, and so is the key. */
static void replaces_key_and_blobs(void **state)
{
    struct fixture *f = *state;
    fill(f);
    static const char *const sealed[] = {
        "SELECT key FROM owner WHERE uid = 1000", "SELECT key FROM owner WHERE uid = 1001",
        "SELECT value FROM meta WHERE name = 'index-key'", "SELECT value FROM meta WHERE name = 'key-id'"};
    struct bytes before[ARRAY_SIZE(sealed)], old = grab(f, "master");
    for (size_t i = 0; i < ARRAY_SIZE(sealed); i++) {
        before[i] = column(f, sealed[i]);
        assert_true(folder_holds(f, before[i].p, before[i].n));
    }
    unsigned char print[AUDIT_FINGERPRINT_BYTES], again[AUDIT_FINGERPRINT_BYTES];
    store_fingerprint(f->store, "x", 1, print);
    int64_t owners;
    _cleanup_close_ int fd = open(f->key, O_RDONLY | O_CLOEXEC);
    assert_int_equal(rekey(f, &owners), 0);
    assert_int_equal(owners, 2);
    unsigned char left[32], nothing[32] = {0}; /* of the file that nobody else can open any more */
    assert_int_equal(pread(fd, left, sizeof(left), 0), sizeof(left));
    assert_memory_equal(left, nothing, sizeof(left));
    store_fingerprint(f->store, "x", 1, again); /* the trail's hashes must go on matching */
    assert_memory_equal(print, again, sizeof(print));
    for (size_t i = 0; i < ARRAY_SIZE(sealed); i++) {
        assert_gone(f, before[i]);
        free(before[i].p);
    }
    assert_tokens(f);
    fixture_close(f);
    assert_false(folder_holds(f, old.p, old.n));
    assert_false(is_there(f, "master.new"));
    struct stat st;
    assert_int_equal(stat(fixture_path(f, "master"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0400);
    assert_int_equal(
        number(f, "SELECT count(*) FROM audit WHERE event = 'key-rotated' AND length(detail) = 32"), 1);

    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(store_key_event(f->store), STORE_KEY_KEPT);
    assert_tokens(f);
    fixture_close(f);
    put_file(f, "master", old, 0400);
    assert_int_equal(fixture_open(f), STORE_E_OTHER_KEY);
    free(old.p);
}

/* What began before ends after, with the right key; what is queued behind it too. */
static void work_goes_on(void **state)
{
    struct fixture *f = *state;
    fill(f);
    int64_t owners;
    uint64_t generation;
    assert_int_equal(begin(f, 1, 1, STORE_TOKEN_CURRENT, ALICE_TOKEN), 0);
    assert_int_equal(rekey(f, &owners), 0);
    assert_int_equal(finish(f, 1, 1, STORE_TOKEN_CURRENT, "Atzr|rotated", &generation), 0);

    _cleanup_result_ struct result first = {.done = false}, second = {.done = false}, last = {.done = false};
    test_vfs_slow_sync(50); /* during the commit of the first the others queue up, for one transaction */
    assert_int_equal(store_refresh_begin(f->store, 1, 2, STORE_TOKEN_CURRENT, on_reply, &first, NULL), 0);
    assert_int_equal(store_rekey(f->store, NULL, on_reply, &second, NULL), 0);
    assert_int_equal(store_refresh_finish(f->store, 1, 2, STORE_TOKEN_CURRENT, new_token("Atzr|again"), NULL,
                                          on_reply, &last, NULL),
                     0);
    await(f, &last);
    assert_true(first.done && second.done);
    test_vfs_slow_sync(0);
    assert_int_equal(first.r, 0);
    assert_int_equal(second.r, 0);
    assert_int_equal(last.r, 0);
    reopen(f);
    assert_int_equal(begin(f, 1, 3, STORE_TOKEN_CURRENT, "Atzr|again"), 0);
    assert_int_equal(begin(f, 1, 3, STORE_TOKEN_PREVIOUS, "Atzr|rotated"), 0);
    assert_int_equal(begin(f, 2, 1, STORE_TOKEN_CURRENT, BOB_TOKEN), 0);
}

/* A key that cannot be made changes nothing, and a FILE.new that is no key is not overwritten. */
static void refuses_where_it_cannot(void **state)
{
    struct fixture *f = *state;
    fill(f);
    struct bytes old = grab(f, "master");
    int64_t owners;
    put_file(f, "master.new", (struct bytes){(unsigned char *)"no key", 6}, 0400);
    assert_int_equal(rekey(f, &owners), -EEXIST);
    assert_int_equal(unlink(fixture_path(f, "master.new")), 0);
    assert_int_equal(mkdir(fixture_path(f, "master.new.part"), 0700), 0);
    assert_true(rekey(f, &owners) < 0);
    assert_int_equal(rmdir(fixture_path(f, "master.new.part")), 0);
    struct bytes after = grab(f, "master");
    assert_true(equal(old, after));
    assert_tokens(f);
    reopen(f);
    assert_tokens(f);
    free(old.p);
    free(after.p);
}

/* --- every combination of files ------------------------------------------------------------------------ */

enum content { NOTHING, OLD, NEW, OTHER, MALFORMED, OPEN_OLD, OPEN_NEW, CONTENT_COUNT };

struct scene {
    struct bytes database[2]; /* sealed with the old, with the new key */
    struct bytes keys[CONTENT_COUNT];
};

static void make_scene(struct fixture *f, struct scene *s)
{
    static unsigned char other[32] = {1};
    int64_t owners;
    fill(f);
    fixture_close(f);
    s->database[0] = grab(f, "store.db");
    s->keys[OLD] = s->keys[OPEN_OLD] = grab(f, "master");
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(rekey(f, &owners), 0);
    fixture_close(f);
    s->database[1] = grab(f, "store.db");
    s->keys[NEW] = s->keys[OPEN_NEW] = grab(f, "master");
    s->keys[OTHER] = (struct bytes){other, 32};
    s->keys[MALFORMED] = (struct bytes){other, 31};
}

static void free_scene(struct scene *s)
{
    free(s->database[0].p);
    free(s->database[1].p);
    free(s->keys[OLD].p);
    free(s->keys[NEW].p);
}

static void put_scene(struct fixture *f, const struct scene *s, int database, enum content file,
                      enum content staged)
{
    put_file(f, "store.db", s->database[database], 0600);
    put_file(f, "store.db-wal", (struct bytes){NULL, 0}, 0);
    put_file(f, "store.db-shm", (struct bytes){NULL, 0}, 0);
    put_file(f, "master", s->keys[file], file == OPEN_OLD || file == OPEN_NEW ? 0440 : 0400);
    put_file(f, "master.new", s->keys[staged], staged == OPEN_OLD || staged == OPEN_NEW ? 0440 : 0400);
}

static int expect(int database, enum content file, enum content staged)
{
    enum content wanted = database == 0 ? OLD : NEW;
    if (file == wanted || staged == wanted)
        return 0;
    return file == NOTHING                               ? STORE_E_NO_KEY
           : file == OTHER || file == OLD || file == NEW ? STORE_E_OTHER_KEY
                                                         : STORE_E_BAD_KEY;
}

static void check_scene(struct fixture *f, const struct scene *s, int database, enum content file,
                        enum content staged)
{
    put_scene(f, s, database, file, staged);
    struct bytes before = grab(f, "store.db");
    int expected = expect(database, file, staged);
    assert_int_equal(fixture_open(f), expected);
    if (expected == 0) {
        assert_tokens(f);
        bool is_finished = file != (database == 0 ? OLD : NEW);
        assert_int_equal(store_key_event(f->store), is_finished ? STORE_KEY_FINISHED : STORE_KEY_KEPT);
        reopen(f); /* as it was left */
        assert_tokens(f);
        fixture_close(f);
    }
    struct bytes after = grab(f, "store.db"), key = grab(f, "master"), beside = grab(f, "master.new");
    if (expected == 0) {
        assert_true(equal(key, s->keys[database == 0 ? OLD : NEW]));
        assert_false(is_there(f, "master.new"));
    } else {
        assert_true(equal(before, after));
        assert_true(equal(key, s->keys[file]));
        assert_true(equal(beside, s->keys[staged]));
        assert_false(is_there(f, "store.db-wal"));
    }
    free(before.p);
    free(after.p);
    free(key.p);
    free(beside.p);
}

static void any_files_are_finished_or_left(void **state)
{
    struct fixture *f = *state;
    struct scene s = {0};
    make_scene(f, &s);
    for (int database = 0; database < 2; database++)
        for (int file = NOTHING; file < CONTENT_COUNT; file++)
            for (int staged = NOTHING; staged < CONTENT_COUNT; staged++)
                check_scene(f, &s, database, file, staged);
    free_scene(&s);
}

/* A FILE.new is not of a database that was made just now: it may be of one that was moved away. */
static void a_new_database_leaves_it(void **state)
{
    struct fixture *f = *state;
    struct scene s = {0};
    make_scene(f, &s);
    put_scene(f, &s, 0, OLD, NEW);
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(fixture_open(f), 0);
    fixture_close(f);
    assert_true(is_there(f, "master.new"));
    free_scene(&s);
}

/* A rotation takes up what an earlier one left: a key that may be in a commit whose failure was not sure, and
 * one that is the database's already. */
static void rotation_is_resumed(void **state)
{
    struct fixture *f = *state;
    struct scene s = {0};
    int64_t owners;
    make_scene(f, &s);
    put_scene(f, &s, 0, OLD, NOTHING);
    assert_int_equal(fixture_open(f), 0);
    put_file(f, "master.new", s.keys[NEW], 0400);
    assert_int_equal(rekey(f, &owners), 0);
    struct bytes key = grab(f, "master");
    assert_true(equal(key, s.keys[NEW]));
    free(key.p);

    put_file(f, "master.new", s.keys[NEW], 0400);
    put_file(f, "master", s.keys[OLD], 0400);
    assert_int_equal(rekey(f, &owners), 0);
    key = grab(f, "master");
    assert_false(equal(key, s.keys[NEW]) || equal(key, s.keys[OLD]));
    assert_tokens(f);
    reopen(f);
    assert_tokens(f);
    free(key.p);
    free_scene(&s);
}

/* --- faults -------------------------------------------------------------------------------------------- */

/* The database as a power cut leaves it, with the keys beside it. */
static void assert_opens_after_power_cut(struct fixture *f)
{
    static const char *const names[] = {"cut.db", "cut.db-wal", "cut.db-shm", "cut-master", "cut-master.new"};
    char path[sizeof(f->path)], key[sizeof(f->key)];
    struct store *store = f->store;
    struct bytes master = grab(f, "master"), staged = grab(f, "master.new");
    memcpy(path, f->path, sizeof(path));
    memcpy(key, f->key, sizeof(key));
    (void)snprintf(f->path, sizeof(f->path), "%s/cut.db", f->folder);
    (void)snprintf(f->key, sizeof(f->key), "%s/cut-master", f->folder);
    test_vfs_save_durable(path, f->path);
    put_file(f, "cut-master", master, 0400);
    put_file(f, "cut-master.new", staged, 0400);
    assert_int_equal(fixture_open(f), 0);
    assert_tokens(f);
    fixture_close(f);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        (void)unlink(fixture_path(f, names[i]));
    memcpy(f->path, path, sizeof(path));
    memcpy(f->key, key, sizeof(key));
    f->store = store;
    free(master.p);
    free(staged.p);
}

/* True: the n-th write of the rotation was reached. */
static bool fail_once(struct fixture *f, unsigned n, int code, bool sticky)
{
    int64_t owners;
    (void)unlink(f->path);
    fill(f);
    struct bytes old = grab(f, "master");
    unsigned before = test_vfs_count_writes() + test_vfs_count_syncs();
    test_vfs_fail_at(n, code, sticky);
    int r = rekey(f, &owners);
    fixture_close(f); /* with its checkpoint, which may meet the fault too */
    bool reached = test_vfs_count_writes() + test_vfs_count_syncs() - before >= n;
    test_vfs_fail_at(0, 0, false);
    assert_opens_after_power_cut(f);

    assert_int_equal(fixture_open(f), 0);
    assert_tokens(f);
    struct bytes key = grab(f, "master");
    if (r == 0)
        assert_false(equal(old, key));
    assert_int_equal(rekey(f, &owners), 0); /* and once more, without a fault */
    assert_tokens(f);
    fixture_close(f);
    assert_false(is_there(f, "master.new"));
    free(old.p);
    free(key.p);
    test_vfs_reset();
    return reached;
}

static void every_write_can_fail(void **state)
{
    struct fixture *f = *state;
    static const struct {
        int code;
        bool sticky;
    } cases[] = {{SQLITE_FULL, true},
                 {SQLITE_IOERR_WRITE, false},
                 {SQLITE_IOERR_FSYNC, false},
                 {SQLITE_IOERR_FSYNC, true}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        unsigned n = 1;
        while (fail_once(f, n, cases[i].code, cases[i].sticky))
            assert_true(++n < 200);
        assert_true(n > 4); /* it did go through them */
    }
}

static void rotate_for_ever(const struct fixture *f)
{
    struct fixture mine = {.store = NULL};
    memcpy(mine.folder, f->folder, sizeof(mine.folder));
    memcpy(mine.path, f->path, sizeof(mine.path));
    memcpy(mine.key, f->key, sizeof(mine.key));
    if (uv_loop_init(&mine.loop) < 0 || fixture_open(&mine) != 0)
        _exit(1);
    for (;;) {
        struct result result = {.done = false};
        if (store_rekey(mine.store, NULL, on_reply, &result, NULL) < 0)
            _exit(1);
        while (!result.done)
            (void)uv_run(&mine.loop, UV_RUN_ONCE);
        if (result.r != 0)
            _exit(1);
    }
}

/* kill -9 at any instant: in the kernel everything that was written is still there, in this order. */
static void killed_at_any_instant(void **state)
{
    enum { KILLS = 60 };
    struct fixture *f = *state;
    unsigned n_finished = 0;
    fill(f);
    fixture_close(f);
    for (unsigned i = 0; i < KILLS; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            rotate_for_ever(f);
        struct timespec pause = {.tv_nsec = 4000000L + 211000L * (i * 37 % KILLS)};
        (void)nanosleep(&pause, NULL);
        int status;
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status)); /* it had not given up by itself */
        assert_int_equal(fixture_open(f), 0);
        n_finished += store_key_event(f->store) == STORE_KEY_FINISHED;
        assert_tokens(f);
        fixture_close(f);
        assert_false(is_there(f, "master.new") || is_there(f, "master.new.part"));
    }
    print_message("%u of %d kills came between the commit and the rename\n", n_finished, KILLS);
}

/* --- another source --------------------------------------------------------------------------------------
 */

static int open_with(struct fixture *f, const struct key_source *source)
{
    const struct store_options options = {.path = f->path, .vfs = TEST_VFS, .key_source = *source};
    return store_open(&f->loop, &options, &f->store);
}

static void put_key(const struct fixture *f, const char *name, unsigned char first)
{
    unsigned char key[32] = {first};
    put_file(f, name, (struct bytes){key, sizeof(key)}, 0400);
}

static void moves_between_sources(void **state)
{
    struct fixture *f = *state;
    char credential[200], rotated[200], file[200];
    (void)snprintf(credential, sizeof(credential), "%s/credential", f->folder);
    (void)snprintf(rotated, sizeof(rotated), "%s/rotated", f->folder);
    (void)snprintf(file, sizeof(file), "%s/file", f->folder);
    put_key(f, "credential", 1);
    put_key(f, "rotated", 2);
    fill(f);
    fixture_close(f);

    const struct key_source steps[] = {
        {.credential_path = credential, .file = f->key, .previous_file = f->key}, /* a file to a credential */
        {.credential_path = rotated, .previous_credential_path = credential},     /* to another credential */
        {.file = file, .previous_credential_path = rotated},                      /* to a file that is made */
        {.file = f->key, .previous_file = file, .previous_credential_path = ""}, /* to a file that is there */
    };
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        assert_int_equal(open_with(f, &steps[i]), 0);
        assert_int_equal(store_key_event(f->store), STORE_KEY_MOVED);
        assert_tokens(f);
        fixture_close(f);
        assert_int_equal(open_with(f, &steps[i]), 0); /* the previous one is still named, and of no use */
        assert_int_equal(store_key_event(f->store), STORE_KEY_KEPT);
        fixture_close(f);
        struct key_source alone = steps[i];
        alone.previous_file = alone.previous_credential_path = NULL;
        assert_int_equal(open_with(f, &alone), 0);
        assert_tokens(f);
        fixture_close(f);
    }
    assert_int_equal(number(f, "SELECT count(*) FROM audit WHERE event = 'key-rotated'"), 4);
    assert_false(is_there(f, "file.new") || is_there(f, "credential.new"));
}

static void a_credential_is_not_rotated(void **state)
{
    struct fixture *f = *state;
    char credential[200];
    int64_t row;
    (void)snprintf(credential, sizeof(credential), "%s/credential", f->folder);
    put_key(f, "credential", 1);
    const struct key_source source = {.credential_path = credential, .file = f->key};
    assert_int_equal(open_with(f, &source), 0);
    assert_int_equal(add_grant(f, alice(), ALICE_TOKEN, &row), 0);
    assert_int_equal(store_rekey(f->store, NULL, NULL, NULL, NULL), -EOPNOTSUPP);
    assert_false(is_there(f, "master"));
}

/* None of these changes a byte: no source that has the key, or a target that is none. */
static void refuses_what_does_not_fit(void **state)
{
    struct fixture *f = *state;
    char a[200], b[200], bad[200];
    (void)snprintf(a, sizeof(a), "%s/a", f->folder);
    (void)snprintf(b, sizeof(b), "%s/b", f->folder);
    (void)snprintf(bad, sizeof(bad), "%s/bad", f->folder);
    put_key(f, "a", 1);
    put_key(f, "b", 2);
    put_file(f, "bad", (struct bytes){(unsigned char *)"short", 5}, 0400);
    fill(f);
    fixture_close(f);
    const struct {
        struct key_source source;
        int outcome;
    } cases[] = {
        {{.credential_path = ""}, STORE_E_NO_KEY},
        {{.credential_path = "", .file = f->key}, STORE_E_NO_KEY},
        {{.credential_path = "", .file = f->key, .previous_file = f->key}, STORE_E_NO_KEY},
        {{.credential_path = "/nonexistent/key", .file = f->key}, STORE_E_NO_KEY},
        {{.credential_path = a, .file = f->key}, STORE_E_OTHER_KEY},
        {{.credential_path = a, .previous_file = b}, STORE_E_OTHER_KEY},
        {{.credential_path = a, .previous_file = bad}, STORE_E_OTHER_KEY},
        {{.credential_path = a, .previous_file = "/nonexistent/key"}, STORE_E_OTHER_KEY},
        {{.credential_path = a, .previous_credential_path = ""}, STORE_E_OTHER_KEY},
        {{.credential_path = bad, .previous_file = f->key}, STORE_E_BAD_KEY},
        {{.file = bad, .previous_file = f->key}, STORE_E_BAD_KEY},
    };
    struct bytes before = grab(f, "store.db");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        test_vfs_reset();
        assert_int_equal(open_with(f, &cases[i].source), cases[i].outcome);
        assert_int_equal(test_vfs_count_writes(), 0);
        struct bytes after = grab(f, "store.db");
        assert_true(equal(before, after));
        free(after.p);
    }
    free(before.p);
    assert_int_equal(fixture_open(f), 0);
    assert_tokens(f);
}

/* --- removal ------------------------------------------------------------------------------------------- */

/* With the last account of an owner everything goes that its key or its tokens are in, wherever it was. */
static void removed_owner_leaves_no_blob(void **state)
{
    static const char *const sealed[] = {"SELECT key FROM owner WHERE uid = 1000",
                                         "SELECT token FROM grant WHERE id = 1",
                                         "SELECT previous FROM grant WHERE id = 1"};
    struct fixture *f = *state;
    int64_t account, other;
    uint64_t generation;
    fill(f);
    assert_int_equal(begin(f, 1, 1, STORE_TOKEN_CURRENT, ALICE_TOKEN), 0);
    struct bytes first = column(f, sealed[1]);
    assert_int_equal(finish(f, 1, 1, STORE_TOKEN_CURRENT, "Atzr|rotated", &generation), 0);
    assert_int_equal(add_account(f, 1, "main", 'a', &account), 0);
    assert_int_equal(add_account(f, 2, "other", 'b', &other), 0);
    struct bytes blobs[ARRAY_SIZE(sealed)];
    for (size_t i = 0; i < ARRAY_SIZE(sealed); i++) {
        blobs[i] = column(f, sealed[i]);
        assert_true(folder_holds(f, blobs[i].p, blobs[i].n));
    }
    _cleanup_result_ struct result result = {.done = false};
    assert_int_equal(store_remove_account(f->store, account, NULL, on_reply, &result, NULL), 0);
    await(f, &result);
    assert_int_equal(result.r, 0);
    for (size_t i = 0; i < ARRAY_SIZE(sealed); i++) {
        assert_gone(f, blobs[i]);
        free(blobs[i].p);
    }
    assert_gone(f, first); /* nor what was there before the rotation */
    fixture_close(f);
    free(first.p);
    assert_int_equal(number(f, "SELECT count(*) FROM owner WHERE uid = 1000"), 0);
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(begin(f, 2, 1, STORE_TOKEN_CURRENT, BOB_TOKEN), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(replaces_key_and_blobs),    TEST(work_goes_on),
        TEST(refuses_where_it_cannot),   TEST(any_files_are_finished_or_left),
        TEST(a_new_database_leaves_it),  TEST(rotation_is_resumed),
        TEST(every_write_can_fail),      TEST(killed_at_any_instant),
        TEST(moves_between_sources),     TEST(a_credential_is_not_rotated),
        TEST(refuses_what_does_not_fit), TEST(removed_owner_leaves_no_blob),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
