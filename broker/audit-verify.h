/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Goes through a trail, record by record, and finds what is wrong with it: the same code for the database and
 * for an export. Pure: no I/O, no clock. What can be known depends on the key that it is given:
 *
 *   none        linkage: what was changed by someone who did not compute the hashes anew
 *   C(present)  also the seals of the present epoch (the broker has this one)
 *   C(first)    the verification secret: also every seal of every epoch since its setup, to the next setup
 *
 * The rules of a trail:
 *
 *   1. Numbers go up by one, each record's hash is over the one before, which is all zero for the first.
 *   2. Epochs go up by one, after a trail-sealed and only then. Nothing follows it in its epoch. The last
 *      epoch may be open.
 *   3. A new chain of keys begins with a trail-key-created, the first record of its epoch; detail: how, a
 *      space and the id of the key (16 hex digits). "first": it is the first record that has a hash. "setup":
 *      the trail-sealed before it has the same detail, so that the chain of keys that ends vouches for the
 *      one that begins; without this, who has the present key could claim a setup long ago, and write all
 *      that is after it. Anything else ("lost") proves nothing.
 *   4. A counter of repeats above zero has a seal, of the record's epoch or a later one.
 *   5. What was removed is said in the base, sealed; and a trail-pruned that is left says "up to N", which is
 *      not below it. */

#include "broker/audit-chain.h"

enum audit_finding_kind {
    /* Damage. */
    AUDIT_FINDING_ALTERED,   /* the content does not fit the hash, or the hash not the record before */
    AUDIT_FINDING_SEAL,      /* the seal is not one of the epoch's key */
    AUDIT_FINDING_GAP,       /* records are missing before this one */
    AUDIT_FINDING_ORDER,     /* its sequence is not above the one before */
    AUDIT_FINDING_EPOCH,     /* an epoch was left out, or has no end, or one that is not the end */
    AUDIT_FINDING_TRUNCATED, /* records are missing at the end */
    AUDIT_FINDING_REPEATS,   /* the counter does not fit its seal */
    AUDIT_FINDING_BASE,      /* what is said of the removed records does not fit */
    AUDIT_FINDING_UNSEALED,  /* a record without a hash, after one that has one */
    AUDIT_FINDING_KEY_LOST,  /* a new chain of keys began without a setup: what is before proves nothing of
                                after */
    AUDIT_FINDING_REPORTED,  /* the broker itself found damage at a start, and wrote it down */
    /* Worth knowing. */
    AUDIT_FINDING_CLOCK,   /* the wall clock ran backwards, in one run of the kernel or over two */
    AUDIT_FINDING_PRUNED,  /* records were removed by retention: which */
    AUDIT_FINDING_PARTIAL, /* it is a part of a trail: where it begins */
    AUDIT_FINDING_KIND_COUNT
};

const char *audit_finding_name(enum audit_finding_kind kind); /* "altered" */
bool audit_finding_is_damage(enum audit_finding_kind kind);

struct audit_finding {
    enum audit_finding_kind kind;
    int64_t sequence; /* at or before which; 0: of the trail as a whole */
    char text[160];   /* a sentence of ours, no text of the record */
};

struct audit_verify_options {
    /* See above; NULL for none. Its epoch says from when on it can check. It, and the head, are from before
     * the records were read, or what was written in between looks cut off. Copied. */
    const struct audit_chain_key *key;
    struct audit_base base; /* sequence 0: nothing was removed */
    struct audit_head head; /* what must be there; sequence 0: not known */
    bool is_partial;        /* it may begin anywhere, and there is no base ... */
    struct audit_head from; /* ... after this record; sequence 0: not known, so what the first record says
                               is not proven by its hash */
    unsigned findings_max;  /* what is kept, damage rather than what is worth knowing; all are counted */
};

enum audit_verify_key {
    AUDIT_VERIFY_KEY_NONE,
    AUDIT_VERIFY_KEY_UNUSED, /* there is no record of its time */
    AUDIT_VERIFY_KEY_FITS,
    AUDIT_VERIFY_KEY_OTHER, /* it is of another trail, or the trail is another: no seal fits it */
};

struct audit_verify_report {
    uint64_t n_records;   /* gone through, those below with them */
    uint64_t n_unchained; /* of before the trail was chained: nothing can be known of them */
    uint64_t n_proven;    /* what they say fits their hash, and the hash its seal */
    int64_t first, last;  /* sequences; 0 when there is no record */
    unsigned char last_hash[AUDIT_HASH_BYTES];
    uint64_t first_proven_epoch, last_proven_epoch; /* 0: none */
    uint64_t last_epoch;                            /* 0: there is none */
    int64_t last_time_sec;                          /* of the last record */
    enum audit_verify_key key;
    bool head_found; /* the head's record is there, as it was: so are all before it, if no other damage is
                        found, and whatever key there was */
    int64_t first_damage; /* the lowest number that damage was found at; 0: none was, or of the whole */
    unsigned n_damage;
    unsigned n_findings; /* kept: damage first, each in the order of the trail */
    const struct audit_finding *findings;
};

struct audit_verify;

int audit_verify_new(const struct audit_verify_options *options, struct audit_verify **ret) _must_check_;
void audit_verify_free(struct audit_verify *v);
DEFINE_CLEANUP(struct audit_verify, audit_verify_free);

/* The next record, in the order of the database. Only -ENOMEM is a failure; what is found is a finding. */
int audit_verify_add(struct audit_verify *v, const struct audit_record *record) _must_check_;
/* Instead, where there is something that cannot be read as a record: damage. Its sequence, or 0. */
void audit_verify_add_unreadable(struct audit_verify *v, int64_t sequence);
/* After the last one. The report is good until the verifier is freed. */
int audit_verify_finish(struct audit_verify *v, struct audit_verify_report *ret) _must_check_;
