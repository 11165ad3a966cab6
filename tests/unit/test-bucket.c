/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/bucket.h"
#include "util/clock.h"

#define START (1000 * USEC_PER_SEC)

/* Ten at once, then one a second. */
static const struct bucket_size ten = {.interval_usec = USEC_PER_SEC, .burst = 10};

static void new_one_is_full(void **state _unused_)
{
    struct bucket b = {0};
    assert_true(bucket_is_full(&b, 0));
    for (int i = 0; i < 10; i++)
        assert_int_equal(bucket_take(&b, &ten, 1, START), 0);
    assert_false(bucket_is_full(&b, START));
    assert_int_equal(bucket_take(&b, &ten, 1, START), USEC_PER_SEC);
    /* A refusal costs nothing. */
    assert_int_equal(bucket_take(&b, &ten, 1, START), USEC_PER_SEC);
    assert_int_equal(bucket_take(&b, &ten, 3, START), 3 * USEC_PER_SEC);
}

/* What it says is the moment at which it is true, and not earlier. */
static void wait_is_exact(void **state _unused_)
{
    static const struct bucket_size sizes[] = {
        {1, 1}, {3, 2}, {333333, 7}, {USEC_PER_SEC, 10}, {3600 * USEC_PER_SEC, 3}};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
        for (unsigned n = 1; n <= sizes[i].burst; n++) {
            struct bucket b = {0};
            uint64_t now = START;
            assert_int_equal(bucket_take(&b, &sizes[i], sizes[i].burst, now), 0);
            uint64_t wait = bucket_take(&b, &sizes[i], n, now);
            assert_int_equal(wait, n * sizes[i].interval_usec);
            assert_int_equal(bucket_take(&b, &sizes[i], n, now + wait - 1), 1);
            assert_int_equal(bucket_take(&b, &sizes[i], n, now + wait), 0);
        }
}

static void fills_no_further_than_full(void **state _unused_)
{
    struct bucket b = {0};
    assert_int_equal(bucket_take(&b, &ten, 10, START), 0);
    uint64_t later = START + 1000 * USEC_PER_SEC;
    assert_true(bucket_is_full(&b, START + 10 * USEC_PER_SEC));
    assert_false(bucket_is_full(&b, START + 10 * USEC_PER_SEC - 1));
    for (int i = 0; i < 10; i++)
        assert_int_equal(bucket_take(&b, &ten, 1, later), 0);
    assert_true(bucket_take(&b, &ten, 1, later) > 0);
}

/* Over a long time exactly the rate comes out, however it is asked. */
static void rate_is_kept(void **state _unused_)
{
    struct bucket b = {0};
    unsigned n = 0;
    for (uint64_t now = START; now <= START + 100 * USEC_PER_SEC; now += 7001)
        n += bucket_take(&b, &ten, 1, now) == 0 ? 1 : 0;
    assert_in_range(n, 109, 110);
}

static void clock_that_stands_still_fills_nothing(void **state _unused_)
{
    struct bucket b = {0};
    unsigned n = 0;
    for (int i = 0; i < 100000; i++)
        n += bucket_take(&b, &ten, 1, START) == 0 ? 1 : 0;
    assert_int_equal(n, 10);
}

/* Boot time does not go back; if it did, nobody would be locked out for longer than a debt can last. */
static void clock_that_goes_back_locks_nobody_out(void **state _unused_)
{
    struct bucket b = {0};
    assert_int_equal(bucket_take(&b, &ten, 10, START), 0);
    assert_true(bucket_take(&b, &ten, 1, 0) <= 11 * USEC_PER_SEC);
    assert_true(bucket_take(&b, &ten, 1, START) > 0);
}

static void what_costs_too_much_costs_all(void **state _unused_)
{
    struct bucket b = {0};
    assert_int_equal(bucket_take(&b, &ten, UINT32_MAX, START), 0);
    assert_int_equal(bucket_take(&b, &ten, 11, START), 10 * USEC_PER_SEC);
    assert_int_equal(bucket_take(&b, &ten, 11, START + 10 * USEC_PER_SEC), 0);
}

static void debt_is_paid_and_bounded(void **state _unused_)
{
    struct bucket b = {0};
    bucket_force(&b, &ten, 12, START);
    assert_int_equal(bucket_take(&b, &ten, 1, START), 3 * USEC_PER_SEC);
    for (int i = 0; i < 1000; i++)
        bucket_force(&b, &ten, UINT32_MAX, START);
    assert_int_equal(bucket_take(&b, &ten, 1, START), 11 * USEC_PER_SEC);
    assert_int_equal(bucket_take(&b, &ten, 1, START + 11 * USEC_PER_SEC), 0);
}

static void what_is_returned_is_there(void **state _unused_)
{
    struct bucket b = {0};
    bucket_return(&b, &ten, 5, START);
    assert_true(bucket_is_full(&b, START));
    assert_int_equal(bucket_take(&b, &ten, 10, START), 0);
    bucket_return(&b, &ten, 4, START);
    assert_int_equal(bucket_take(&b, &ten, 4, START), 0);
    assert_true(bucket_take(&b, &ten, 1, START) > 0);
    bucket_return(&b, &ten, UINT32_MAX, START);
    assert_true(bucket_is_full(&b, START));
}

/* A reload that makes it smaller holds at once, one that makes it larger too. */
static void size_can_change(void **state _unused_)
{
    const struct bucket_size small = {USEC_PER_SEC / 10, 2}, large = {USEC_PER_SEC, 100};
    struct bucket b = {0};
    assert_int_equal(bucket_take(&b, &ten, 10, START), 0);
    assert_int_equal(bucket_take(&b, &large, 90, START), 0);
    assert_int_equal(bucket_take(&b, &small, 1, START), 3 * small.interval_usec);
}

static void largest_sizes_do_not_overflow(void **state _unused_)
{
    const struct bucket_size huge = {3600 * USEC_PER_SEC, 1000000};
    struct bucket b = {0};
    uint64_t now = UINT64_MAX / 2;
    bucket_force(&b, &huge, UINT32_MAX, now);
    assert_int_equal(bucket_take(&b, &huge, 1, now), 1000001 * huge.interval_usec);
    assert_int_equal(bucket_take(&b, &huge, UINT32_MAX, now), 2000000 * huge.interval_usec);
}

static void seconds_are_rounded_up(void **state _unused_)
{
    assert_int_equal(bucket_wait_sec(0), 1);
    assert_int_equal(bucket_wait_sec(1), 1);
    assert_int_equal(bucket_wait_sec(USEC_PER_SEC), 1);
    assert_int_equal(bucket_wait_sec(USEC_PER_SEC + 1), 2);
    assert_int_equal(bucket_wait_sec(UINT64_MAX), UINT32_MAX);
    assert_int_equal(bucket_size_of(300, 5).interval_usec, 3333);
    assert_int_equal(bucket_size_of(100000, 5).interval_usec, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_one_is_full),
        cmocka_unit_test(wait_is_exact),
        cmocka_unit_test(fills_no_further_than_full),
        cmocka_unit_test(rate_is_kept),
        cmocka_unit_test(clock_that_stands_still_fills_nothing),
        cmocka_unit_test(clock_that_goes_back_locks_nobody_out),
        cmocka_unit_test(what_costs_too_much_costs_all),
        cmocka_unit_test(debt_is_paid_and_bounded),
        cmocka_unit_test(what_is_returned_is_there),
        cmocka_unit_test(size_can_change),
        cmocka_unit_test(largest_sizes_do_not_overflow),
        cmocka_unit_test(seconds_are_rounded_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
