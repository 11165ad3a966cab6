/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/store-fixture.h"

#include "broker/store-internal.h"

#include <string.h>

/* Whose turn it is to ask the trail, how many do so at once, and how they end. */

/* What the workers do is seen here. */
static struct {
    uv_mutex_t mutex;
    unsigned n_running, n_long, max_running, max_long;
    bool is_held; /* nobody ends */
} seen;

struct job {
    bool is_long;
    int r; /* of its callback */
    unsigned place;
};

static unsigned n_done;

static void set_up_seen(void)
{
    memset(&seen, 0, sizeof(seen));
    n_done = 0;
    assert_int_equal(uv_mutex_init(&seen.mutex), 0);
}

static bool count(const struct job *job, int change)
{
    uv_mutex_lock(&seen.mutex);
    seen.n_running += (unsigned)change;
    seen.n_long += job->is_long ? (unsigned)change : 0;
    if (seen.n_running > seen.max_running)
        seen.max_running = seen.n_running;
    if (seen.n_long > seen.max_long)
        seen.max_long = seen.n_long;
    bool is_held = seen.is_held;
    uv_mutex_unlock(&seen.mutex);
    return is_held;
}

static void hold(bool is_held)
{
    uv_mutex_lock(&seen.mutex);
    seen.is_held = is_held;
    uv_mutex_unlock(&seen.mutex);
}

static int work(struct store_db *db _unused_, struct store_query *q, struct store_reply *reply _unused_)
{
    const struct job *job = q->asked;
    int r = 0;
    (void)count(job, 1);
    while (r == 0 && count(job, 0)) {
        (void)usleep(1000);
        r = store_query_is_over(q) ? -EINTR : 0;
    }
    (void)usleep(2000);
    (void)count(job, -1);
    return r;
}

