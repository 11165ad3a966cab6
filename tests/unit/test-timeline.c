/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Spans of time that events are counted into. */

#include "tests/unit/unit.h"

#include "client/lwactl/timeline.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY INT64_C(86400)
#define NOW INT64_C(1764100000) /* 2025-11-25 19:46:40 UTC */

static void set_zone(const char *zone)
{
    assert_int_equal(setenv("TZ", zone, 1), 0);
    tzset();
}

static void test_units(_unused_ void **state)
{
    static const struct {
        int64_t length;
        const char *name;
    } cases[] = {
        {0, "minute"},     {3600, "minute"},      {2 * 3600, "5 minutes"}, {DAY, "hour"},
        {30 * DAY, "day"}, {365 * DAY, "7 days"}, {NOW, "year"},           {NOW + 50000 * DAY, "10 years"},
    };
    set_zone("UTC");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct timeline t;
        timeline_init(&t, NOW - cases[i].length, NOW);
        assert_string_equal(t.name, cases[i].name);
        assert_in_range(t.n_spans, 1, TIMELINE_SPANS_MAX);
        assert_true(t.spans[0].begins_sec <= NOW - cases[i].length);
        for (size_t j = 1; j < t.n_spans; j++)
            assert_true(t.spans[j].begins_sec > t.spans[j - 1].begins_sec);
    }
}

/* Days are of the clock on the wall, also when one has 23 or 25 hours. */
static void test_days(_unused_ void **state)
{
    struct timeline t;
    set_zone("Europe/Berlin");
    timeline_init(&t, 1761000000,
                  1762000000);       /* 2025-10-20 to 2025-11-01; the clocks went back on the 26th */
    assert_int_equal(t.n_spans, 47); /* by six hours */
    timeline_init(&t, 1761000000 - 20 * DAY, 1762000000);
    assert_string_equal(t.name, "day");
    for (size_t i = 0; i < t.n_spans; i++) {
        time_t begins = (time_t)t.spans[i].begins_sec;
        struct tm tm;
        assert_non_null(localtime_r(&begins, &tm));
        assert_int_equal(tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec, 0);
    }
    set_zone("UTC");
}

static void test_counts(_unused_ void **state)
{
    struct timeline t;
    set_zone("UTC");
    timeline_init(&t, NOW - 30 * DAY, NOW);
    assert_int_equal(t.n_spans, 31);
    assert_ptr_equal(timeline_at(&t, INT64_MIN), &t.spans[0]);
    assert_ptr_equal(timeline_at(&t, NOW - 30 * DAY), &t.spans[0]);
    assert_ptr_equal(timeline_at(&t, t.spans[7].begins_sec - 1), &t.spans[6]);
    assert_ptr_equal(timeline_at(&t, t.spans[7].begins_sec), &t.spans[7]);
    assert_ptr_equal(timeline_at(&t, NOW), &t.spans[30]);
    assert_ptr_equal(timeline_at(&t, INT64_MAX), &t.spans[30]);
    assert_int_equal(timeline_peak(&t), 0);
    timeline_at(&t, NOW)->n_refused = 3;
    timeline_at(&t, 0)->n_given = 2;
    assert_int_equal(timeline_peak(&t), 3);
}

/* A start that lies after now, of a clock that was wrong. */
static void test_backwards(_unused_ void **state)
{
    struct timeline t;
    timeline_init(&t, NOW + DAY, NOW);
    assert_int_equal(t.n_spans, 1);
    assert_true(t.spans[0].begins_sec <= NOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_days),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_backwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
