/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/timeline.h"

#include <time.h>

#define DAY_SEC INT64_C(86400)

static const struct unit {
    int64_t seconds;
    const char *name;
} units[] = {
    {60, "minute"},          {5 * 60, "5 minutes"},        {15 * 60, "15 minutes"},
    {3600, "hour"},          {3 * 3600, "3 hours"},        {6 * 3600, "6 hours"},
    {DAY_SEC, "day"},        {7 * DAY_SEC, "7 days"},      {30 * DAY_SEC, "30 days"},
    {365 * DAY_SEC, "year"}, {3650 * DAY_SEC, "10 years"},
};

/* The shortest unit of which the spans are few enough, with one to spare at each end. */
static const struct unit *choose_unit(int64_t since_sec, int64_t now_sec)
{
    size_t i = 0;
    while (i + 1 < ARRAY_SIZE(units) && (now_sec - since_sec) / units[i].seconds > TIMELINE_SPANS_MAX - 2)
        i++;
    return &units[i];
}

/* Where the span begins that is `n` units after the one of `since`. */
static int64_t beginning(const struct unit *unit, int64_t since_sec, int64_t n)
{
    time_t since = (time_t)since_sec;
    struct tm tm;
    if (!localtime_r(&since, &tm))
        return since_sec + n * unit->seconds;
    tm.tm_sec = 0;
    if (unit->seconds < DAY_SEC) {
        int64_t minutes = unit->seconds / 60, of_day = tm.tm_hour * 60 + tm.tm_min;
        return since_sec - since_sec % 60 - of_day % minutes * 60 + n * unit->seconds;
    }
    tm.tm_hour = tm.tm_min = 0;
    tm.tm_mday += (int)(n * (unit->seconds / DAY_SEC));
    tm.tm_isdst = -1;
    return (int64_t)mktime(&tm);
}

void timeline_init(struct timeline *t, int64_t since_sec, int64_t now_sec)
{
    const struct unit *unit;
    if (since_sec > now_sec)
        since_sec = now_sec;
    unit = choose_unit(since_sec, now_sec);
    *t = (struct timeline){.name = unit->name, .is_by_day = unit->seconds >= DAY_SEC};
    while (t->n_spans < TIMELINE_SPANS_MAX) {
        int64_t begins = beginning(unit, since_sec, (int64_t)t->n_spans);
        if (t->n_spans > 0 && begins > now_sec)
            break;
        t->spans[t->n_spans++].begins_sec = begins;
    }
}

struct timeline_span *timeline_at(struct timeline *t, int64_t when_sec)
{
    size_t i = t->n_spans - 1;
    while (i > 0 && t->spans[i].begins_sec > when_sec)
        i--;
    return &t->spans[i];
}

uint64_t timeline_peak(const struct timeline *t)
{
    uint64_t peak = 0;
    for (size_t i = 0; i < t->n_spans; i++) {
        peak = t->spans[i].n_given > peak ? t->spans[i].n_given : peak;
        peak = t->spans[i].n_refused > peak ? t->spans[i].n_refused : peak;
    }
    return peak;
}
