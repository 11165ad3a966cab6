/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/retention.h"

#include "broker/limits.h"
#include "util/clock.h"

#include <string.h>

#define LEAST_SEC INT64_C(1767225600) /* 2026: nothing was recorded before */
#define SLACK_SEC 86400               /* a clock may be a little fast without being wrong */

/* It is this late at least. */
static int64_t latest(const struct retention_now *now)
{
    return now->wall_sec > now->proven_sec ? now->wall_sec : now->proven_sec;
}

static bool has_time(const struct retention_now *now, const struct retention_record *record)
{
    return record->time_sec >= LEAST_SEC && record->time_sec <= latest(now) + SLACK_SEC;
}

/* By the clock that nobody can set, too, where it still counts from the same start. */
static bool is_young(const struct retention_now *now, const struct retention_record *record)
{
    bool is_of_this_boot = memcmp(record->boot_id, now->boot_id, sizeof(now->boot_id)) == 0;
    if (is_of_this_boot && record->boot_usec + LIMIT_TRAIL_YOUNG_SEC * USEC_PER_SEC > now->boot_usec)
        return true;
    return record->time_sec > latest(now) - LIMIT_TRAIL_YOUNG_SEC && has_time(now, record);
}

static bool is_of_good_token(const struct retention_now *now, const struct retention_record *record)
{
    return record->expires_sec > latest(now) && record->expires_sec <= latest(now) + SLACK_SEC;
}

static bool must_stay(const struct retention_now *now, const struct retention_record *record)
{
    return record->sequence >= now->newest || (record->epoch > 0 && record->epoch >= now->epoch) ||
           is_young(now, record) || is_of_good_token(now, record);
}

void retention_walk_begin(struct retention_walk *walk, const struct retention_now *now)
{
    *walk = (struct retention_walk){
        .age_is_over = now->keep_sec == 0 || now->proven_sec == 0,
        .size_is_over = now->up_to == 0,
    };
}

bool retention_walk_see(struct retention_walk *walk, const struct retention_now *now,
                        const struct retention_record *record)
{
    walk->size_is_over |= record->sequence > now->up_to;
    if (must_stay(now, record)) {
        walk->is_held = !walk->size_is_over;
        walk->age_is_over = walk->size_is_over = true;
        return false;
    }
    if (!walk->size_is_over)
        walk->by_size = record->sequence;
    if (!walk->age_is_over && has_time(now, record)) {
        bool is_old = record->time_sec < now->proven_sec - now->keep_sec;
        walk->age_is_over = !is_old;
        if (is_old)
            walk->by_age = record->sequence;
    }
    return !walk->age_is_over || !walk->size_is_over;
}

int64_t retention_walk_target(const struct retention_walk *walk)
{
    return walk->by_age > walk->by_size ? walk->by_age : walk->by_size;
}
