/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/schedule.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define N_MAX 50

static uint64_t at(enum schedule_kind kind, unsigned n, uint32_t random)
{
    return schedule_delay_usec(kind, n, -1, random);
}

static void begins_as_amazons_sdk(void **state _unused_)
{
    static const unsigned seconds[] = {1, 2, 4, 10, 30, 60, 120, 300, 300};
    for (unsigned n = 0; n < ARRAY_SIZE(seconds); n++)
        assert_int_equal(at(SCHEDULE_PROVIDER, n, UINT32_C(1) << 31), seconds[n] * USEC_PER_SEC);
}

static void is_spread_by_half(void **state _unused_)
{
    for (int kind = 0; kind < SCHEDULE_KIND_COUNT; kind++) {
        for (unsigned n = 0; n < N_MAX; n++) {
            uint64_t middle = at(kind, n, UINT32_C(1) << 31);
            assert_int_equal(at(kind, n, 0), middle / 2);
            assert_in_range(at(kind, n, UINT32_MAX), middle * 3 / 2 - 1, middle * 3 / 2);
        }
    }
}

static void never_shrinks_and_is_bounded(void **state _unused_)
{
    for (int kind = 0; kind < SCHEDULE_KIND_COUNT; kind++) {
        for (unsigned n = 0; n < N_MAX; n++) {
            assert_true(at(kind, n, 12345) >= USEC_PER_SEC / 2);
            assert_true(at(kind, n + 1, 12345) >= at(kind, n, 12345));
        }
        assert_true(at(kind, UINT32_MAX, UINT32_MAX) <= 450 * USEC_PER_SEC);
    }
}

static void knows_what_hurts(void **state _unused_)
{
    /* With rotation a quick second use of a refresh token can end the login. */
    assert_true(at(SCHEDULE_AMBIGUOUS, 0, 0) >= 30 * USEC_PER_SEC);
    assert_true(at(SCHEDULE_MISCONFIGURED, 0, 0) >= 60 * USEC_PER_SEC);
    /* The network, the clock and room on the disk come back at any time. */
    assert_true(at(SCHEDULE_OFFLINE, N_MAX, UINT32_MAX) <= 90 * USEC_PER_SEC);
    assert_true(at(SCHEDULE_CLOCK, N_MAX, UINT32_MAX) <= 30 * USEC_PER_SEC);
    assert_true(at(SCHEDULE_STORE, N_MAX, UINT32_MAX) <= 12 * USEC_PER_SEC);
}

static void takes_retry_after_as_a_floor(void **state _unused_)
{
    static const struct {
        long retry_after_sec;
        unsigned n;
        uint64_t sec;
    } cases[] = {
        {-1, 0, 1},   {0, 0, 1},       {1, 0, 1},       {30, 0, 30},
        {30, 7, 300}, {3600, 0, 3600}, {3601, 0, 3600}, {86400, 9, 3600},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(
            schedule_delay_usec(SCHEDULE_PROVIDER, cases[i].n, cases[i].retry_after_sec, UINT32_C(1) << 31),
            cases[i].sec * USEC_PER_SEC);
}

static void leaves_time_for_a_renewal(void **state _unused_)
{
    static const unsigned lifetimes[] = {1, 2, 5, 10, 60, 119, 120, 600, 3600, 86400};
    static const struct {
        unsigned margin, min_valid;
    } configured[] = {{300, 60}, {0, 0}, {60, 300}, {3, 1}, {3600, 3600}};
    for (size_t i = 0; i < ARRAY_SIZE(lifetimes); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(configured); j++) {
            uint64_t lifetime = lifetimes[i] * USEC_PER_SEC;
            uint64_t least = configured[j].min_valid * USEC_PER_SEC;
            uint64_t margin = schedule_margin_usec(lifetime, configured[j].margin * USEC_PER_SEC, least, 0);
            uint64_t floor = schedule_floor_usec(lifetime, least);
            assert_true(floor <= least && 2 * floor <= margin && 2 * margin <= lifetime);
        }
    }
    assert_int_equal(schedule_margin_usec(3600 * USEC_PER_SEC, 300 * USEC_PER_SEC, 60 * USEC_PER_SEC, 0),
                     300 * USEC_PER_SEC);
    assert_int_equal(schedule_floor_usec(3600 * USEC_PER_SEC, 60 * USEC_PER_SEC), 60 * USEC_PER_SEC);
    assert_int_equal(schedule_margin_usec(10 * USEC_PER_SEC, 300 * USEC_PER_SEC, 60 * USEC_PER_SEC, 0),
                     5 * USEC_PER_SEC);
    assert_int_equal(schedule_floor_usec(10 * USEC_PER_SEC, 60 * USEC_PER_SEC), 2500000);
}

/* Up to half the lifetime may be asked for, and even then there is time. */
static void leaves_time_for_what_is_asked(void **state _unused_)
{
    uint64_t lifetime = 3600 * USEC_PER_SEC, margin = 300 * USEC_PER_SEC, least = 60 * USEC_PER_SEC;
    for (uint64_t asked = USEC_PER_SEC; asked <= lifetime / 2; asked += USEC_PER_SEC) {
        uint64_t m = schedule_margin_usec(lifetime, margin, least, asked);
        assert_true(m >= margin && m - m / 10 > asked && m < lifetime * 2 / 3);
        assert_true(asked > least || m == margin);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_as_amazons_sdk),         cmocka_unit_test(is_spread_by_half),
        cmocka_unit_test(never_shrinks_and_is_bounded),  cmocka_unit_test(knows_what_hurts),
        cmocka_unit_test(takes_retry_after_as_a_floor),  cmocka_unit_test(leaves_time_for_a_renewal),
        cmocka_unit_test(leaves_time_for_what_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
