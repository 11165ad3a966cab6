/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A database whose rows somebody wrote to: the input changes values of the rows of a good one, which is then
 * loaded, asked for its refresh tokens and for its trail. What is loaded is what the rest of the broker may
 * rely on; a refresh token is handed out as it was stored, or not at all (I2). */

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/consent.h"
#include "broker/store-internal.h"
#include "tests/fuzz/fuzz.h"
#include "util/utf8.h"

#include <fcntl.h>
#include <sodium.h>

enum column_kind { COLUMN_NUMBER, COLUMN_TEXT, COLUMN_BLOB };

static const struct {
    const char *table, *name;
    enum column_kind kind;
} columns[] = {
    {"owner", "uid", COLUMN_NUMBER},
    {"owner", "name", COLUMN_TEXT},
    {"owner", "key", COLUMN_BLOB},
    {"account", "owner", COLUMN_NUMBER},
    {"account", "name", COLUMN_TEXT},
    {"account", "label", COLUMN_TEXT},
    {"account", "is_default", COLUMN_NUMBER},
    {"account", "created_sec", COLUMN_NUMBER},
    {"account", "customer", COLUMN_BLOB},
    {"grant", "owner", COLUMN_NUMBER},
    {"grant", "account", COLUMN_NUMBER},
    {"grant", "target", COLUMN_TEXT},
    {"grant", "label", COLUMN_TEXT},
    {"grant", "endpoint", COLUMN_TEXT},
    {"grant", "client_id", COLUMN_TEXT},
    {"grant", "flow", COLUMN_TEXT},
    {"grant", "may_carry", COLUMN_TEXT},
    {"grant", "carries", COLUMN_TEXT},
    {"grant", "generation", COLUMN_NUMBER},
    {"grant", "token", COLUMN_BLOB},
    {"grant", "previous", COLUMN_BLOB},
    {"grant", "dead", COLUMN_NUMBER},
    {"grant", "dead_reason", COLUMN_TEXT},
    {"grant", "intent_sec", COLUMN_NUMBER},
    {"audit", "event", COLUMN_TEXT},
    {"audit", "app", COLUMN_TEXT},
    {"audit", "detail", COLUMN_TEXT},
    {"audit", "uid", COLUMN_NUMBER},
    {"audit", "owner_uid", COLUMN_NUMBER},
    {"audit", "fingerprint", COLUMN_BLOB},
    {"audit", "repeats", COLUMN_NUMBER},
    {"audit", "grant_row", COLUMN_NUMBER},
    {"audit", "chain", COLUMN_TEXT},
    {"consent", "account", COLUMN_NUMBER},
    {"consent", "app", COLUMN_TEXT},
    {"consent", "scope", COLUMN_TEXT},
    {"consent", "answer", COLUMN_TEXT},
    {"consent", "lasts", COLUMN_TEXT},
    {"consent", "given_sec", COLUMN_NUMBER},
    {"consent", "until_sec", COLUMN_NUMBER},
    {"consent", "how", COLUMN_TEXT},
    {"consent", "by_uid", COLUMN_NUMBER},
    {"consent", "by_name", COLUMN_TEXT},
};

static const char *const tables[] = {"audit", "consent", "grant", "account", "owner"};
static const char *const tokens[] = {"Atzr|the first", "Atzr|the second"};

static char folder[] = "/dev/shm/lwa-fuzz-XXXXXX";
static char path[sizeof(folder) + 16], key_path[sizeof(folder) + 16];
static struct secret *master;
static struct store_db writer;
static struct store store;

/* --- the good database ------------------------------------------------------------------------------- */

static void clean_up(void)
{
    static const char *const tails[] = {"", "-wal", "-shm"};
    store_db_close(&writer);
    for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
        char name[sizeof(path) + 8];
        (void)snprintf(name, sizeof(name), "%s%s", path, tails[i]);
        (void)unlink(name);
    }
    (void)unlink(key_path);
    (void)rmdir(folder);
}

