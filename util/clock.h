/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Two clocks, never mixed: deadlines are on CLOCK_BOOTTIME, which counts suspend and ignores wall-clock
 * steps; records and what people read are on the wall clock. */

#include <stdint.h>
#include <time.h>

#define USEC_PER_SEC UINT64_C(1000000)
#define USEC_PER_MSEC UINT64_C(1000)

static inline uint64_t clock_usec(clockid_t id)
{
    struct timespec ts;
    (void)clock_gettime(id, &ts); /* cannot fail for these ids */
    return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

static inline uint64_t boottime_usec(void)
{
    return clock_usec(CLOCK_BOOTTIME);
}

static inline int64_t wall_sec(void)
{
    return (int64_t)(clock_usec(CLOCK_REALTIME) / USEC_PER_SEC);
}
