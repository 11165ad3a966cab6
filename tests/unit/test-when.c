/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Times as people write them: each in the zone that it is for, and what is no time. */

#include "tests/unit/unit.h"

#include "client/lwactl/when.h"

#include <string.h>
#include <time.h>

#define NONE INT64_C(-1)
#define UTC "UTC0"
#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"
#define SAO_PAULO "<-03>3<-02>,M10.3.0/0,M2.3.0/0" /* summer begins at midnight, which is skipped */
#define KOLKATA "IST-5:30"

/* Wednesday 2026-11-25 20:34:34 UTC */
#define NOW INT64_C(1795638874)

struct expected {
    const char *zone, *text;
    int64_t now, since, until;
};

static const struct expected times[] = {
    {UTC, "now", NOW, NOW, NOW},
    {UTC, "NOW ", NOW, NOW, NOW},
    {UTC, "today", NOW, 1795564800, 1795651200},
    {UTC, "Yesterday", NOW, 1795478400, 1795564800},
    {UTC, "monday", NOW, 1795392000, 1795478400},
    {UTC, "wednesday", NOW, 1795564800, 1795651200},
    {UTC, "thu", NOW, 1795046400, 1795132800},
    {UTC, "yesterday 14:00", NOW, 1795528800, 1795528800},
    {UTC, "monday 9:30:15", NOW, 1795426215, 1795426215},
    {UTC, "14:00", NOW, 1795615200, 1795615200},
    {UTC, "23:59:59", NOW, 1795651199, 1795651199},
    {UTC, "2026-11-20", NOW, 1795132800, 1795219200},
    {UTC, "2026-1-2", NOW, 1767312000, 1767398400},
    {UTC, "2024-02-29", NOW, 1709164800, 1709251200},
    {UTC, "2026-11-20 14:00", NOW, 1795183200, 1795183200},
    {UTC, "2026-11-20  14:00:30", NOW, 1795183230, 1795183230},
    {UTC, "2026-11-20T14:00", NOW, 1795183200, 1795183200},
    {UTC, "@1764000000", NOW, 1764000000, 1764000000},
    {UTC, "@0", NOW, 0, 0},
    {UTC, "2h", NOW, NOW - 7200, NOW - 7200},
    {UTC, "2h ago", NOW, NOW - 7200, NOW - 7200},
    {UTC, "-2h", NOW, NOW - 7200, NOW - 7200},
    {UTC, "90 min", NOW, NOW - 5400, NOW - 5400},
    {UTC, "90m", NOW, NOW - 5400, NOW - 5400},
    {UTC, "1h 30min", NOW, NOW - 5400, NOW - 5400},
    {UTC, "1h30m ago", NOW, NOW - 5400, NOW - 5400},
    {UTC, "45 seconds", NOW, NOW - 45, NOW - 45},
    {UTC, "3 days", NOW, NOW - 259200, NOW - 259200},
    {UTC, "1 day", NOW, NOW - 86400, NOW - 86400},
    {UTC, "1w", NOW, NOW - 604800, NOW - 604800},
    {UTC, "2 Weeks Ago", NOW, NOW - 1209600, NOW - 1209600},
    {UTC, "0s", NOW, NOW, NOW},
    {UTC, "999999999w", NOW, 0, 0},
    {UTC, "999999999 h", NOW, 0, 0},

    /* The zone that is written counts, not that of the device. */
    {BERLIN, "2026-11-20T14:00:00Z", NOW, 1795183200, 1795183200},
    {BERLIN, "2026-11-20 14:00+01:00", NOW, 1795179600, 1795179600},
    {KOLKATA, "2026-11-20T14:00:00 -0530", NOW, 1795203000, 1795203000},
    {KOLKATA, "2026-11-20 14:00", NOW, 1795163400, 1795163400},
    {KOLKATA, "today", NOW, 1795631400, 1795717800}, /* Thursday there by now */
    {KOLKATA, "wed", NOW, 1795545000, 1795631400},

    /* 25 October 2026: Berlin's clocks go back from 3:00 to 2:00. */
    {BERLIN, "2026-10-25", NOW, 1792879200, 1792969200},          /* 25 hours */
    {BERLIN, "2026-10-25 02:30", NOW, 1792888200, 1792891800},    /* twice */
    {BERLIN, "2026-10-25 01:59:59", NOW, 1792886399, 1792886399}, /* once */
    {BERLIN, "2026-10-25 03:00", NOW, 1792893600, 1792893600},
    {BERLIN, "1 day", 1792922400, 1792832400, 1792832400}, /* the same time of day, 25 hours before */
    {BERLIN, "1 day", NOW, NOW - 86400, NOW - 86400},      /* both in winter */
    {BERLIN, "24h", 1792922400, 1792836000, 1792836000},
    {BERLIN, "yesterday", 1792969200, 1792879200, 1792969200},
    /* 28 March 2027: from 2:00 to 3:00. */
    {BERLIN, "2027-03-28", NOW, 1806188400, 1806271200},       /* 23 hours */
    {BERLIN, "2027-03-28 02:30", NOW, 1806193800, 1806197400}, /* not at all: 1:30 to 3:30 */
    {BERLIN, "2027-06-01 14:00", NOW, 1811851200, 1811851200},
    /* 18 October 2026: no midnight in this zone. */
    {SAO_PAULO, "2026-10-18", NOW, 1792292400, 1792375200},
    {SAO_PAULO, "2026-10-17", NOW, 1792206000, 1792292400},
};

