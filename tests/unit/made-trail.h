/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A trail in memory, made as the store makes one, and then spoiled. */

#include "broker/audit-verify.h"

#define TRAIL_MAX 1100

struct trail {
    struct audit_record *records[TRAIL_MAX];
    size_t n;
    struct audit_chain_key first, present;
    int64_t time_sec;
    uint64_t boot_usec;
};

/* Has its key, and the record of it. */
struct trail *trail_new(void);
void trail_free(struct trail *t);
DEFINE_CLEANUP(struct trail, trail_free);

struct audit_record *trail_add(struct trail *t, enum audit_event event, const char *detail);
/* A disclosure with all its fields. */
struct audit_record *trail_disclose(struct trail *t);
void trail_end_epoch(struct trail *t);
/* A new chain of keys; `ret_secret` is its first. */
void trail_setup(struct trail *t, struct audit_chain_key *ret_secret);
/* Delivered again, so many times in all. */
void trail_repeat(struct trail *t, size_t i, uint64_t repeats);
/* `n` records, in epochs of 8. */
struct trail *trail_of(size_t n);

/* Takes records [from, to) out, as retention does, but for the record of it. */
void trail_remove(struct trail *t, size_t from, size_t to);
/* What one can do who has the database and the present key: all hashes from record i on are computed anew,
 * and what is of the present epoch is sealed anew. */
void trail_remake(struct trail *t, size_t i);

void trail_replace_text(char **text, const char *value);
struct audit_record *trail_copy_record(const struct audit_record *record);
