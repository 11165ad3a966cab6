/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A trail as it is after a year or two: chained, sealed and indexed by the store's own code, in transactions
 * that are large and not synced. In the place of the one that is there, in a database that no store has open.
 */

#include "broker/audit.h"

struct long_trail {
    const char *database;
    const char *key_file; /* of the chain, made anew */
    int64_t n;
    int64_t from_sec, to_sec; /* wall clock of the first record and of the last one */
    int64_t n_per_epoch;
};

#define LONG_TRAIL_APPS 40
#define LONG_TRAIL_USERS 10
#define LONG_TRAIL_FIRST_UID 30001

/* One that the broker could have written: what it does most is to disclose. The n-th has the same content
 * each time; no times. NULL: out of memory. */
struct audit_record *long_trail_record(int64_t n);
/* 0 or a negative errno. */
int long_trail_write(const struct long_trail *trail);
