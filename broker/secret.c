/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/secret.h"

#include "broker/reserve.h"

#include <sodium.h>
#include <string.h>

/* The bytes are an allocation of their own: sodium puts it so that its last byte borders on the guard page,
 * which leaves the start unaligned for anything but bytes. */
struct secret {
    size_t n;
    unsigned char *bytes;
};

/* A secret that is still writable. */
static struct secret *secret_alloc(size_t n)
{
    if (n == 0 || sodium_init() < 0) /* sodium_init() is needed once, and harmless later */
        return NULL;

    struct secret *s = reserve_malloc(sizeof(*s));
    if (!s)
        return NULL;
    *s = (struct secret){.n = n, .bytes = sodium_malloc(n)};
    while (!s->bytes && reserve_spend())
        s->bytes = sodium_malloc(n);
    if (!s->bytes) {
        free(s);
        return NULL;
    }
    return s;
}

static int secret_seal_off(struct secret *s, struct secret **ret)
{
    if (sodium_mprotect_readonly(s->bytes) < 0) {
        secret_free(s);
        return -ENOMEM;
    }
    *ret = s;
    return 0;
}

int secret_new(const void *bytes, size_t n, struct secret **ret)
{
    struct secret *s = secret_alloc(n);
    if (!s)
        return -ENOMEM;
    memcpy(s->bytes, bytes, n);
    return secret_seal_off(s, ret);
}

int secret_new_random(size_t n, struct secret **ret)
{
    struct secret *s = secret_alloc(n);
    if (!s)
        return -ENOMEM;
    randombytes_buf(s->bytes, n);
    return secret_seal_off(s, ret);
}

int secret_replace(struct secret *s, const void *bytes)
{
    if (sodium_mprotect_readwrite(s->bytes) < 0)
        return -ENOMEM;
    memcpy(s->bytes, bytes, s->n);
    (void)sodium_mprotect_readonly(s->bytes); /* the pages were read-only before: they can be again */
    return 0;
}

void secret_free(struct secret *s)
{
    if (!s)
        return;
    sodium_free(s->bytes); /* makes it writable and wipes it */
    free(s);
}

const void *secret_bytes(const struct secret *s)
{
    return s->bytes;
}

size_t secret_size(const struct secret *s)
{
    return s->n;
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
    return a->n == b->n && sodium_memcmp(a->bytes, b->bytes, a->n) == 0;
}

bool secret_is_text(const struct secret *s, const char *text)
{
    size_t n = strlen(text);
    return s->n == n && sodium_memcmp(s->bytes, text, n) == 0;
}

void secret_wipe(void *bytes, size_t n)
{
    sodium_memzero(bytes, n);
}

void secret_free_string(char *s)
{
    if (!s)
        return;
    sodium_memzero(s, strlen(s));
    free(s);
}
