/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/bucket.h"

#include "util/clock.h"

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The time that it takes to fill n units, of at most `bursts` bursts. */
static uint64_t worth(const struct bucket_size *size, uint64_t n, unsigned bursts)
{
    return least(n, (uint64_t)size->burst * bursts) * size->interval_usec;
}

/* What is gone, as the time until it is back. Bounded anew each time: the size may have changed, and a clock
 * that went back must not lock anyone out. */
static uint64_t gone(const struct bucket *b, const struct bucket_size *size, uint64_t now)
{
    uint64_t gone = b->full_usec > now ? b->full_usec - now : 0;
    return least(gone, worth(size, UINT64_MAX, 2));
}

struct bucket_size bucket_size_of(unsigned per_sec, unsigned burst)
{
    return (struct bucket_size){.interval_usec = USEC_PER_SEC / per_sec, .burst = burst};
}

uint64_t bucket_wait(const struct bucket *b, const struct bucket_size *size, unsigned n, uint64_t now)
{
    uint64_t all = worth(size, UINT64_MAX, 1);
    uint64_t wanted = gone(b, size, now) + worth(size, n, 1);
    return wanted > all ? wanted - all : 0;
}

uint64_t bucket_take(struct bucket *b, const struct bucket_size *size, unsigned n, uint64_t now)
{
    uint64_t wait = bucket_wait(b, size, n, now);
    if (wait == 0)
        b->full_usec = now + gone(b, size, now) + worth(size, n, 1);
    return wait;
}

void bucket_force(struct bucket *b, const struct bucket_size *size, unsigned n, uint64_t now)
{
    uint64_t wanted = gone(b, size, now) + worth(size, n, 2);
    b->full_usec = now + least(wanted, worth(size, UINT64_MAX, 2));
}

void bucket_return(struct bucket *b, const struct bucket_size *size, unsigned n, uint64_t now)
{
    uint64_t is_gone = gone(b, size, now);
    b->full_usec = now + is_gone - least(is_gone, worth(size, n, 2));
}

bool bucket_is_full(const struct bucket *b, uint64_t now)
{
    return b->full_usec <= now;
}

unsigned bucket_wait_sec(uint64_t wait_usec)
{
    uint64_t sec = wait_usec / USEC_PER_SEC + (wait_usec % USEC_PER_SEC ? 1 : 0);
    return sec < 1 ? 1 : (unsigned)least(sec, UINT32_MAX);
}
