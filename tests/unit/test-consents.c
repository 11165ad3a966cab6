/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/store-fixture.h"

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/consent.h"
#include "broker/limits.h"
#include "broker/timer.h"
#include "broker/verdict.h"
#include "util/clock.h"

#include <sqlite3.h>
#include <string.h>

/* The remembered answers in memory, over a real store: after each change, and after a restart, memory says
 * what the rows say. */

#define PLAYER "flatpak:org.example.Player"
#define DAY INT64_C(86400)

/* lib implies read; the others stand alone. */
static const char scopes[] = "[read]\ndescription = d\n[lib]\ndescription = d\nimplies = read\n"
                             "[play]\ndescription = d\n[prof]\ndescription = d\n";

struct world {
    struct fixture *f;
    struct broker broker;
    struct account *account; /* alice's */
};

static void start(struct world *w)
{
    struct ini_problem problem;
    assert_int_equal(fixture_open(w->f), 0);
    broker_init(&w->broker, &w->f->loop);
    w->broker.store = w->f->store;
    assert_int_equal(catalogue_new(NULL, &w->broker.catalogue), 0);
    assert_int_equal(catalogue_add_text(w->broker.catalogue, scopes, strlen(scopes), true, &problem), 0);
    assert_int_equal(catalogue_seal(w->broker.catalogue, &problem), 0);
}

static void load_all(struct world *w)
{
    assert_int_equal(accounts_load(&w->broker), 0);
    w->account = account_find(&w->broker, 1000, "main");
    assert_non_null(w->account);
}

static void stop(struct world *w)
{
    timer_drop(w->broker.consent_timer);
    w->broker.consent_timer = NULL;
    accounts_free(&w->broker);
    fixture_close(w->f);
    catalogue_free(w->broker.catalogue);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    void *f = NULL;
    int64_t grant, account;
    if (!w || fixture_set_up(&f) < 0)
        return -1;
    w->f = f;
    start(w);
    assert_int_equal(add_grant(w->f, alice(), "Atzr|one", &grant), 0);
    assert_int_equal(add_account(w->f, grant, "main", 'c', &account), 0);
    load_all(w);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    void *f = w->f;
    stop(w);
    free(w);
    return fixture_tear_down(&f);
}

static void restart(struct world *w)
{
    stop(w);
    start(w);
    load_all(w);
}

/* --- asking ------------------------------------------------------------------------------------------- */

static char *text; /* of what was seen last */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void note(const struct consent *c, void *userdata)
{
    struct strv *seen = userdata;
    char line[512];
    (void)snprintf(line, sizeof(line), "%s%s %s:%s", c->denies ? "-" : "+", consent_lasts_name(c->lasts),
                   strcmp(c->of->app, PLAYER) == 0 ? "P" : c->of->app, c->scope[0] ? c->scope : "*");
    assert_int_equal(strv_add(seen, line), 0);
}

static const char *join(struct strv *seen)
{
    if (seen->n > 1)
        qsort(seen->items, seen->n, sizeof(seen->items[0]), by_text);
    free(text);
    text = strv_join(seen, ", ");
    assert_non_null(text);
    return text;
}

/* All that is kept, e.g. "+logout P:read, -once P:*", sorted. */
static const char *kept(struct world *w)
{
    _cleanup_strv_ struct strv seen = STRV_EMPTY;
    consents_foreach(w->account, NULL, note, &seen);
    return join(&seen);
}

static int64_t n_rows(struct world *w)
{
    return number(w->f, "SELECT count(*) FROM consent");
}

static void assert_kept(struct world *w, const char *expected)
{
    assert_string_equal(kept(w), expected);
    restart(w);
    assert_string_equal(kept(w), expected);
}

static struct scope_set set_of(struct world *w, const char *names)
{
    struct scope_set set;
    assert_int_equal(catalogue_split(w->broker.catalogue, names, &set), 0);
    return set;
}

