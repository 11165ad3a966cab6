/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where the master key comes from, first that is configured: a systemd credential, else the key file. A
 * credential that is configured and missing does not fall back to the file. */

#include "broker/secret.h"

#define KEYS_MASTER_BYTES 32
#define KEYS_ID_BYTES 16

struct key_source {
    const char *credential_path; /* $CREDENTIALS_DIRECTORY/NAME, or NULL */
    const char *file;            /* NULL: no key file */
};

enum {
    KEYS_E_MISSING = 1,   /* no source has a key, and none may be made */
    KEYS_E_MALFORMED = 2, /* not exactly 32 bytes, or a file that others may read */
};

/* Reads the master key. Only with `may_create`, and only for the file, a missing key is made: 0400, written
 * to a temporary file, fsynced with its folder, renamed without replacing. Nothing existing is ever
 * overwritten. */
int keys_load(const struct key_source *source, bool may_create, struct secret **ret) _must_check_;

/* Names a key without revealing it. */
void keys_id(const struct secret *key, unsigned char ret_id[KEYS_ID_BYTES]);
