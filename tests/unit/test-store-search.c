/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/store-fixture.h"

#include "broker/store-internal.h"
#include "util/clock.h"

#include <string.h>

/* The query for records that fit a filter: against one that knows nothing of indexes, over random records, in
 * slices and budgets so small that every way to stop and go on is taken. */

enum { N_RECORDS = 120, BASE = 20, N_CASES = 10000, DAY = 86400 };

static const char *const app_names[] = {"", "user:alice", "user:musicd", "flatpak:org.example.Player"};
static const char *const account_names[] = {"", "main", "tv"};
static const char *const verdicts[] = {"", "allow", "AccessDenied", "ConsentRequired"};
static const char *const scope_names[] = {"music", "music::library", "music::library:read", "profile", "mus"};
static const enum audit_event events[] = {AUDIT_TOKEN_DISCLOSED, AUDIT_TOKEN_DENIED, AUDIT_LOGIN_BEGUN,
                                          AUDIT_POLICY_LOADED};
static const struct {
    int64_t uid;
    const char *name;
} owners[] = {{-1, ""}, {-1, "device"}, {1000, "alice"}, {1001, "bob"}, {1000, "alice-of-before"}};
static const int64_t uids[] = {-1, 0, 1000, 1001};

/* What a row was made of, by numbers into the tables above. */
struct row {
    unsigned app, account, verdict, event, owner, uid;
    unsigned asked, carried; /* a bit for each scope */
    unsigned token;          /* 0: none */
    int64_t time_sec;
};

static struct row rows[N_RECORDS + 1];
static uint64_t state_of_random;

static unsigned dice(unsigned n)
{
    state_of_random = state_of_random * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(state_of_random >> 33) % n;
}

/* Each with a chance of a quarter. */
static unsigned some_scopes(void)
{
    unsigned some = dice(1U << ARRAY_SIZE(scope_names));
    return some & dice(1U << ARRAY_SIZE(scope_names));
}

static void make_rows(void)
{
    int64_t now = 1000 * DAY;
    for (size_t i = 1; i <= N_RECORDS; i++) {
        now +=
            dice(40) == 0 ? ((int64_t)dice(400) - 200) * DAY : (int64_t)dice(2000); /* a clock that was set */
        rows[i] = (struct row){
            .app = dice(ARRAY_SIZE(app_names)),
            .account = dice(ARRAY_SIZE(account_names)),
            .verdict = dice(ARRAY_SIZE(verdicts)),
            .event = i < N_RECORDS / 2 ? dice(2) : dice(ARRAY_SIZE(events)), /* some begin late */
            .owner = dice(ARRAY_SIZE(owners)),
            .uid = dice(ARRAY_SIZE(uids)),
            .asked = some_scopes(),
            .carried = some_scopes(),
            .token = dice(60) ? 0 : 1 + dice(3),
            .time_sec = now,
        };
    }
}

/* --- in the database --------------------------------------------------------------------------------- */

static const char *join(unsigned scopes, char *buffer, size_t size)
{
    buffer[0] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(scope_names); i++)
        if (scopes >> i & 1)
            (void)snprintf(buffer + strlen(buffer), size - strlen(buffer), "%s%s", buffer[0] ? " " : "",
                           scope_names[i]);
    return buffer;
}

static void bind_uid(sqlite3_stmt *st, int column, int64_t uid)
{
    if (uid >= 0)
        (void)sqlite3_bind_int64(st, column, uid);
}