static void make_key(void)
{
    unsigned char key[SEAL_KEY_BYTES] = {4, 2};
    _cleanup_close_ int fd = open(key_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    require(fd >= 0 && write(fd, key, sizeof(key)) == (ssize_t)sizeof(key));
    require(secret_new(key, sizeof(key), &master) == 0);
}

static void on_done(struct store_reply *reply, void *userdata)
{
    require(reply->r == 0);
    *(int64_t *)userdata = reply->row;
}

static int64_t await(uv_loop_t *loop, int64_t *row)
{
    while (*row < 0)
        (void)uv_run(loop, UV_RUN_ONCE);
    return *row;
}

static void add_consent(uv_loop_t *loop, struct store *s, int64_t account, bool denies)
{
    const struct store_consent_change change = {
        .of = {.account = account,
               .app = "user:musicd",
               .answer = denies ? "deny" : "allow",
               .lasts = denies ? "logout" : "until",
               .given_sec = 1800000000,
               .until_sec = denies ? 0 : 1900000000,
               .how = "command",
               .by_uid = 1000,
               .by_name = "alice"},
        .gives = denies ? "" : "a",
    };
    int64_t row = -1;
    require(store_change_consents(s, &change, audit_record_new(AUDIT_CONSENT_GIVEN), on_done, &row, NULL) ==
            0);
    (void)await(loop, &row);
}

/* One of alice's, one of the device's. */
static void add_login(uv_loop_t *loop, struct store *s, size_t i)
{
    const struct store_grant grant = {
        .owner = {.device = i == 1, .uid = i == 1 ? (uid_t)-1 : 1000, .name = "alice"},
        .target = "",
        .label = "",
        .endpoint = "https://api.amazon.com/auth/o2/token",
        .client_id = "amzn1.application-oa2-client.1",
        .flow = "device-code",
        .may_carry = "a c",
        .carries = "a",
    };
    struct secret *token;
    int64_t row = -1, account = -1;
    require(secret_new(tokens[i], strlen(tokens[i]), &token) == 0);
    require(store_add_grant(s, &grant, token, audit_record_new(AUDIT_LOGIN_BEGUN), on_done, &row, NULL) == 0);
    struct store_link link = {.grant = await(loop, &row), .id = "main", .label = "Main", .is_default = true};
    require(store_link(s, &link, audit_record_new(AUDIT_LOGIN_FINISHED), on_done, &account, NULL) == 0);
    add_consent(loop, s, await(loop, &account), i == 1);
}

static void make_database(void)
{
    uv_loop_t loop;
    struct store *s;
    const struct store_options options = {.path = path, .key_source = {.file = key_path}};
    require(uv_loop_init(&loop) == 0 && store_open(&loop, &options, &s) == 0);
    for (size_t i = 0; i < ARRAY_SIZE(tokens); i++)
        add_login(&loop, s, i);
    store_close(s);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    require(uv_loop_close(&loop) == 0);

    require(store_db_open(&writer, path, NULL, STORE_DB_WRITER) == 0);
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        char sql[80];
        (void)snprintf(sql, sizeof(sql), "CREATE TABLE good_%s AS SELECT * FROM %s", tables[i], tables[i]);
        require(store_db_exec(&writer, sql) == 0);
    }
    require(store_db_exec(&writer, "PRAGMA synchronous=OFF") == 0);
    require(uv_mutex_init(&store.mutex) == 0);
}