static void assert_allows(struct world *w, const char *app, int64_t now_sec, const char *expected)
{
    struct consent_answers answers;
    consents_get(w->account, app, now_sec, &answers);
    _cleanup_free_ char *names = catalogue_join(w->broker.catalogue, answers.allow);
    assert_string_equal(names, expected);
}

struct waiting {
    bool done;
    int r;
};

static void on_change(int r, void *userdata)
{
    *(struct waiting *)userdata = (struct waiting){true, r};
}

/* `names` of NULL: every scope. A negative result without a callback counts as the result. */
static int change(struct world *w, enum consent_answer answer, const char *app, const char *names,
                  enum consent_lasts lasts, int64_t until_sec)
{
    struct scope_set set = set_of(w, names ? names : "");
    struct waiting waiting = {.done = false};
    const struct consent_change c = {.answer = answer,
                                     .app = app,
                                     .scopes = names ? &set : NULL,
                                     .lasts = lasts,
                                     .until_sec = until_sec,
                                     .how = CONSENT_BY_COMMAND,
                                     .by_uid = 1000,
                                     .by_name = "alice"};
    struct consent_op *op;
    int r = consent_change(w->account, &c, on_change, &waiting, &op);
    if (r < 0)
        return r;
    assert_false(waiting.done);
    while (!waiting.done)
        (void)uv_run(w->broker.loop, UV_RUN_ONCE);
    return waiting.r;
}

static int allow(struct world *w, const char *names)
{
    return change(w, CONSENT_ALLOW, PLAYER, names, CONSENT_UNTIL_LOGOUT, 0);
}

static int deny(struct world *w, const char *names)
{
    return change(w, CONSENT_DENY, PLAYER, names, CONSENT_UNTIL_LOGOUT, 0);
}

static int forget(struct world *w, const char *app, const char *names)
{
    return change(w, CONSENT_FORGET, app, names, CONSENT_ONCE, 0);
}

/* --- changes ------------------------------------------------------------------------------------------ */

static void later_answers_replace_earlier(void **state)
{
    struct world *w = *state;
    assert_int_equal(allow(w, "read play"), 0);
    assert_kept(w, "+logout P:play, +logout P:read");
    assert_int_equal(deny(w, "play"), 0);
    assert_kept(w, "+logout P:read, -logout P:play");
    assert_int_equal(allow(w, "play"), 0);
    assert_kept(w, "+logout P:play, +logout P:read");
    assert_int_equal(change(w, CONSENT_ALLOW, PLAYER, "play", CONSENT_ONCE, 0), 0);
    assert_kept(w, "+logout P:read, +once P:play");
    assert_int_equal(change(w, CONSENT_ALLOW, "user:musicd", "play", CONSENT_UNTIL_LOGOUT, 0), 0);
    assert_kept(w, "+logout P:read, +logout user:musicd:play, +once P:play");
    assert_allows(w, PLAYER, wall_sec(), "play read");
    assert_allows(w, "user:musicd", wall_sec(), "play");
    assert_allows(w, "flatpak:org.example.Play", wall_sec(), "");
    assert_allows(w, "flatpak:org.example.Player2", wall_sec(), "");
    assert_int_equal(number(w->f, "SELECT count(*) FROM audit WHERE event = 'consent-given' AND uid = 1000"
                                  " AND kind IN ('flatpak', 'user') AND account = 'main' AND owner = 'alice'"
                                  " AND verdict = 'allow' AND decided_by = 'command' AND asked <> ''"),
                     4);
    assert_int_equal(number(w->f, "SELECT count(*) FROM audit WHERE event = 'consent-refused' AND"
                                  " asked = 'play' AND verdict = 'deny' AND detail = 'logout'"),
                     1);
}