static void insert(sqlite3_stmt *st, sqlite3_int64 sequence, const struct row *row)
{
    char asked[200], carried[200];
    unsigned char print[AUDIT_FINGERPRINT_BYTES];
    memset(print, (int)row->token, sizeof(print));
    (void)sqlite3_reset(st);
    (void)sqlite3_clear_bindings(st);
    (void)sqlite3_bind_int64(st, 1, sequence);
    (void)sqlite3_bind_int64(st, 2, row->time_sec);
    (void)sqlite3_bind_text(st, 3, audit_event_name(events[row->event]), -1, SQLITE_STATIC);
    bind_uid(st, 4, uids[row->uid]);
    (void)sqlite3_bind_text(st, 5, app_names[row->app], -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(st, 6, account_names[row->account], -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(st, 7, owners[row->owner].name, -1, SQLITE_STATIC);
    bind_uid(st, 8, owners[row->owner].uid);
    (void)sqlite3_bind_text(st, 9, join(row->asked, asked, sizeof(asked)), -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(st, 10, join(row->carried, carried, sizeof(carried)), -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(st, 11, verdicts[row->verdict], -1, SQLITE_STATIC);
    if (row->token)
        (void)sqlite3_bind_blob(st, 12, print, sizeof(print), SQLITE_STATIC);
    assert_int_equal(sqlite3_step(st), SQLITE_DONE);
}

/* Somebody put back what was removed, too: those up to the base are there, and not to be shown. */
static void fill(struct fixture *f)
{
    sqlite3 *db;
    sqlite3_stmt *st;
    assert_int_equal(fixture_open(f), 0);
    fixture_close(f);
    assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "BEGIN; DELETE FROM audit;"
                                  "INSERT INTO audit_base VALUES (1, 20, x'00', 1, 0, 20, 1, x'00')",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db,
                           "INSERT INTO audit (sequence, time_sec, event, uid, app, account, owner,"
                           " owner_uid, asked, carried, verdict, fingerprint, kind, strength,"
                           " decided_by, detail, grant_row, expires_sec)"
                           " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', '', '', '', 0, 0)",
                           -1, &st, NULL),
        SQLITE_OK);
    make_rows();
    for (size_t i = 1; i <= N_RECORDS; i++)
        insert(st, (sqlite3_int64)i, &rows[i]);
    sqlite3_finalize(st);
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* --- a filter, twice --------------------------------------------------------------------------------- */

/* By numbers again; -1: not given. */
struct wish {
    int app, account, verdict, event, owner, uid, scope, token;
    int64_t since_sec, until_sec;
};

static int maybe(unsigned n)
{
    return dice(10) < 3 ? (int)dice(n) : -1;
}

/* That of a record, or some other. */
static int64_t some_time(void)
{
    return dice(2) ? rows[1 + dice(N_RECORDS)].time_sec : (int64_t)(900 + dice(300)) * DAY;
}

static struct wish make_wish(void)
{
    struct wish w = {
        .app = maybe(ARRAY_SIZE(app_names)),
        .account = maybe(ARRAY_SIZE(account_names)),
        .verdict = maybe(ARRAY_SIZE(verdicts)),
        .event = maybe(ARRAY_SIZE(events)),
        .owner = dice(10) < 3 ? 2 + (int)dice(3) : -1,
        .uid = dice(10) < 2 ? 1 + (int)dice(3) : -1,
        .scope = maybe(ARRAY_SIZE(scope_names)),
        .token = dice(20) == 0 ? 1 + (int)dice(4) : -1,
        .since_sec = dice(10) < 3 ? some_time() : INT64_MIN,
        .until_sec = dice(10) < 3 ? some_time() : INT64_MAX,
    };
    w.app = w.app == 0 ? -1 : w.app; /* "" is not asked for */
    w.account = w.account == 0 ? -1 : w.account;
    w.verdict = w.verdict == 0 ? -1 : w.verdict;
    return w;
}

/* music implies music::library, and that music::library:read. */
static unsigned implying(int scope)
{
    return scope == 2 ? 7 : scope == 1 ? 3 : 1U << scope;
}

static bool fits(const struct wish *w, const struct row *row)
{
    return (w->app < 0 || row->app == (unsigned)w->app) &&
           (w->account < 0 || row->account == (unsigned)w->account) &&
           (w->verdict < 0 || row->verdict == (unsigned)w->verdict) &&
           (w->event < 0 || row->event == (unsigned)w->event) &&
           (w->owner < 0 || row->owner == (unsigned)w->owner) &&
           (w->uid < 0 || row->uid == (unsigned)w->uid) &&
           (w->token < 0 || row->token == (unsigned)w->token) && row->time_sec >= w->since_sec &&
           row->time_sec < w->until_sec &&
           (w->scope < 0 || row->asked >> w->scope & 1 || (row->carried & implying(w->scope)) != 0);
}

static void make_filter(const struct wish *w, struct audit_filter *f)
{
    audit_filter_init(f);
    (void)snprintf(f->app, sizeof(f->app), "%s", w->app < 0 ? "" : app_names[w->app]);
    (void)snprintf(f->account, sizeof(f->account), "%s", w->account < 0 ? "" : account_names[w->account]);
    (void)snprintf(f->verdict, sizeof(f->verdict), "%s", w->verdict < 0 ? "" : verdicts[w->verdict]);
    f->event = w->event < 0 ? -1 : (int)events[w->event];
    f->uid = w->uid < 0 ? (uid_t)-1 : (uid_t)uids[w->uid];
    f->owner_uid = w->owner < 0 ? (uid_t)-1 : (uid_t)owners[w->owner].uid;
    (void)snprintf(f->owner, sizeof(f->owner), "%s", w->owner < 0 ? "" : owners[w->owner].name);
    f->since_sec = w->since_sec;
    f->until_sec = w->until_sec;
    f->has_fingerprint = w->token >= 0;
    memset(f->fingerprint, w->token, sizeof(f->fingerprint));
    if (w->scope >= 0)
        assert_int_equal(strv_add(&f->scopes, scope_names[w->scope]), 0);
    for (int i = 0; w->scope >= 0 && i < (int)ARRAY_SIZE(scope_names); i++)
        if (i != w->scope && implying(w->scope) >> i & 1)
            assert_int_equal(strv_add(&f->scopes, scope_names[i]), 0);
}

/* --- asking ------------------------------------------------------------------------------------------ */

struct asking {
    struct store store; /* its mutex only */
    struct store_db db;
    size_t n_statements;
    char *statements[64];
};

static void begin_asking(struct fixture *f, struct asking *a)
{
    memset(a, 0, sizeof(*a));
    assert_int_equal(uv_mutex_init(&a->store.mutex), 0);
    assert_int_equal(store_db_open(&a->db, f->path, NULL, STORE_DB_READER), 0);
}

static void end_asking(struct asking *a)
{
    store_db_close(&a->db);
    uv_mutex_destroy(&a->store.mutex);
    for (size_t i = 0; i < a->n_statements; i++)
        sqlite3_free(a->statements[i]);
}

/* One page. What it has goes behind what is there, in the order in which it was found. */
static int64_t ask(struct asking *a, struct store_search *search, int64_t *found, size_t *n)
{
    struct store_query query = {.store = &a->store, .asked = search};
    struct store_reply reply = {.r = 0};
    assert_int_equal(store_search_run(&a->db, &query, &reply), 0);
    assert_true(reply.n_records <= search->limit && *n + reply.n_records <= N_RECORDS);
    for (size_t i = 0; i < reply.n_records; i++) {
        size_t at = search->is_newest ? reply.n_records - 1 - i : i;
        found[(*n)++] = reply.records[at]->sequence;
        assert_true(i == 0 || reply.records[i - 1]->sequence < reply.records[i]->sequence);
    }
    int64_t next = reply.next;
    store_reply_clear(&reply);
    assert_true(next == 0 || search->after == 0 ||
                (search->is_newest ? next < search->after : next > search->after));
    return next;
}

static size_t find_naively(const struct wish *w, bool is_newest, int64_t after, int64_t *found)
{
    size_t n = 0;
    for (int64_t i = 1; i <= N_RECORDS; i++) {
        int64_t sequence = is_newest ? N_RECORDS + 1 - i : i;
        bool is_asked = is_newest ? after == 0 || sequence < after : sequence > after;
        if (sequence > BASE && is_asked && fits(w, &rows[sequence]))
            found[n++] = sequence;
    }
    return n;
}

static void every_match_comes_once(void **state)
{
    struct fixture *f = *state;
    struct asking asking;
    size_t n_pages = 0, n_found = 0;
    state_of_random = 5;
    fill(f);
    begin_asking(f, &asking);
    for (unsigned i = 0; i < N_CASES; i++) {
        int64_t found[N_RECORDS], expected[N_RECORDS];
        struct wish w = make_wish();
        struct store_search search = {
            .after = dice(2) ? 0 : dice(N_RECORDS + 50),
            .limit = 1 + dice(dice(2) ? 3 : 300),
            .is_newest = dice(2),
            .slice_rows = 1 + dice(dice(2) ? 3 : 200),
            .budget_usec = dice(2) ? 0 : 10 * USEC_PER_SEC,
        };
        make_filter(&w, &search.filter);
        size_t n_expected = find_naively(&w, search.is_newest, search.after, expected), n = 0;
        do {
            search.after = ask(&asking, &search, found, &n);
            n_pages++;
        } while (search.after != 0);
        audit_filter_clear(&search.filter);
        assert_int_equal(n, n_expected);
        assert_memory_equal(found, expected, n * sizeof(found[0]));
        n_found += n;
    }
    end_asking(&asking);
    assert_true(n_pages > 2 * (size_t)N_CASES && n_found > N_CASES); /* it was worth it */
}

/* --- bytes ------------------------------------------------------------------------------------------- */

/* An answer is bounded in bytes; a record that is larger than that comes alone. */
static void long_texts_make_short_pages(void **state)
{
    struct fixture *f = *state;
    struct asking asking;
    int64_t found[N_RECORDS], n_pages = 0;
    size_t n = 0;
    state_of_random = 9;
    fill(f);
    (void)number(f, "UPDATE audit SET chain = replace(hex(zeroblob(20000)), '0', 'x')");
    (void)number(
        f, "UPDATE audit SET chain = replace(hex(zeroblob(1000000)), '0', 'x') WHERE sequence % 50 = 0");
    begin_asking(f, &asking);
    struct store_search search = {.limit = 1000, .slice_rows = 1000, .budget_usec = 10 * USEC_PER_SEC};
    audit_filter_init(&search.filter);
    do {
        size_t before = n;
        search.after = ask(&asking, &search, found, &n);
        n_pages++;
        bool has_large_one = (found[before] % 50) == 0;
        assert_true(has_large_one ? n == before + 1 : n > before && n - before <= 1048576 / 40000);
    } while (search.after != 0);
    end_asking(&asking);
    assert_int_equal(n, N_RECORDS - BASE);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(found[i], BASE + 1 + i);
    assert_true(n_pages >= 5);
}

/* --- plans ------------------------------------------------------------------------------------------- */

static int on_statement(unsigned type _unused_, void *userdata, void *statement, void *sql _unused_)
{
    struct asking *a = userdata;
    if (a->n_statements < ARRAY_SIZE(a->statements))
        a->statements[a->n_statements++] = sqlite3_expanded_sql(statement);
    return 0;
}

/* Looks for what takes longer the longer the trail is. */
static void check_plan(sqlite3 *db, const char *statement)
{
    _cleanup_free_ char *sql = NULL;
    sqlite3_stmt *st;
    assert_true(asprintf(&sql, "EXPLAIN QUERY PLAN %s", statement) > 0);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    while (sqlite3_step(st) == SQLITE_ROW) {
        const char *detail = (const char *)sqlite3_column_text(st, 3);
        bool is_whole_trail =
            strstr(detail, "SCAN audit") && !strstr(detail, "SCAN audit_base"); /* one row */
        if (is_whole_trail || strstr(detail, "B-TREE"))
            fail_msg("%s: %s", statement, detail);
    }
    sqlite3_finalize(st);
}

static void check_plans(struct asking *a, const char *must_use)
{
    bool is_used = false;
    (void)sqlite3_trace_v2(a->db.sqlite, 0, NULL, NULL);
    assert_true(a->n_statements > 0);
    for (size_t i = 0; i < a->n_statements; i++) {
        check_plan(a->db.sqlite, a->statements[i]);
        is_used |= strstr(a->statements[i], must_use) != NULL;
        sqlite3_free(a->statements[i]);
    }
    a->n_statements = 0;
    if (!is_used)
        fail_msg("%s is not used", must_use);
}

static void every_filter_has_its_index(void **state)
{
    struct fixture *f = *state;
    struct asking asking;
    const struct wish none = {-1, -1, -1, -1, -1, -1, -1, -1, INT64_MIN, INT64_MAX};
    const struct {
        struct wish wish;
        const char *index;
    } cases[] = {
        {{1, -1, -1, -1, -1, -1, -1, -1, INT64_MIN, INT64_MAX}, "audit_by_app"},
        {{-1, 1, -1, -1, -1, -1, -1, -1, INT64_MIN, INT64_MAX}, "audit_by_account"},
        {{-1, -1, 1, -1, -1, -1, -1, -1, INT64_MIN, INT64_MAX}, "NOT INDEXED"},
        {{-1, -1, -1, 3, -1, -1, -1, -1, INT64_MIN, INT64_MAX}, "audit_by_event"},
        {{-1, -1, -1, -1, 2, -1, -1, -1, INT64_MIN, INT64_MAX}, "audit_by_owner"},
        {{-1, -1, -1, -1, -1, 2, -1, -1, INT64_MIN, INT64_MAX}, "audit_by_uid"},
        {{-1, -1, -1, -1, -1, -1, 1, -1, INT64_MIN, INT64_MAX}, "NOT INDEXED"},
        {{-1, -1, -1, -1, -1, -1, -1, 1, INT64_MIN, INT64_MAX}, "audit_by_token"},
        {{-1, -1, -1, -1, -1, -1, -1, -1, 3000 * (int64_t)DAY, INT64_MAX}, "audit_by_time"},
        {{-1, -1, -1, -1, -1, -1, -1, -1, INT64_MIN, 10}, "audit_by_time"},
        {none, "NOT INDEXED"},
    };
    state_of_random = 6;
    fill(f);
    begin_asking(f, &asking);
    for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
        int64_t found[N_RECORDS];
        size_t n = 0;
        struct store_search search = {
            .limit = 300, .is_newest = i % 2, .slice_rows = 50, .budget_usec = USEC_PER_SEC};
        make_filter(&cases[i / 2].wish, &search.filter);
        (void)sqlite3_trace_v2(asking.db.sqlite, SQLITE_TRACE_STMT, on_statement, &asking);
        (void)ask(&asking, &search, found, &n);
        check_plans(&asking, cases[i / 2].index);
        audit_filter_clear(&search.filter);
    }
    end_asking(&asking);
}

/* As many records between as there may be: what leads is the condition whose next record is farthest. */
static void rare_one_leads(void **state)
{
    struct fixture *f = *state;
    struct asking asking;
    int64_t found[N_RECORDS];
    size_t n = 0;
    state_of_random = 7;
    fill(f);
    const struct wish w = {1,  -1, -1, 3,         -1,
                           -1, -1, -1, INT64_MIN, INT64_MAX}; /* an event that begins late */
    struct store_search search = {.limit = 1, .slice_rows = 1, .budget_usec = 0};
    make_filter(&w, &search.filter);
    begin_asking(f, &asking);
    (void)sqlite3_trace_v2(asking.db.sqlite, SQLITE_TRACE_STMT, on_statement, &asking);
    int64_t next = ask(&asking, &search, found, &n);
    assert_true(next >= N_RECORDS / 2); /* with a budget for one record only */
    check_plans(&asking, "audit_by_event");
    end_asking(&asking);
}

/* --- who has what ------------------------------------------------------------------------------------ */

static void who_has_finds_by_the_end(void **state)
{
    struct fixture *f = *state;
    struct asking asking;
    struct store_exposure_filter filter = {.now_sec = 1000 * DAY, .uid = (uid_t)-1, .owner_uid = (uid_t)-1};
    struct store_query query = {.store = &asking.store, .asked = &filter};
    struct store_reply reply = {.r = 0};
    state_of_random = 8;
    fill(f);
    begin_asking(f, &asking);
    (void)sqlite3_trace_v2(asking.db.sqlite, SQLITE_TRACE_STMT, on_statement, &asking);
    assert_int_equal(store_exposure_run(&asking.db, &query, &reply), 0);
    (void)sqlite3_trace_v2(asking.db.sqlite, 0, NULL, NULL);
    store_reply_clear(&reply);
    assert_true(asking.n_statements >= 2);
    for (size_t i = 0; i < 2; i++)
        check_plan(asking.db.sqlite, asking.statements[i]);
    assert_non_null(strstr(asking.statements[1], "audit_exposed"));
    end_asking(&asking);
}

/* --- rows that are no records any more --------------------------------------------------------------- */

static const char *const alterations[] = {
    "event = 'token-lost'",           "event = event || char(0) || 'x'",
    "detail = 'a' || char(0) || 'b'", "uid = -7",
    "uid = 4294967296 + 1000",        "owner_uid = 4294967295",
};

enum { ALTERED = 100, N_HELD = 10 }; /* all but the first N_HELD of those that are left are held */

static void alter(struct fixture *f, const char *how)
{
    _cleanup_free_ char *sql = NULL;
    assert_true(asprintf(&sql, "UPDATE audit SET %s WHERE sequence = %d", how, ALTERED) > 0);
    (void)number(f,
                 "UPDATE audit SET event = 'token-disclosed', expires_sec = 99999999999, uid = 1000,"
                 " owner_uid = 1000, owner = 'alice', fingerprint = CAST(printf('%016d', sequence) AS BLOB)"
                 " WHERE sequence > 30");
    (void)number(f, "UPDATE audit SET time_sec = 86400000 WHERE sequence > 30");
    (void)number(f, sql);
}

static void expect_unreadable(const struct store_reply *reply, size_t n_expected)
{
    size_t n_unreadable = 0;
    assert_int_equal(reply->n_records, n_expected);
    for (size_t i = 0; i < reply->n_records; i++) {
        const struct audit_record *record = reply->records[i];
        assert_int_equal(record->is_unreadable, record->sequence == ALTERED);
        n_unreadable += record->is_unreadable;
        if (record->is_unreadable)
            assert_string_equal(record->app, "");
    }
    assert_int_equal(n_unreadable, 1);
}

static void search_shows_what_is_unreadable(struct asking *asking)
{
    struct store_search search = {.limit = 1000, .slice_rows = 7, .budget_usec = 10 * USEC_PER_SEC};
    struct store_query query = {.store = &asking->store, .asked = &search};
    struct store_reply reply = {.r = 0};
    audit_filter_init(&search.filter);
    assert_int_equal(store_search_run(&asking->db, &query, &reply), 0);
    expect_unreadable(&reply, N_RECORDS - BASE);
    store_reply_clear(&reply);
}

static void exposure_shows_what_is_unreadable(struct asking *asking, uid_t owner_uid, bool is_shown)
{
    struct store_exposure_filter filter = {
        .now_sec = 1000 * DAY, .uid = (uid_t)-1, .owner_uid = owner_uid, .owner = "alice"};
    struct store_query query = {.store = &asking->store, .asked = &filter};
    struct store_reply reply = {.r = 0};
    assert_int_equal(store_exposure_run(&asking->db, &query, &reply), 0);
    if (is_shown)
        expect_unreadable(&reply, N_RECORDS - BASE - N_HELD);
    else
        assert_int_equal(reply.n_records, owner_uid == 1000 ? N_RECORDS - BASE - N_HELD - 1 : 0);
    store_reply_clear(&reply);
}

/* Nothing of the rest is hidden, and an owner is shown what looks like his own only. */
static void unreadable_rows_hide_nothing(void **state)
{
    struct fixture *f = *state;
    struct asking asking;
    state_of_random = 11;
    fill(f);
    for (size_t i = 0; i < ARRAY_SIZE(alterations); i++) {
        alter(f, alterations[i]);
        begin_asking(f, &asking);
        search_shows_what_is_unreadable(&asking);
        exposure_shows_what_is_unreadable(&asking, (uid_t)-1, true);
        exposure_shows_what_is_unreadable(&asking, 1000, strstr(alterations[i], "owner_uid") == NULL);
        exposure_shows_what_is_unreadable(&asking, 1001, false);
        end_asking(&asking);
        (void)number(f, "UPDATE audit SET detail = ''");
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_match_comes_once), TEST(long_texts_make_short_pages), TEST(every_filter_has_its_index),
        TEST(rare_one_leads),         TEST(who_has_finds_by_the_end),    TEST(unreadable_rows_hide_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
