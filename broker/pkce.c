/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/pkce.h"

#include <sodium.h>

#define RANDOM_BYTES 32

static void encode(const unsigned char *bytes, char ret[static PKCE_TEXT_BYTES + 1])
{
    (void)sodium_bin2base64(ret, PKCE_TEXT_BYTES + 1, bytes, RANDOM_BYTES,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

int pkce_new_text(struct secret **ret)
{
    unsigned char bytes[RANDOM_BYTES];
    char text[PKCE_TEXT_BYTES + 1];
    randombytes_buf(bytes, sizeof(bytes));
    encode(bytes, text);
    int r = secret_new(text, PKCE_TEXT_BYTES, ret);
    secret_wipe(bytes, sizeof(bytes));
    secret_wipe(text, sizeof(text));
    return r;
}

_Static_assert(crypto_hash_sha256_BYTES == RANDOM_BYTES, "a challenge is as long as a verifier of ours");

void pkce_challenge(const struct secret *verifier, char ret[static PKCE_TEXT_BYTES + 1])
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256(hash, secret_bytes(verifier), secret_size(verifier));
    encode(hash, ret);
}
