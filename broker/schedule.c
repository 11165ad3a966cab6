/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/schedule.h"

#include "util/cleanup.h"
#include "util/clock.h"

#define STEPS_MAX 8

/* Seconds; the last one repeats. */
static const unsigned steps[SCHEDULE_KIND_COUNT][STEPS_MAX] = {
    [SCHEDULE_PROVIDER] = {1, 2, 4, 10, 30, 60, 120, 300},
    [SCHEDULE_OFFLINE] = {1, 2, 4, 10, 30, 60},
    [SCHEDULE_CLOCK] = {1, 2, 4, 10, 20},
    [SCHEDULE_AMBIGUOUS] = {60, 120, 300},
    [SCHEDULE_MISCONFIGURED] = {120, 300},
    [SCHEDULE_STORE] = {2, 4, 8},
};

uint64_t schedule_share_usec(uint64_t span_usec, uint32_t random)
{
    return (uint64_t)((unsigned __int128)span_usec * random >> 32);
}

uint64_t schedule_delay_usec(enum schedule_kind kind, unsigned n, long retry_after_sec, uint32_t random)
{
    const unsigned *row = steps[kind];
    unsigned i = 0;
    while (i < n && i + 1 < STEPS_MAX && row[i + 1] > 0)
        i++;
    uint64_t step = row[i] * USEC_PER_SEC;
    uint64_t delay = step / 2 + schedule_share_usec(step, random);

    long floor_sec =
        retry_after_sec < SCHEDULE_RETRY_AFTER_SEC_MAX ? retry_after_sec : SCHEDULE_RETRY_AFTER_SEC_MAX;
    uint64_t floor = floor_sec > 0 ? (uint64_t)floor_sec * USEC_PER_SEC : 0;
    return delay > floor ? delay : floor;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint64_t schedule_margin_usec(uint64_t lifetime_usec, uint64_t margin_usec, uint64_t min_valid_usec,
                              uint64_t asked_usec)
{
    uint64_t margin = least(most(margin_usec, 2 * min_valid_usec), lifetime_usec / 2);
    return asked_usec > min_valid_usec ? most(margin, asked_usec + lifetime_usec / 8) : margin;
}

uint64_t schedule_floor_usec(uint64_t lifetime_usec, uint64_t min_valid_usec)
{
    return least(min_valid_usec, lifetime_usec / 4);
}
