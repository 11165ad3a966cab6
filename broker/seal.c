/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/seal.h"

#include <sodium.h>
#include <string.h>

/* The associated data is a version tag, then every field of the context in the order of its struct: a number
 * as eight bytes, a text as its length in eight bytes and then its bytes. Two contexts that differ anywhere
 * thus never encode alike ("ab" + "c" is not "a" + "bc"). Nothing of it is stored: whoever opens a blob has
 * to know what it is for. */

#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES crypto_aead_xchacha20poly1305_ietf_ABYTES

_Static_assert(SEAL_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "key size");
_Static_assert(SEAL_OVERHEAD_BYTES == NONCE_BYTES + TAG_BYTES, "blob layout");

static const char VERSION[] = "lwa-broker seal 1";

static unsigned char *put_bytes(unsigned char *p, const void *bytes, size_t n)
{
    memcpy(p, bytes, n);
    return p + n;
}

static unsigned char *put_number(unsigned char *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        *p++ = (unsigned char)(v >> (8 * i));
    return p;
}

static unsigned char *put_text(unsigned char *p, const char *s)
{
    size_t n = strlen(s);
    return put_bytes(put_number(p, n), s, n);
}

static int encode(const struct seal_context *c, unsigned char **ret, size_t *ret_n)
{
    size_t texts = strlen(c->table) + strlen(c->owner) + strlen(c->endpoint) + strlen(c->client_id);
    size_t n = sizeof(VERSION) + 7 * sizeof(uint64_t) + texts; /* three numbers and four lengths */
    unsigned char *aad = malloc(n);
    if (!aad)
        return -ENOMEM;

    unsigned char *p = put_bytes(aad, VERSION, sizeof(VERSION));
    p = put_number(p, c->schema);
    p = put_text(p, c->table);
    p = put_number(p, (uint64_t)c->row);
    p = put_text(p, c->owner);
    p = put_number(p, c->generation);
    p = put_text(p, c->endpoint);
    p = put_text(p, c->client_id);

    *ret = aad;
    *ret_n = (size_t)(p - aad);
    return 0;
}

int seal(const struct secret *key, const struct seal_context *context, const struct secret *secret,
         unsigned char **ret_blob, size_t *ret_n)
{
    if (secret_size(key) != SEAL_KEY_BYTES)
        return -EINVAL;

    _cleanup_free_ unsigned char *aad = NULL;
    size_t n_aad;
    int r = encode(context, &aad, &n_aad);
    if (r < 0)
        return r;

    size_t n = secret_size(secret) + SEAL_OVERHEAD_BYTES;
    unsigned char *blob = malloc(n);
    if (!blob)
        return -ENOMEM;
    randombytes_buf(blob, NONCE_BYTES); /* 24 random bytes do not meet again in the life of a key */
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(blob + NONCE_BYTES, NULL, secret_bytes(secret),
                                                     secret_size(secret), aad, n_aad, NULL, blob,
                                                     secret_bytes(key));
    *ret_blob = blob;
    *ret_n = n;
    return 0;
}

int unseal(const struct secret *key, const struct seal_context *context, const unsigned char *blob, size_t n,
           struct secret **ret)
{
    if (secret_size(key) != SEAL_KEY_BYTES)
        return -EINVAL;
    if (n <= SEAL_OVERHEAD_BYTES) /* a secret has at least one byte */
        return SEAL_E_BROKEN;

    _cleanup_free_ unsigned char *aad = NULL;
    size_t n_aad;
    int r = encode(context, &aad, &n_aad);
    if (r < 0)
        return r;

    size_t n_plain = n - SEAL_OVERHEAD_BYTES;
    unsigned char *plain = malloc(n_plain);
    if (!plain)
        return -ENOMEM;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, blob + NONCE_BYTES, n - NONCE_BYTES,
                                                   aad, n_aad, blob, secret_bytes(key)) < 0)
        r = SEAL_E_BROKEN;
    else
        r = secret_new(plain, n_plain, ret);
    secret_wipe(plain, n_plain);
    free(plain);
    return r;
}
