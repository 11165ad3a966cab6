/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the audit trail may be freed of. Pure code; store-prune.c does it.
 *
 * Records are removed from the oldest on, never from between. By age: as far as all that have a time are
 * older than they are kept. By size: as far as somebody says. Neither goes beyond the first record that is
 * not to be lost whatever the bounds say: of the present epoch, of the last hour, or of a token that is still
 * good.
 *
 * A wall clock may be wrong by years. So age is counted up to the last time at which the clock was right for
 * sure (a provider's certificate was valid), and a record whose own time cannot be says nothing about its
 * age: it goes with the next one that has a time. */

#include "broker/audit.h"

struct retention {
    int64_t keep_sec;  /* 0: for ever */
    int64_t max_bytes; /* of the database, without what is free in it; 0: no bound */
};

/* What counts at the time of a walk. */
struct retention_now {
    int64_t wall_sec;
    int64_t proven_sec; /* when the wall clock was known to be right for the last time; 0: never */
    uint64_t boot_usec; /* CLOCK_BOOTTIME */
    unsigned char boot_id[AUDIT_BOOT_ID_BYTES];
    uint64_t epoch;   /* of the trail */
    int64_t newest;   /* the newest record, which stays */
    int64_t up_to;    /* as far as it is to go by size; 0 for nothing */
    int64_t keep_sec; /* 0: for ever */
};

/* What counts of a record. */
struct retention_record {
    int64_t sequence;
    int64_t time_sec;
    int64_t expires_sec;
    uint64_t boot_usec;
    unsigned char boot_id[AUDIT_BOOT_ID_BYTES];
    uint64_t epoch;
};

/* A walk over the records, from the oldest on, as far as it has to see them. */
struct retention_walk {
    int64_t by_age;  /* all up to this one may go by age; 0: none */
    int64_t by_size; /* the same, by size */
    bool age_is_over;
    bool size_is_over;
    bool is_held; /* the size asks for one that is not to be lost */
};

void retention_walk_begin(struct retention_walk *walk, const struct retention_now *now);
/* False: it needs to see no more. */
bool retention_walk_see(struct retention_walk *walk, const struct retention_now *now,
                        const struct retention_record *record) _must_check_;
/* The last record that goes; 0 for none. */
int64_t retention_walk_target(const struct retention_walk *walk) _must_check_;
