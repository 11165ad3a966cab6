/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where the master key comes from, first that is configured: a systemd credential, else the key file. A
 * credential that is configured and missing does not fall back to the file. */

#include "broker/secret.h"

#define KEYS_MASTER_BYTES 32
#define KEYS_ID_BYTES 16

struct key_source {
    /* $CREDENTIALS_DIRECTORY/NAME; "" when none was handed over; NULL: no credential. */
    const char *credential_path;
    const char *file; /* NULL: no key file */
    /* Where it was before: what that key sealed is sealed with the configured one. NULL: nowhere. */
    const char *previous_credential_path;
    const char *previous_file;
};

enum {
    KEYS_E_MISSING = 1, /* no source has a key, and none may be made */
    /* Not exactly 32 bytes, or a file that others may read, or that we may not; or its folder is another
     * user's, or others may write to it. */
    KEYS_E_MALFORMED = 2,
};

/* Reads the master key. Only with `may_create`, and only for the file, a missing key is made: 0400, written
 * to a temporary file, fsynced with its folder, renamed without replacing. Nothing existing is ever
 * overwritten. */
int keys_load(const struct key_source *source, bool may_create, struct secret **ret) _must_check_;

/* A new key comes in through a file of its own beside the key file, FILE.new. In this order, so that at every
 * instant there is a durable file of the key that the database is sealed with:
 *
 *   1. keys_stage(): FILE.new is durable, and nothing is sealed with it;
 *   2. the database is sealed anew, in one transaction;
 *   3. keys_put_in_place(): FILE.new becomes FILE, and what FILE held is overwritten, as far as
 *      the disk lets.
 *
 * A crash before the end of 2 leaves FILE.new without a use (keys_discard_staged()); one after it leaves 3 to
 * be done. Which it was the key's id in the database tells. Who stages or discards holds the database's write
 * lock, so that no other does. */

/* A new key, or the one that an earlier try left. `current` is that of the database: one that is still to be
 * put in place is put there first. KEYS_E_MALFORMED when FILE.new is there and is no key. */
int keys_stage(const char *file, const struct secret *current, struct secret **ret) _must_check_;
/* As keys_load(). */
int keys_load_staged(const char *file, struct secret **ret) _must_check_;
bool keys_is_staged(const char *file);
/* `key` is what FILE.new holds, and is written anew if that is gone. */
int keys_put_in_place(const char *file, const struct secret *key) _must_check_;
int keys_discard_staged(const char *file) _must_check_;

/* Names a key without revealing it. */
void keys_id(const struct secret *key, unsigned char ret_id[KEYS_ID_BYTES]);
