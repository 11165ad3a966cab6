/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Sealed blobs of a database that somebody wrote to. The input is how a good blob is changed: it opens for
 * its own context, unchanged, and in no other case (I2). */

#include "broker/seal.h"
#include "tests/fuzz/fuzz.h"

#include <sodium.h>

static const struct seal_context context = {
    .schema = 1,
    .table = "grant.token",
    .row = 7,
    .owner = "user:1000:alice",
    .generation = 3,
    .endpoint = "https://api.amazon.com/auth/o2/token",
    .client_id = "amzn1.application-oa2-client.1",
};

static struct {
    struct secret *key, *token;
    unsigned char *blob;
    size_t n;
} good;

static void prepare(void)
{
    if (good.blob)
        return;
    static const char token[] = "Atzr|a refresh token";
    unsigned char bytes[SEAL_KEY_BYTES] = {1, 2, 3};
    require(sodium_init() >= 0);
    require(secret_new(bytes, sizeof(bytes), &good.key) == 0);
    require(secret_new(token, strlen(token), &good.token) == 0);
    require(seal(good.key, &context, good.token, &good.blob, &good.n) == 0);
}

/* Any bytes at all. */
static void try_bytes(struct input *in)
{
    struct secret *opened = NULL;
    size_t n = in->n;
    _cleanup_free_ char *bytes = input_text(in, n);
    /* libFuzzer sees what memcmp() compares, and is not above handing the blob itself in. */
    bool is_same = n == good.n && memcmp(bytes, good.blob, n) == 0;
    int r = unseal(good.key, &context, (const unsigned char *)bytes, n, &opened);
    require(r == (is_same ? 0 : SEAL_E_BROKEN));
    secret_free(opened);
}

/* The good blob with some bytes changed, and cut. */
static void try_change(struct input *in)
{
    _cleanup_free_ unsigned char *blob = malloc(good.n);
    require(blob);
    memcpy(blob, good.blob, good.n);
    size_t n = good.n - input_byte(in) % good.n;
    while (in->n >= 2) {
        size_t at = input_byte(in) % good.n;
        blob[at] ^= input_byte(in);
    }
    struct secret *opened = NULL;
    bool is_same = n == good.n && memcmp(blob, good.blob, n) == 0;
    int r = unseal(good.key, &context, blob, n, &opened);
    require(r == (is_same ? 0 : SEAL_E_BROKEN));
    require(!is_same || secret_equal(opened, good.token));
    secret_free(opened);
}

/* The good blob, for another purpose: the texts are lines of the input. */
static void try_context(struct input *in)
{
    _cleanup_free_ char *table = input_line(in), *owner = input_line(in);
    _cleanup_free_ char *endpoint = input_line(in), *client_id = input_line(in);
    struct seal_context other = context;
    other.table = table;
    other.owner = owner;
    other.endpoint = endpoint;
    other.client_id = client_id;
    other.row += (int8_t)input_byte(in);
    other.generation += input_byte(in);
    other.schema += input_byte(in);
    bool is_same = strcmp(table, context.table) == 0 && strcmp(owner, context.owner) == 0 &&
                   strcmp(endpoint, context.endpoint) == 0 && strcmp(client_id, context.client_id) == 0 &&
                   other.row == context.row && other.generation == context.generation &&
                   other.schema == context.schema;
    struct secret *opened = NULL;
    int r = unseal(good.key, &other, good.blob, good.n, &opened);
    require(r == (is_same ? 0 : SEAL_E_BROKEN));
    secret_free(opened);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct input in = {data, n};
    prepare();
    switch (input_byte(&in) % 3) {
    case 0:
        try_bytes(&in);
        break;
    case 1:
        try_change(&in);
        break;
    default:
        try_context(&in);
        break;
    }
    return 0;
}