static void prepare(void)
{
    if (master)
        return;
    require(sodium_init() >= 0 && mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/db", folder);
    (void)snprintf(key_path, sizeof(key_path), "%s/key", folder);
    require(atexit(clean_up) == 0);
    make_key();
    make_database();
    store.path = path;
}

/* --- changing it ------------------------------------------------------------------------------------- */

static void restore(void)
{
    require(
        store_db_exec(&writer,
                      "BEGIN; DELETE FROM audit; DELETE FROM consent; DELETE FROM grant; "
                      "DELETE FROM account; DELETE FROM owner; INSERT INTO owner SELECT * FROM good_owner; "
                      "INSERT INTO account SELECT * FROM good_account; "
                      "INSERT INTO grant SELECT * FROM good_grant; "
                      "INSERT INTO consent SELECT * FROM good_consent; "
                      "INSERT INTO audit SELECT * FROM good_audit") == 0);
}

static void change_one(struct input *in)
{
    size_t column = input_byte(in) % ARRAY_SIZE(columns);
    int64_t row = 1 + input_byte(in) % 2, number = 0;
    char sql[96];
    (void)snprintf(sql, sizeof(sql), "UPDATE %s SET %s = ? WHERE rowid = ?", columns[column].table,
                   columns[column].name);
    size_t n = input_byte(in);
    n = columns[column].kind == COLUMN_NUMBER ? n & 7 : n;
    n = n < in->n ? n : in->n;
    _cleanup_free_ char *text = input_text(in, n);
    for (size_t i = 0; columns[column].kind == COLUMN_NUMBER && i < n; i++)
        number = (int64_t)((uint64_t)number << 8 | (unsigned char)text[i]);

    sqlite3_stmt *st;
    require(sqlite3_prepare_v2(writer.sqlite, sql, -1, &st, NULL) == SQLITE_OK);
    if (columns[column].kind == COLUMN_NUMBER)
        (void)sqlite3_bind_int64(st, 1, row == 1 ? number : -number);
    else if (columns[column].kind == COLUMN_TEXT)
        (void)sqlite3_bind_text(st, 1, text, (int)n, SQLITE_TRANSIENT);
    else
        (void)sqlite3_bind_blob(st, 1, text, (int)n, SQLITE_TRANSIENT);
    (void)sqlite3_bind_int64(st, 2, row);
    (void)sqlite3_step(st); /* a constraint may forbid it */
    (void)sqlite3_finalize(st);
}

/* --- what is promised -------------------------------------------------------------------------------- */

static void check_grant(const struct grant *g)
{
    require(g->owner.device == (g->owner.uid == (uid_t)-1));
    require(utf8_is_valid(g->owner.name, strlen(g->owner.name)));
    require(utf8_is_valid(g->dead_reason, strlen(g->dead_reason)));
    require(!g->target[0] || account_id_is_valid(g->target));
    require(account_label_is_valid(g->label));
    require(!g->account || owner_equal(&g->account->owner, &g->owner));
}

static void check_consent(const struct consent *c, void *userdata _unused_)
{
    require(c->of->app[0] && utf8_is_valid(c->of->app, strlen(c->of->app)));
    require(utf8_is_valid(c->by_name, strlen(c->by_name)));
    require(c->scope[0] ? scope_token_is_valid(c->scope) : c->denies);
    require(!c->denies || c->lasts != CONSENT_ONCE);
    require((c->lasts == CONSENT_UNTIL) == (c->until_sec > 0));
    require(consent_lasts_name(c->lasts) && consent_how_name(c->how));
}

static void check_loaded(struct broker *broker)
{
    const struct account *a;
    const struct grant *g;
    LIST_FOREACH (a, &broker->accounts, node) {
        require(account_id_is_valid(a->id) && account_label_is_valid(a->label));
        LIST_FOREACH (g, &a->grants, node)
            check_grant(g);
        consents_foreach(a, NULL, check_consent, NULL);
    }
    LIST_FOREACH (g, &broker->unproven, node)
        check_grant(g);
}

static void try_load(void)
{
    struct ini_problem problem;
    struct broker broker = {.store = &store};
    list_init(&broker.accounts);
    list_init(&broker.unproven);
    list_init(&broker.tokens);
    for (size_t i = 0; i < ARRAY_SIZE(broker.owned); i++)
        list_init(&broker.owned[i]);
    static const char text[] = "[a]\ndescription = a\n";
    require(catalogue_new(NULL, &broker.catalogue) == 0);
    require(catalogue_add_text(broker.catalogue, text, strlen(text), true, &problem) == 0);
    require(catalogue_seal(broker.catalogue, &problem) == 0);
    int r = accounts_load(&broker);
    require(r <= 0);
    if (r == 0)
        check_loaded(&broker);
    accounts_free(&broker);
    catalogue_free(broker.catalogue);
}

static void try_refresh(int64_t row, uint64_t generation, enum store_token_which which)
{
    struct store_op op = {
        .run = store_rows_refresh_begin, .row = row, .generation = generation, .which = which};
    int r = store_rows_run(&writer, master, &op);
    require(r <= 0 || r == STORE_E_GONE);
    if (r == 0)
        require(secret_size(op.reply.token) == strlen(tokens[row - 1]) &&
                memcmp(secret_bytes(op.reply.token), tokens[row - 1], strlen(tokens[row - 1])) == 0);
    secret_free(op.reply.token);
}

static void try_search(struct store_search *search)
{
    struct store_query query = {.store = &store, .asked = search};
    struct store_reply reply = {.r = 0};
    int r = store_search_run(&writer, &query, &reply);
    require(r <= 0 && reply.n_records <= search->limit && reply.next >= 0);
    for (size_t i = 0; i < reply.n_records; i++)
        require(reply.records[i]->app && reply.records[i]->detail &&
                audit_event_name(reply.records[i]->event));
    store_reply_clear(&reply);
}

static void try_trail(bool newest, uid_t owner_uid)
{
    struct store_search search = {.limit = 3, .is_newest = newest, .slice_rows = 2, .budget_usec = 1000000};
    audit_filter_init(&search.filter);
    search.filter.owner_uid = owner_uid;
    try_search(&search);
    search.filter.since_sec = 1;
    search.filter.event = AUDIT_TOKEN_DISCLOSED;
    try_search(&search);
}

static void try_exposure(void)
{
    struct store_exposure_filter filter = {.now_sec = 1, .uid = (uid_t)-1, .owner_uid = (uid_t)-1};
    struct store_query query = {.store = &store, .asked = &filter};
    struct store_reply reply = {.r = 0};
    int r = store_exposure_run(&writer, &query, &reply);
    require(r <= 0 && reply.n_records <= STORE_QUERY_RECORDS_MAX);
    store_reply_clear(&reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct input in = {data, n};
    prepare();
    restore();
    uint64_t generation = 1 + input_byte(&in) % 2;
    for (unsigned changes = 0; in.n > 0 && changes < 8; changes++)
        change_one(&in);
    require(store_db_exec(&writer, "COMMIT") == 0);
    try_load();
    for (int64_t row = 1; row <= 2; row++) {
        try_refresh(row, generation, STORE_TOKEN_CURRENT);
        try_refresh(row, generation, STORE_TOKEN_PREVIOUS);
    }
    try_trail(false, (uid_t)-1);
    try_trail(true, 1000);
    try_exposure();
    return 0;
}