static void implied_scopes_leave_nothing_behind(void **state)
{
    struct world *w = *state;
    assert_int_equal(allow(w, "lib play"), 0);
    assert_int_equal(deny(w, "read"), 0); /* lib would be without effect */
    assert_kept(w, "+logout P:play, -logout P:read");
    assert_int_equal(allow(w, "lib"), 0); /* and so would be the denial of read */
    assert_kept(w, "+logout P:lib, +logout P:play");
    assert_int_equal(deny(w, "lib"), 0);
    assert_int_equal(allow(w, "read"), 0); /* not so here */
    assert_kept(w, "+logout P:play, +logout P:read, -logout P:lib");
    assert_int_equal(forget(w, PLAYER, "read"), 0);
    assert_kept(w, "+logout P:play, -logout P:lib");
    assert_int_equal(allow(w, "lib"), 0);
    assert_int_equal(forget(w, PLAYER, "read"), 0); /* it was part of what lib gives */
    assert_kept(w, "+logout P:play");
}

static void every_scope(void **state)
{
    struct world *w = *state;
    struct consent_answers answers;
    assert_int_equal(allow(w, "lib play"), 0);
    assert_int_equal(deny(w, "prof"), 0);
    uint64_t epoch = w->broker.policy_epoch;
    assert_int_equal(deny(w, NULL), 0);
    assert_true(w->broker.policy_epoch > epoch);
    assert_kept(w, "-logout P:*, -logout P:prof");
    consents_get(w->account, PLAYER, wall_sec(), &answers);
    assert_true(answers.denies_all);
    assert_int_equal(allow(w, "play"), CONSENT_E_DENIED_ALL);
    assert_int_equal(forget(w, PLAYER, "prof"), 0);
    assert_kept(w, "-logout P:*");
    assert_int_equal(forget(w, PLAYER, "prof"), CONSENT_E_NONE);
    assert_int_equal(forget(w, PLAYER, NULL), 0);
    assert_kept(w, "");
    assert_int_equal(forget(w, PLAYER, NULL), CONSENT_E_NONE);
    assert_int_equal(allow(w, "play"), 0);
    assert_int_equal(change(w, CONSENT_DENY, "user:bob", "play", CONSENT_UNTIL_LOGOUT, 0), 0);
    assert_int_equal(forget(w, "", NULL), 0);
    assert_kept(w, "");
    assert_int_equal(number(w->f, "SELECT count(*) FROM audit WHERE event = 'consent-refused' AND"
                                  " asked = '' AND detail = 'logout, every scope'"),
                     1);
}

static void what_makes_no_sense(void **state)
{
    struct world *w = *state;
    char name[IDENTITY_APP_SIZE + 1];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    int64_t now = wall_sec();
    assert_int_equal(allow(w, NULL), -EINVAL);
    assert_int_equal(allow(w, ""), -EINVAL);
    assert_int_equal(change(w, CONSENT_DENY, PLAYER, "play", CONSENT_ONCE, 0), -EINVAL);
    assert_int_equal(change(w, CONSENT_ALLOW, PLAYER, "play", CONSENT_UNTIL, now - 1), -EINVAL);
    assert_int_equal(change(w, CONSENT_DENY, PLAYER, NULL, CONSENT_UNTIL, now - 1), -EINVAL);
    assert_int_equal(change(w, CONSENT_ALLOW, "", "play", CONSENT_UNTIL_LOGOUT, 0), -EINVAL);
    assert_int_equal(change(w, CONSENT_ALLOW, name, "play", CONSENT_UNTIL_LOGOUT, 0), -EINVAL);
    assert_kept(w, "");
    name[IDENTITY_APP_SIZE - 1] = '\0';
    assert_int_equal(change(w, CONSENT_ALLOW, name, "play", CONSENT_UNTIL_LOGOUT, 0), 0);
    restart(w);
    assert_allows(w, name, now, "play");
}

