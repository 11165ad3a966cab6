/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/limits.h"
#include "broker/provider.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define MIDDLE (UINT32_C(1) << 31)
#define START (1000 * USEC_PER_SEC)

static void meet(struct provider *p, uint64_t *epoch, uint64_t now)
{
    provider_failed(p, epoch, TROUBLE_SERVER_ERROR, -1, now, now, MIDDLE);
}

static struct provider opened(uint64_t epochs[LIMIT_FAILING_GRANTS])
{
    struct provider p;
    provider_init(&p);
    for (unsigned i = 0; i < LIMIT_FAILING_GRANTS; i++) {
        epochs[i] = 0;
        meet(&p, &epochs[i], START);
    }
    return p;
}

static void holds_nobody_up_while_healthy(void **state _unused_)
{
    struct provider p;
    provider_init(&p);
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(provider_may_try(&p, START));
        provider_tries(&p, START, MIDDLE);
    }
    assert_false(provider_answered(&p, START));
}

/* However often one login fails, it is its own affair. */
static void one_grant_opens_nothing(void **state _unused_)
{
    struct provider p;
    uint64_t epoch = 0;
    provider_init(&p);
    for (unsigned i = 0; i < 100; i++)
        meet(&p, &epoch, START + i);
    assert_false(provider_is_open(&p));
    assert_true(provider_may_try(&p, START));
    assert_true(provider_answered(&p, START));
}

static void opens_with_different_ones(void **state _unused_)
{
    uint64_t epochs[LIMIT_FAILING_GRANTS];
    struct provider p = opened(epochs);
    assert_true(provider_is_open(&p));
    assert_false(provider_may_try(&p, START));
    assert_true(provider_may_try(&p, p.next_try_usec));
}

static void an_answer_between_counts(void **state _unused_)
{
    struct provider p;
    uint64_t epochs[LIMIT_FAILING_GRANTS * 4] = {0};
    provider_init(&p);
    for (unsigned i = 0; i < ARRAY_SIZE(epochs); i++) {
        meet(&p, &epochs[i], START);
        if (i % LIMIT_FAILING_GRANTS == 1)
            assert_true(provider_answered(&p, START));
        assert_false(provider_is_open(&p));
    }
}

/* As many tries as the table allows, however many grants are due. */
static void lets_out_one_by_one(void **state _unused_)
{
    uint64_t epochs[LIMIT_FAILING_GRANTS];
    struct provider p = opened(epochs);
    unsigned n = 0;
    for (uint64_t now = START; now < START + 600 * USEC_PER_SEC; now += 10 * USEC_PER_MSEC) {
        for (unsigned due = 0; due < 5; due++) {
            uint64_t epoch = 0;
            if (!provider_may_try(&p, now))
                continue;
            provider_tries(&p, now, MIDDLE);
            meet(&p, &epoch, now);
            n++;
        }
    }
    /* 1, 2, 4, 10, 30, 60, 120, 300 */
    assert_in_range(n, 6, 8);
}

static void closes_with_one_answer(void **state _unused_)
{
    uint64_t epochs[LIMIT_FAILING_GRANTS];
    struct provider p = opened(epochs);
    p.n_running = 7;
    assert_true(provider_answered(&p, START));
    assert_false(provider_is_open(&p));
    assert_true(provider_may_try(&p, START));
    assert_int_equal(p.n_running, 7);
    assert_false(provider_answered(&p, START));
    /* Those that failed before count anew. */
    meet(&p, &epochs[0], START);
    meet(&p, &epochs[0], START);
    assert_false(provider_is_open(&p));
}

static void obeys_retry_after(void **state _unused_)
{
    uint64_t epochs[LIMIT_FAILING_GRANTS];
    struct provider p = opened(epochs);
    provider_failed(&p, &epochs[0], TROUBLE_THROTTLED, 77, START, START, MIDDLE);
    assert_false(provider_may_try(&p, START + 77 * USEC_PER_SEC - 1));
    assert_true(provider_may_try(&p, START + 77 * USEC_PER_SEC));
}

/* Three that hang for a minute, while others are served, are their own affair when they time out. */
static void late_failures_count_not(void **state _unused_)
{
    struct provider p;
    uint64_t epochs[LIMIT_FAILING_GRANTS] = {0};
    provider_init(&p);
    assert_false(provider_answered(&p, START + USEC_PER_SEC));
    for (unsigned i = 0; i < LIMIT_FAILING_GRANTS; i++)
        provider_failed(&p, &epochs[i], TROUBLE_AMBIGUOUS, -1, START, START + 60 * USEC_PER_SEC, MIDDLE);
    assert_false(provider_is_open(&p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_nobody_up_while_healthy),
        cmocka_unit_test(one_grant_opens_nothing),
        cmocka_unit_test(opens_with_different_ones),
        cmocka_unit_test(an_answer_between_counts),
        cmocka_unit_test(lets_out_one_by_one),
        cmocka_unit_test(closes_with_one_answer),
        cmocka_unit_test(obeys_retry_after),
        cmocka_unit_test(late_failures_count_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
