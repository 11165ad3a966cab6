/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The file of the chain key, outside the database: who replaces the database has not replaced this.
 *
 * One page, of fixed places, so that a write never changes its length or needs room: two slots for keys, two
 * for heads. A slot has a checksum, so that one that was torn is known; the other one is then good.
 *
 * A key moves on in this order, so that at every instant there is a durable key from which that of the last
 * record can be computed, and none of an epoch that is over for longer than it takes:
 *
 *   1. the record that ends epoch e is durable;
 *   2. audit_keyfile_begin_epoch(): C(e+1) is in the slot that C(e) is not in, and synced;
 *   3. audit_keyfile_end_epochs(): the slot of C(e) is overwritten, and synced.
 *
 * A crash between 1 and 2 leaves C(e), which is moved on at the start; one between 2 and 3 leaves both, of
 * which the later one counts, and 3 is done at the start.
 *
 * The head is written after each commit and not synced: it survives the end of the process, not that of the
 * machine. One that is older than the trail means nothing. */

#include "broker/audit-chain.h"

struct audit_keyfile;

enum {
    AUDIT_KEYFILE_E_MISSING = 1,
    AUDIT_KEYFILE_E_BROKEN = 2, /* no slot is good; or it is not a regular file of ours alone, 0600 */
};

int audit_keyfile_open(const char *path, struct audit_keyfile **ret) _must_check_;
/* A new file with this key: written under another name, synced with its folder, renamed. A file that is there
 * is kept as PATH.broken. */
int audit_keyfile_make(const char *path, const struct audit_chain_key *first,
                       struct audit_keyfile **ret) _must_check_;
void audit_keyfile_free(struct audit_keyfile *f);
DEFINE_CLEANUP(struct audit_keyfile, audit_keyfile_free);

/* The latest key in it. */
int audit_keyfile_read(const struct audit_keyfile *f, struct audit_chain_key *ret) _must_check_;
int audit_keyfile_begin_epoch(struct audit_keyfile *f, const struct audit_chain_key *key) _must_check_;
int audit_keyfile_end_epochs(struct audit_keyfile *f) _must_check_;

/* The head is sealed with the key of the present epoch. */
int audit_keyfile_set_head(struct audit_keyfile *f, const struct audit_chain_key *key,
                           const struct audit_head *head) _must_check_;
/* The later of those whose seal fits the key; sequence 0 when there is none (then nothing is known). */
int audit_keyfile_head(const struct audit_keyfile *f, const struct audit_chain_key *key,
                       struct audit_head *ret) _must_check_;