/* Changes are under way together, and one of them for an account that goes. */
static void changes_cross(void **state)
{
    struct world *w = *state;
    struct scope_set play = set_of(w, "play");
    struct waiting first = {.done = false}, second = {.done = false}, late = {.done = false};
    _cleanup_result_ struct result removed = {.done = false};
    struct consent_change c = {.answer = CONSENT_ALLOW,
                               .app = PLAYER,
                               .scopes = &play,
                               .lasts = CONSENT_UNTIL_LOGOUT,
                               .by_uid = 1000,
                               .by_name = "alice"};
    struct consent_op *op;
    assert_int_equal(consent_change(w->account, &c, on_change, &first, &op), 0);
    consent_op_drop(op); /* nobody waits: it is made all the same */
    c.answer = CONSENT_DENY;
    c.scopes = NULL;
    assert_int_equal(consent_change(w->account, &c, on_change, &second, NULL), 0);
    while (!second.done)
        (void)uv_run(w->broker.loop, UV_RUN_ONCE);
    assert_true(second.r == 0 && !first.done);
    assert_kept(w, "-logout P:*");

    assert_int_equal(store_remove_account(w->f->store, w->account->row,
                                          new_record(AUDIT_ACCOUNT_REMOVED, "a"), on_reply, &removed, NULL),
                     0);
    assert_int_equal(consent_change(w->account, &c, on_change, &late, NULL), 0);
    await(w->f, &removed);
    account_remove(w->account);
    while (!late.done)
        (void)uv_run(w->broker.loop, UV_RUN_ONCE);
    assert_int_equal(late.r, CONSENT_E_GONE);
    assert_int_equal(n_rows(w), 0);
}

/* --- what decides ------------------------------------------------------------------------------------- */

static void one_answer_decides(void **state)
{
    struct world *w = *state;
    int64_t now = wall_sec();
    const struct catalogue *c = w->broker.catalogue;
    int read = catalogue_find(c, "read"), lib = catalogue_find(c, "lib"), prof = catalogue_find(c, "prof");
    assert_int_equal(allow(w, "lib"), 0);
    const struct consent *found = consents_find(w->account, PLAYER, read, now);
    assert_true(found && !found->denies && strcmp(found->scope, "lib") == 0);
    assert_null(consents_find(w->account, PLAYER, prof, now));
    assert_null(consents_find(w->account, "user:alice", read, now));
    assert_null(consents_find(NULL, PLAYER, read, now));
    assert_int_equal(allow(w, "read"), 0);
    found = consents_find(w->account, PLAYER, read, now);
    assert_true(found && strcmp(found->scope, "read") == 0 && found->by_uid == 1000);
    assert_int_equal(deny(w, "read"), 0);
    found = consents_find(w->account, PLAYER, lib, now);
    assert_true(found && found->denies && strcmp(found->scope, "read") == 0);
    assert_int_equal(deny(w, NULL), 0);
    found = consents_find(w->account, PLAYER, prof, now);
    assert_true(found && found->denies && found->scope[0] == '\0');
}