static void use_zone(const char *zone)
{
    assert_int_equal(setenv("TZ", zone, 1), 0);
    tzset();
}

static void test_times(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
        const struct expected *e = &times[i];
        int64_t since = NONE, until = NONE;
        use_zone(e->zone);
        int r = when_parse(e->text, e->now, WHEN_SINCE, &since);
        if (r == 0)
            r = when_parse(e->text, e->now, WHEN_UNTIL, &until);
        if (r != 0 || since != e->since || until != e->until)
            print_message("%s in %s: %d, %lld, %lld\n", e->text, e->zone, r, (long long)since,
                          (long long)until);
        assert_int_equal(r, 0);
        assert_int_equal(since, e->since);
        assert_int_equal(until, e->until);
    }
}

static void test_what_is_no_time(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "soon",
        "tomorrow",
        "noww",
        "2",
        "2x",
        "2 months",
        "-",
        "-2h ago",
        "h",
        "2h x",
        "2h 3",
        "ago",
        "24:00",
        "14:60",
        "14:00:60",
        "14:0",
        "14",
        "14:00Z",
        "14:00 today",
        "today14:00",
        "today x",
        "mondays",
        "mo",
        "2026-11",
        "2026-13-01",
        "2026-00-01",
        "2026-02-29",
        "2026-11-31",
        "2026-11-00",
        "26-11-20",
        "2026-11-20T",
        "2026-11-20x",
        "2026-11-2014:00",
        "2026/11/20",
        "20.11.2026",
        "2026-11-20Z",
        "2026-11-20 14:00+1",
        "2026-11-20 14:00+15:00",
        "2026-11-20 14:00 UTC",
        "1969-12-31",
        "@",
        "@x",
        "@-5",
        "@1764000000x",
        "@9999999999999999",
        "9999999999h",
        "0x10s",
        "1.5h",
        "--2h",
        "+2h",
        "2h\n",
        "\xff",
    };
    (void)state;
    use_zone(BERLIN);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        int64_t found = NONE;
        int r = when_parse(texts[i], NOW, WHEN_SINCE, &found);
        if (r != WHEN_E_UNKNOWN)
            print_message("`%s` is %lld\n", texts[i], (long long)found);
        assert_int_equal(r, WHEN_E_UNKNOWN);
        assert_int_equal(found, NONE); /* untouched */
    }
}

/* Each day begins where the one before ends, whatever the clocks do between. */
static void test_days_follow_each_other(void **state)
{
    static const char *const zones[] = {UTC, BERLIN, SAO_PAULO, KOLKATA, "<+14>-14", "<-12>12"};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(zones); i++) {
        use_zone(zones[i]);
        for (int64_t now = NOW; now < NOW + (int64_t)400 * 86400; now += 12 * 3600) {
            int64_t today, before, since;
            assert_int_equal(when_parse("today", now, WHEN_SINCE, &today), 0);
            assert_int_equal(when_parse("yesterday", now, WHEN_UNTIL, &before), 0);
            assert_int_equal(when_parse("yesterday", now, WHEN_SINCE, &since), 0);
            assert_int_equal(before, today);
            assert_true(today <= now && now - today < 25 * 3600);
            assert_true(today - since >= 23 * 3600 && today - since <= 25 * 3600);
        }
    }
}

static void test_examples(void **state)
{
    static const char separator[] = ", ";
    char examples[] = WHEN_EXAMPLES;
    (void)state;
    use_zone(UTC);
    for (char *p = examples, *end; p; p = end) {
        int64_t found;
        end = strstr(p, separator);
        if (end) {
            *end = '\0';
            end += strlen(separator);
        }
        assert_int_equal(when_parse(p, NOW, WHEN_SINCE, &found), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_what_is_no_time),
        cmocka_unit_test(test_days_follow_each_other),
        cmocka_unit_test(test_examples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
