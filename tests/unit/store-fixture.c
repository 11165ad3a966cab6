/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/store-fixture.h"

#include "tests/unit/test-vfs.h"

#include <dirent.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

int fixture_set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (!f)
        return -1;
    memcpy(f->folder, "/tmp/test store?%41.XXXXXX", sizeof("/tmp/test store?%41.XXXXXX"));
    if (!mkdtemp(f->folder) || uv_loop_init(&f->loop) < 0)
        return -1;
    (void)snprintf(f->path, sizeof(f->path), "%s/store.db", f->folder);
    (void)snprintf(f->key, sizeof(f->key), "%s/master", f->folder);
    test_vfs_register();
    test_vfs_reset();
    *state = f;
    return 0;
}

static void remove_folder(const char *folder)
{
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        char name[400];
        (void)snprintf(name, sizeof(name), "%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.')
            (void)unlink(name);
    }
    if (d)
        (void)closedir(d);
    (void)rmdir(folder);
}

int fixture_tear_down(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    int r = uv_loop_close(&f->loop);
    remove_folder(f->folder);
    test_vfs_reset();
    free(f);
    return r;
}

int fixture_open_at(struct fixture *f, const char *path)
{
    struct store_options options = {
        .path = path, .vfs = TEST_VFS, .key_source = {.file = f->key}, .audit_epoch_usec = f->epoch_usec};
    return store_open(&f->loop, &options, &f->store);
}

int fixture_open(struct fixture *f)
{
    return fixture_open_at(f, f->path);
}

void fixture_close(struct fixture *f)
{
    store_close(f->store);
    f->store = NULL;
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
}

const char *fixture_path(const struct fixture *f, const char *name)
{
    static char paths[2][160];
    static unsigned turn;
    char *path = paths[turn++ % 2];
    (void)snprintf(path, sizeof(paths[0]), "%s/%.90s", f->folder, name);
    return path;
}

void result_clear(struct result *result)
{
    secret_free(result->token);
    for (size_t i = 0; i < result->n_records; i++)
        audit_record_free(result->records[i]);
    free(result->records);
    *result = (struct result){.done = false};
}

void on_reply(struct store_reply *reply, void *userdata)
{
    struct result *result = userdata;
    assert_false(result->done); /* once */
    *result = (struct result){.done = true,
                              .r = reply->r,
                              .row = reply->row,
                              .generation = reply->generation,
                              .token = TAKE_PTR(reply->token),
                              .records = TAKE_PTR(reply->records),
                              .n_records = reply->n_records,
                              .next = reply->next,
                              .epoch = reply->epoch};
    reply->n_records = 0;
}

void await(struct fixture *f, struct result *result)
{
    while (!result->done)
        (void)uv_run(&f->loop, UV_RUN_ONCE);
}

void query(struct fixture *f, const struct audit_filter *filter, struct store_page page, struct result *ret)
{
    struct audit_filter all;
    audit_filter_init(&all);
    assert_int_equal(store_audit_query(f->store, filter ? filter : &all, &page, 0, on_reply, ret, NULL), 0);
    await(f, ret);
    assert_int_equal(ret->r, 0);
}

struct secret *new_token(const char *text)
{
    struct secret *s = NULL;
    assert_int_equal(secret_new(text, strlen(text), &s), 0);
    return s;
}

static char *copy(const char *text)
{
    char *s = strdup(text);
    assert_non_null(s);
    return s;
}

struct audit_record *new_record(enum audit_event event, const char *app)
{
    struct audit_record *r = audit_record_new(event);
    assert_non_null(r);
    r->app = copy(app);
    return r;
}

struct owner alice(void)
{
    return (struct owner){.uid = 1000, .name = "alice"};
}

struct owner bob(void)
{
    return (struct owner){.uid = 1001, .name = "bob"};
}

struct owner the_device(void)
{
    return (struct owner){.device = true, .uid = (uid_t)-1};
}

int add_grant(struct fixture *f, struct owner owner, const char *token, int64_t *ret_row)
{
    struct store_grant grant = {.owner = owner,
                                .target = "",
                                .label = "new label",
                                .endpoint = "https://api.example/token",
                                .client_id = "client-1",
                                .flow = "device-code",
                                .may_carry = "music::library profile",
                                .carries = "music::library"};
    _cleanup_result_ struct result result = {.done = false};
    assert_int_equal(store_add_grant(f->store, &grant, new_token(token),
                                     new_record(AUDIT_LOGIN_BEGUN, "user:alice"), on_reply, &result, NULL),
                     0);
    await(f, &result);
    if (result.r == 0) {
        assert_int_equal(result.generation, 1);
        *ret_row = result.row;
    }
    return result.r;
}

int add_account(struct fixture *f, int64_t grant, const char *id, char customer, int64_t *ret_row)
{
    struct store_link link = {.grant = grant, .id = id, .label = "Living room", .is_default = true};
    memset(link.customer, customer, sizeof(link.customer));
    _cleanup_result_ struct result result = {.done = false};
    assert_int_equal(
        store_link(f->store, &link, new_record(AUDIT_LOGIN_FINISHED, "user:alice"), on_reply, &result, NULL),
        0);
    await(f, &result);
    if (result.r == 0)
        *ret_row = result.row;
    return result.r;
}