static void scopes_that_left_do_not_count(void **state)
{
    struct world *w = *state;
    assert_int_equal(allow(w, "play"), 0);
    stop(w);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(w->f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE consent SET scope = 'gone'", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
    start(w);
    load_all(w);
    assert_string_equal(kept(w), "+logout P:gone");
    struct consent_answers answers;
    struct verdicts v = {.ask = catalogue_listed(w->broker.catalogue)};
    consents_get(w->account, PLAYER, wall_sec(), &answers);
    verdicts_apply_consent(w->broker.catalogue, &answers, &v);
    assert_true(scope_set_is_empty(v.allow));
    assert_int_equal(forget(w, PLAYER, NULL), 0);
    assert_kept(w, "");
}

/* Together with the table, here an empty one by which everything is to be asked for. */
static void verdicts_follow(void **state)
{
    struct world *w = *state;
    struct config config = {.default_verdict = VERDICT_ASK};
    struct identity id = {.app = PLAYER, .user = "alice", .kind = SUBJECT_FLATPAK, .uid = 1000};
    struct scope_set read = set_of(w, "read"), play = set_of(w, "play"), both = set_of(w, "play read");
    struct verdicts v;
    w->broker.config = &config;
    assert_int_equal(table_new(&w->broker.table), 0);
    assert_int_equal(allow(w, "read"), 0);
    assert_int_equal(change(w, CONSENT_ALLOW, PLAYER, "play", CONSENT_ONCE, 0), 0);
    assert_int_equal(deny(w, "prof"), 0);

    verdict_of(&w->broker, &id, w->account, &v);
    assert_true(scope_set_equal(v.allow, both) && scope_set_equal(v.ask, set_of(w, "lib")));
    verdict_of(&w->broker, &id, NULL, &v);
    assert_true(scope_set_is_empty(v.allow));
    struct scope_set needed = verdict_needs_once(&w->broker, &id, w->account, both, SCOPE_SET_EMPTY);
    assert_true(scope_set_equal(needed, play));
    needed = verdict_needs_once(&w->broker, &id, w->account, both, play);
    assert_true(scope_set_is_empty(needed));
    needed = verdict_needs_once(&w->broker, &id, w->account, read, SCOPE_SET_EMPTY);
    assert_true(scope_set_is_empty(needed));

    /* The account of a user whose name and uid came apart: what he denied counts, and nothing else. */
    (void)snprintf(id.user, sizeof(id.user), "mallory");
    verdict_of_used(&w->broker, &id, w->account, SCOPE_SET_EMPTY, &v);
    assert_true(scope_set_is_empty(v.allow) && !scope_set_has(&v.ask, scope_set_next(&v.consented, 0)));
    assert_true(scope_set_equal(v.consented, set_of(w, "prof")));

    /* To the call that used it up it still counts, and to no other. */
    (void)snprintf(id.user, sizeof(id.user), "alice");
    _cleanup_result_ struct result used = {.done = false};
    assert_int_equal(consent_use_once(w->account, PLAYER, play, new_record(AUDIT_TOKEN_DISCLOSED, "used"),
                                      on_reply, &used),
                     0);
    await(w->f, &used);
    verdict_of_used(&w->broker, &id, w->account, play, &v);
    assert_true(scope_set_equal(v.allow, both));
    verdict_of(&w->broker, &id, w->account, &v);
    assert_true(scope_set_equal(v.allow, read));
    table_free(w->broker.table);
}

/* --- time --------------------------------------------------------------------------------------------- */

static void counts_by_the_clock(void **state _unused_)
{
    static const struct {
        enum consent_lasts lasts;
        bool denies, is_over;
        int64_t now;
        bool counts;
    } cases[] = {
        /* given at day 100, until day 110 */
        {CONSENT_UNTIL, false, false, 100 * DAY, true},
        {CONSENT_UNTIL, false, false, 110 * DAY - 1, true},
        {CONSENT_UNTIL, false, false, 110 * DAY, false},
        {CONSENT_UNTIL, false, false, 99 * DAY, true}, /* a clock that is a little slow */
        {CONSENT_UNTIL, false, false, 99 * DAY - 1, false},
        {CONSENT_UNTIL, false, false, 0, false},
        {CONSENT_UNTIL, false, true, 105 * DAY, false}, /* it ran out, and the clock was set back */
        {CONSENT_UNTIL, true, false, 0, true},          /* a denial needs no right clock */
        {CONSENT_UNTIL, true, false, 110 * DAY, false},
        {CONSENT_UNTIL_LOGOUT, false, false, 0, true},
        {CONSENT_UNTIL_LOGOUT, false, false, 9999 * DAY, true},
        {CONSENT_ONCE, false, false, 9999 * DAY, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct consent c = {.lasts = cases[i].lasts,
                                  .denies = cases[i].denies,
                                  .is_over = cases[i].is_over,
                                  .given_sec = 100 * DAY,
                                  .until_sec = cases[i].lasts == CONSENT_UNTIL ? 110 * DAY : 0};
        if (consent_counts(&c, cases[i].now) != cases[i].counts)
            fail_msg("case %zu", i);
    }
}

static void runs_out(void **state)
{
    struct world *w = *state;
    int64_t until = wall_sec() + 1;
    assert_int_equal(change(w, CONSENT_ALLOW, PLAYER, "play", CONSENT_UNTIL, until), 0);
    assert_int_equal(allow(w, "read"), 0);
    assert_allows(w, PLAYER, until - 1, "play read");
    assert_allows(w, PLAYER, until, "read"); /* though it is still there */
    assert_int_equal(n_rows(w), 2);
    uint64_t epoch = w->broker.policy_epoch;
    while (n_rows(w) == 2 || strchr(kept(w), ','))
        (void)uv_run(w->broker.loop, UV_RUN_ONCE);
    assert_true(w->broker.policy_epoch > epoch);
    assert_null(w->broker.consent_timer);
    assert_kept(w, "+logout P:read");
    assert_int_equal(number(w->f, "SELECT count(*) FROM audit WHERE event = 'consent-expired' AND"
                                  " app = '" PLAYER "' AND asked = 'play' AND account = 'main'"
                                  " AND uid IS NULL AND detail = 'until' AND expires_sec > 0"),
                     1);
}

/* While the broker was down: found at start. */
static void ran_out_while_down(void **state)
{
    struct world *w = *state;
    assert_int_equal(change(w, CONSENT_ALLOW, PLAYER, "play", CONSENT_UNTIL, wall_sec() + DAY), 0);
    stop(w);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(w->f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE consent SET until_sec = given_sec - 1", NULL, NULL, NULL),
                     SQLITE_OK);
    (void)sqlite3_close(db);
    start(w);
    load_all(w);
    assert_allows(w, PLAYER, wall_sec(), "");
    consents_expire(&w->broker);
    while (n_rows(w) > 0 || kept(w)[0])
        (void)uv_run(w->broker.loop, UV_RUN_ONCE);
}

/* --- once --------------------------------------------------------------------------------------------- */

static void use(struct world *w, const char *names, struct result *ret)
{
    assert_int_equal(consent_use_once(w->account, PLAYER, set_of(w, names),
                                      new_record(AUDIT_TOKEN_DISCLOSED, "used"), on_reply, ret),
                     0);
}

static void once_is_used_once(void **state)
{
    struct world *w = *state;
    _cleanup_result_ struct result a = {.done = false}, b = {.done = false}, c = {.done = false};
    assert_int_equal(change(w, CONSENT_ALLOW, PLAYER, "play prof", CONSENT_ONCE, 0), 0);
    uint64_t epoch = w->broker.policy_epoch;
    use(w, "play", &a); /* two calls at once: one of them has it */
    use(w, "play prof", &b);
    await(w->f, &a);
    await(w->f, &b);
    assert_true(a.r == 0 && a.row > 0 && b.r == STORE_E_GONE);
    assert_true(w->broker.policy_epoch > epoch); /* calls that counted on it start over */
    assert_kept(w, "+once P:prof");

    /* A row that is gone behind memory's back: memory learns it, and asks no more. */
    sqlite3 *db;
    assert_int_equal(sqlite3_open(w->f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "DELETE FROM consent", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
    use(w, "prof", &c);
    await(w->f, &c);
    assert_int_equal(c.r, STORE_E_GONE);
    assert_string_equal(kept(w), "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(later_answers_replace_earlier),
        TEST(implied_scopes_leave_nothing_behind),
        TEST(every_scope),
        TEST(what_makes_no_sense),
        TEST(changes_cross),
        TEST(one_answer_decides),
        TEST(scopes_that_left_do_not_count),
        TEST(verdicts_follow),
        cmocka_unit_test(counts_by_the_clock),
        TEST(runs_out),
        TEST(ran_out_while_down),
        TEST(once_is_used_once),
    };
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    free(text);
    return r;
}
