/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The file of the chain key, outside the database: who replaces the database has not replaced this.
 *
 * Four blocks at fixed places, two for keys and two for heads, so that a write never changes the length or
 * needs room, and one that goes wrong takes no other block along. A key has a checksum, so that one that was
 * torn is known; the other one is then good. The head has its seal.
 *
 * A key moves on in this order, so that at every instant there is a durable key from which that of the last
 * record can be computed, and none of an epoch that is over for longer than it takes:
 *
 *   1. the record that ends epoch e is durable;
 *   2. audit_keyfile_begin_epoch(): C(e+1) is in the block that C(e) is not in, and synced;
 *   3. audit_keyfile_set_head(): the head is sealed with C(e+1), since soon nobody has C(e);
 *   4. audit_keyfile_end_epochs(): the block of C(e) is overwritten, and synced.
 *
 * A crash between 1 and 2 leaves C(e), which is moved on at the start; one between 2 and 4 leaves both, of
 * which the later one counts, and 4 is done at the start: whoever opens the file ends the epochs too.
 *
 * The head is written after each commit and not synced: it survives the end of the process, not that of the
 * machine. One that is older than the trail means nothing. */

#include "broker/audit-chain.h"

struct audit_keyfile;

enum {
    AUDIT_KEYFILE_E_MISSING = 1,
    AUDIT_KEYFILE_E_BROKEN = 2, /* no key is good; or it is not a regular file of ours alone, 0600 */
};

/* Only reads. One of the above; a negative errno is "not now", and no reason to make a new one. */
int audit_keyfile_open(const char *path, struct audit_keyfile **ret) _must_check_;
/* A new file with this key: written as PATH.new, synced, renamed, its folder synced. What is there is kept as
 * PATH.broken; the keys in it, if it is a file of ours, are overwritten: they are good for forgery only. */
int audit_keyfile_make(const char *path, const struct audit_chain_key *key,
                       struct audit_keyfile **ret) _must_check_;
void audit_keyfile_free(struct audit_keyfile *f);
DEFINE_CLEANUP(struct audit_keyfile, audit_keyfile_free);

/* The latest key in it. AUDIT_KEYFILE_E_BROKEN when there is none any more. */
int audit_keyfile_read(const struct audit_keyfile *f, struct audit_chain_key *ret) _must_check_;
/* The key's epoch is above the one in the file. When it fails the one before still counts, and it can be
 * tried again, with a later key too. AUDIT_KEYFILE_E_MISSING when somebody has removed or replaced the file
 * since it was opened: then make one with this key. */
int audit_keyfile_begin_epoch(struct audit_keyfile *f, const struct audit_chain_key *key) _must_check_;
/* Overwrites every key but the latest. Writes nothing when there is no other. */
int audit_keyfile_end_epochs(struct audit_keyfile *f) _must_check_;

/* The head is sealed with this key, that of the present epoch. */
int audit_keyfile_set_head(struct audit_keyfile *f, const struct audit_chain_key *key,
                           const struct audit_head *head) _must_check_;
/* The later of those whose seal fits the key, or a key that it evolves to (the file was not writable for
 * some epochs; at most LIMIT_AUDIT_HEAD_EPOCHS). Sequence 0 when there is none (then nothing is known). */
int audit_keyfile_head(const struct audit_keyfile *f, const struct audit_chain_key *key,
                       struct audit_head *ret) _must_check_;
