/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What makes the trail evident of tampering. Pure code.
 *
 * Linkage. hash(n) = BLAKE2b-256(hash(n-1), record n). Anyone can check it; who may write can also make it
 * anew.
 *
 * Seals. Time is cut into epochs. Each has a key, and the next epoch's key is a one-way function of it:
 *
 *     C(e+1) = BLAKE2b-256 of "next", keyed with C(e)       S(e) = BLAKE2b-256 of "keyed", keyed with C(e)
 *     seal(n) = BLAKE2b-128 of hash(n), keyed with S(e)
 *
 * The last record of an epoch says that it is the last (AUDIT_TRAIL_SEALED), and then C(e) is destroyed. So
 * who takes the machine in epoch e has C(e), and can compute neither C(e-1) nor a seal of it: what the epochs
 * before recorded can no longer be altered, dropped, reordered or cut short without a trace. Who kept the C
 * of the first epoch elsewhere (the verification secret) can compute all keys, and check every seal.
 *
 * This is forward-secure sealing: Bellare and Yee, "Forward-Security in Private-Key Cryptography" (CT-RSA
 * 2003); Schneier and Kelsey, "Secure Audit Logs to Support Computer Forensics" (1999); systemd-journald does
 * the same with seekable keys (Marson and Poettering, ESORICS 2013). Here a verifier walks the epochs, so it
 * needs none. */

#include "broker/audit.h"
#include "broker/secret.h"

#define AUDIT_CHAIN_KEY_BYTES 32
#define AUDIT_CHAIN_KEY_ID_BYTES 8

struct audit_chain_key {
    uint64_t epoch;       /* whose key it is; from 1 */
    uint64_t first_epoch; /* in which this chain of keys began: with a random key, at a setup */
    struct secret *key;   /* C(epoch) */
};

void audit_chain_key_clear(struct audit_chain_key *key);
/* A random one for this epoch. 0 or -ENOMEM. */
int audit_chain_key_new(uint64_t epoch, struct audit_chain_key *ret) _must_check_;
int audit_chain_key_copy(const struct audit_chain_key *key, struct audit_chain_key *ret) _must_check_;
/* Turns it into that of the next epoch; the one it was is wiped. 0 or -ENOMEM (then it is as it was). */
int audit_chain_key_evolve(struct audit_chain_key *key) _must_check_;
/* The same up to this epoch, which is not before its own. */
int audit_chain_key_evolve_to(struct audit_chain_key *key, uint64_t epoch) _must_check_;
/* Names a first key without revealing it: tells whether a secret is the one of a trail. */
void audit_chain_key_id(const struct audit_chain_key *first, unsigned char ret[AUDIT_CHAIN_KEY_ID_BYTES]);

/* Sets the record's hash; `previous` is that of the record before, all zero for the first of a trail.
 * Sequence and epoch must be set. 0 or -ENOMEM. */
int audit_chain_hash(struct audit_record *record,
                     const unsigned char previous[AUDIT_HASH_BYTES]) _must_check_;

/* Seals, each for a purpose of its own; `ret` AUDIT_SEAL_BYTES long. The key is that of the epoch in which it
 * is sealed. */
void audit_chain_seal(const struct audit_chain_key *key, const unsigned char hash[AUDIT_HASH_BYTES],
                      unsigned char ret[AUDIT_SEAL_BYTES]);
/* Of the counter of a record. An older value of it, with its seal, could be put back. */
void audit_chain_seal_repeats(const struct audit_chain_key *key, int64_t sequence, uint64_t repeats,
                              unsigned char ret[AUDIT_SEAL_BYTES]);

/* What was removed: all records up to `sequence`, which had this hash and epoch. */
struct audit_base {
    int64_t sequence; /* 0: nothing was removed */
    unsigned char hash[AUDIT_HASH_BYTES];
    uint64_t epoch;
    int64_t time_sec; /* of the newest that was removed */
    int64_t removed;  /* how many in all */
    uint64_t seal_epoch;
    unsigned char seal[AUDIT_SEAL_BYTES];
};

void audit_chain_seal_base(const struct audit_chain_key *key, const struct audit_base *base,
                           unsigned char ret[AUDIT_SEAL_BYTES]);

/* The newest record, as it is kept outside the database: shows that records are missing at the end. */
struct audit_head {
    int64_t sequence;
    unsigned char hash[AUDIT_HASH_BYTES];
};

void audit_chain_seal_head(const struct audit_chain_key *key, const struct audit_head *head,
                           unsigned char ret[AUDIT_SEAL_BYTES]);
