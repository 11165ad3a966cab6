/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Envelope sealing, XChaCha20-Poly1305 (IETF construction of libsodium): a blob is a random 24-byte nonce,
 * then ciphertext and tag. What a blob is for is its associated data, so that a blob that was moved to
 * another row, table, owner or generation does not open (I2). */

#include "broker/secret.h"

#include <stdint.h>

#define SEAL_KEY_BYTES 32
#define SEAL_OVERHEAD_BYTES 40

struct seal_context {
    uint32_t schema;
    const char *table;
    int64_t row;
    const char *owner; /* "device" or "user:UID:NAME" */
    uint64_t generation;
    const char *endpoint;  /* "" where there is none */
    const char *client_id; /* "" where there is none */
};

enum { SEAL_E_BROKEN = 1 }; /* not sealed with this key for this context, or altered */

/* A new malloc'ed blob of secret_size() + SEAL_OVERHEAD_BYTES bytes. */
int seal(const struct secret *key, const struct seal_context *context, const struct secret *secret,
         unsigned char **ret_blob, size_t *ret_n) _must_check_;
int unseal(const struct secret *key, const struct seal_context *context, const unsigned char *blob, size_t n,
           struct secret **ret) _must_check_;