int begin(struct fixture *f, int64_t grant, uint64_t generation, enum store_token_which which,
          const char *expected_token)
{
    _cleanup_result_ struct result result = {.done = false};
    assert_int_equal(store_refresh_begin(f->store, grant, generation, which, on_reply, &result, NULL), 0);
    await(f, &result);
    if (result.r == 0) {
        assert_non_null(result.token);
        assert_int_equal(secret_size(result.token), strlen(expected_token));
        assert_memory_equal(secret_bytes(result.token), expected_token, strlen(expected_token));
    } else {
        assert_null(result.token);
    }
    return result.r;
}

int finish(struct fixture *f, int64_t grant, uint64_t generation, enum store_token_which which,
           const char *rotated, uint64_t *ret_generation)
{
    _cleanup_result_ struct result result = {.done = false};
    assert_int_equal(store_refresh_finish(f->store, grant, generation, which,
                                          rotated ? new_token(rotated) : NULL,
                                          new_record(AUDIT_TOKEN_REFRESHED, ""), on_reply, &result, NULL),
                     0);
    await(f, &result);
    if (result.r == 0)
        *ret_generation = result.generation;
    return result.r;
}

int end(struct fixture *f, int64_t grant, uint64_t generation, enum store_refresh_end how)
{
    _cleanup_result_ struct result result = {.done = false};
    assert_int_equal(store_refresh_fail(f->store, grant, generation, how, "invalid-grant",
                                        new_record(AUDIT_TOKEN_REFRESH_FAILED, ""), on_reply, &result, NULL),
                     0);
    await(f, &result);
    return result.r;
}

int audit(struct fixture *f, enum audit_event event, const char *app, int64_t *ret_sequence)
{
    _cleanup_result_ struct result result = {.done = false};
    assert_int_equal(store_audit(f->store, new_record(event, app), on_reply, &result, NULL), 0);
    await(f, &result);
    if (result.r == 0)
        *ret_sequence = result.row;
    return result.r;
}

static void keep(char *buffer, size_t size, const char *text)
{
    (void)snprintf(buffer, size, "%s", text);
}

static int on_account(const struct store_account *account, void *userdata)
{
    struct loaded *l = userdata;
    assert_int_equal(l->n_grants, 0);
    l->n_accounts++;
    l->account = *account;
    keep(l->account_id, sizeof(l->account_id), account->id);
    keep(l->label, sizeof(l->label), account->label);
    keep(l->owner_name, sizeof(l->owner_name), account->owner.name);
    return 0;
}

static int on_grant(const struct store_grant *grant, void *userdata)
{
    struct loaded *l = userdata;
    l->n_grants++;
    l->grant = *grant;
    keep(l->reason, sizeof(l->reason), grant->dead_reason);
    keep(l->carries, sizeof(l->carries), grant->carries);
    return 0;
}

struct loaded load(struct fixture *f)
{
    static const struct store_visitor visitor = {.account = on_account, .grant = on_grant};
    struct loaded l = {.n_accounts = 0};
    assert_int_equal(store_load(f->store, &visitor, &l), 0);
    return l;
}

size_t read_file(const char *path, unsigned char **ret)
{
    FILE *in = fopen(path, "re");
    struct stat st = {.st_size = 0};
    if (in)
        assert_int_equal(fstat(fileno(in), &st), 0);
    *ret = malloc((size_t)st.st_size + 1);
    assert_non_null(*ret);
    if (in)
        assert_int_equal(fread(*ret, 1, (size_t)st.st_size, in), st.st_size);
    fclosep(&in);
    return (size_t)st.st_size;
}

void write_file(const char *path, const void *bytes, size_t n)
{
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, n, out), n);
    assert_int_equal(fclose(out), 0);
}

bool folder_holds(const struct fixture *f, const void *bytes, size_t n)
{
    bool found = false;
    DIR *d = opendir(f->folder);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        _cleanup_free_ unsigned char *content = NULL;
        size_t size = read_file(fixture_path(f, e->d_name), &content);
        found |= memmem(content, size, bytes, n) != NULL;
    }
    (void)closedir(d);
    return found;
}

void reopen(struct fixture *f)
{
    fixture_close(f);
    assert_int_equal(fixture_open(f), 0);
}

int64_t number(const struct fixture *f, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    int code = sqlite3_step(stmt);
    assert_true(code == SQLITE_ROW || code == SQLITE_DONE);
    int64_t n = code == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : -1;
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return n;
}

int64_t number_at(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    int64_t n = -1;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
        n = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return n;
}

const char *cut_power(const struct fixture *f)
{
    (void)unlink(fixture_path(f, "cut.db-wal"));
    (void)unlink(fixture_path(f, "cut.db-shm"));
    (void)unlink(fixture_path(f, "cut.db"));
    /* What is on the trail's key is synced before it counts. */
    _cleanup_free_ unsigned char *key = NULL;
    size_t n = read_file(fixture_path(f, "store.db-audit.key"), &key);
    if (n > 0) {
        write_file(fixture_path(f, "cut.db-audit.key"), key, n);
        assert_int_equal(chmod(fixture_path(f, "cut.db-audit.key"), 0600), 0);
    } else {
        (void)unlink(fixture_path(f, "cut.db-audit.key"));
    }
    const char *cut = fixture_path(f, "cut.db");
    test_vfs_save_durable(f->path, cut);
    return cut;
}