/* A statement that never ends. */
static int work_for_ever(struct store_db *db, struct store_query *q _unused_,
                         struct store_reply *reply _unused_)
{
    static const struct job job = {.is_long = false};
    (void)count(&job, 1);
    _cleanup_statement_ struct statement st = statement_open(
        db, SLOT_NONE,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n");
    int r = statement_step(&st);
    (void)count(&job, -1);
    return r;
}

static void keep(void *asked _unused_)
{
}

static void on_done(struct store_reply *reply, void *userdata)
{
    struct job *job = userdata;
    job->r = reply->r;
    job->place = ++n_done;
}

static struct store_op *start(struct fixture *f, uid_t asker, store_query_run run, struct job *job)
{
    struct store_op *op = NULL;
    struct store_query *q = store_query_new(f->store, asker, run, job, keep);
    assert_non_null(q);
    q->is_long = job->is_long;
    assert_int_equal(store_query_start(q, on_done, job, &op), 0);
    return op;
}

static void wait_running(struct fixture *f, unsigned n)
{
    bool is_so = false;
    while (!is_so) {
        (void)uv_run(&f->loop, UV_RUN_NOWAIT);
        uv_mutex_lock(&seen.mutex);
        is_so = seen.n_running == n;
        uv_mutex_unlock(&seen.mutex);
        (void)usleep(500);
    }
}

static void run_out(struct fixture *f, unsigned n)
{
    while (n_done < n)
        (void)uv_run(&f->loop, UV_RUN_ONCE);
}

/* --- turns ------------------------------------------------------------------------------------------- */

static void few_run_at_once(void **state)
{
    struct fixture *f = *state;
    struct job jobs[12] = {{.r = 1}};
    set_up_seen();
    assert_int_equal(fixture_open(f), 0);
    for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
        (void)start(f, (uid_t)i, work, &jobs[i]);
    run_out(f, ARRAY_SIZE(jobs));
    assert_int_equal(seen.max_running, LIMIT_AUDIT_QUERIES);
    for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
        assert_int_equal(jobs[i].r, 0);
}

/* However long one takes, the other worker is there for those that do not. */
static void one_long_one_runs_at_once(void **state)
{
    struct fixture *f = *state;
    struct job longs[3] = {{.is_long = true}, {.is_long = true}, {.is_long = true}}, quick[5] = {{.r = 1}};
    set_up_seen();
    hold(true);
    assert_int_equal(fixture_open(f), 0);
    for (size_t i = 0; i < ARRAY_SIZE(longs); i++)
        (void)start(f, 0, work, &longs[i]);
    wait_running(f, 1);
    for (size_t i = 0; i < ARRAY_SIZE(quick); i++)
        (void)start(f, 0, work, &quick[i]);
    wait_running(f, 2);
    hold(false);
    run_out(f, ARRAY_SIZE(longs) + ARRAY_SIZE(quick));
    assert_int_equal(seen.max_long, 1);
    assert_int_equal(seen.max_running, 2);
}

static void users_take_turns(void **state)
{
    struct fixture *f = *state;
    struct job many[40] = {{.r = 1}}, second[2] = {{.r = 1}}, third = {.r = 1};
    set_up_seen();
    hold(true);
    assert_int_equal(fixture_open(f), 0);
    for (size_t i = 0; i < ARRAY_SIZE(many); i++)
        (void)start(f, 1000, work, &many[i]);
    (void)start(f, 1001, work, &second[0]);
    (void)start(f, 1001, work, &second[1]);
    (void)start(f, 1002, work, &third);
    hold(false);
    run_out(f, ARRAY_SIZE(many) + 3);
    /* Two were under way; then a turn of each, and so on. Two workers can change places. */
    assert_true(second[0].place <= 6 && third.place <= 7 && second[1].place <= 9);
    assert_true(many[ARRAY_SIZE(many) - 1].place > 40);
}

/* Turns are counted from the one that is served: who comes does not come before all who have been there. */
static void newcomers_do_not_overtake(void **state)
{
    struct fixture *f = *state;
    struct job many[30] = {{.r = 1}}, later[40] = {{.r = 1}};
    set_up_seen();
    assert_int_equal(fixture_open(f), 0);
    for (size_t i = 0; i < ARRAY_SIZE(many); i++)
        (void)start(f, 1000, work, &many[i]);
    run_out(f, 15);
    for (size_t i = 0; i < ARRAY_SIZE(later); i++)
        (void)start(f, 1001, work, &later[i]);
    run_out(f, ARRAY_SIZE(many) + ARRAY_SIZE(later));
    assert_true(many[ARRAY_SIZE(many) - 1].place <= 50); /* by turns: the 45th */
}

/* --- ends -------------------------------------------------------------------------------------------- */

static void dropped_ones_end(void **state)
{
    struct fixture *f = *state;
    struct job jobs[20] = {{.r = 1}}, last = {.r = 1};
    struct store_op *ops[ARRAY_SIZE(jobs)];
    set_up_seen();
    hold(true);
    assert_int_equal(fixture_open(f), 0);
    for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
        ops[i] = start(f, 0, i == 0 ? work_for_ever : work, &jobs[i]);
    wait_running(f, 2);
    for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
        store_op_drop(ops[i]);
    wait_running(f, 0); /* though they are held, and one is in the middle of a statement */
    hold(false);
    (void)start(f, 0, work, &last);
    run_out(f, 1);
    assert_true(last.r == 0 && last.place == 1);
}

static void closing_ends_all(void **state)
{
    struct fixture *f = *state;
    struct job jobs[20] = {{.r = 1}};
    set_up_seen();
    hold(true);
    assert_int_equal(fixture_open(f), 0);
    for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
        (void)start(f, 0, i == 0 ? work_for_ever : work, &jobs[i]);
    wait_running(f, 2);
    store_close(TAKE_PTR(f->store));
    assert_int_equal(n_done, ARRAY_SIZE(jobs));
    for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
        assert_int_equal(jobs[i].r, -ESHUTDOWN);
    assert_int_equal(seen.n_running, 0);
}

static void close_there(struct store_reply *reply, void *userdata)
{
    struct fixture *f = userdata;
    assert_int_equal(reply->r, 0);
    store_close(TAKE_PTR(f->store));
}

/* From the callback of a query, with others under way and waiting. */
static void closes_from_a_callback(void **state)
{
    struct fixture *f = *state;
    struct job jobs[6] = {{.r = 1}}, first = {.r = 1};
    struct store_op *op;
    set_up_seen();
    assert_int_equal(fixture_open(f), 0);
    struct store_query *q = store_query_new(f->store, 7, work, &first, keep);
    assert_int_equal(store_query_start(q, close_there, f, &op), 0);
    for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
        (void)start(f, 8, work, &jobs[i]);
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_null(f->store);
    assert_int_equal(n_done, ARRAY_SIZE(jobs));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(few_run_at_once),           TEST(one_long_one_runs_at_once), TEST(users_take_turns),
        TEST(newcomers_do_not_overtake), TEST(dropped_ones_end),          TEST(closing_ends_all),
        TEST(closes_from_a_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
