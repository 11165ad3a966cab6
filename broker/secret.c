/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/secret.h"

#include <sodium.h>
#include <string.h>

struct secret {
    size_t n;
    unsigned char bytes[];
};

static int secret_allocate(size_t n, struct secret **ret)
{
    if (sodium_init() < 0)
        return -ENOMEM;
    /* It puts the end of what it gives at the end of a page: aligned only for a round size. */
    size_t size = (sizeof(struct secret) + n + 15) / 16 * 16;
    struct secret *s = sodium_malloc(size);
    if (!s)
        return -ENOMEM;
    s->n = n;
    *ret = s;
    return 0;
}

int secret_new(const void *bytes, size_t n, struct secret **ret)
{
    struct secret *s = NULL;
    int r = secret_allocate(n, &s);
    if (r < 0)
        return r;
    memcpy(s->bytes, bytes, n);
    (void)sodium_mprotect_readonly(s);
    *ret = s;
    return 0;
}

int secret_new_random(size_t n, struct secret **ret)
{
    struct secret *s = NULL;
    int r = secret_allocate(n, &s);
    if (r < 0)
        return r;
    randombytes_buf(s->bytes, n);
    (void)sodium_mprotect_readonly(s);
    *ret = s;
    return 0;
}

void secret_free(struct secret *s)
{
    sodium_free(s);
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

void secret_wipe(void *bytes, size_t n)
{
    sodium_memzero(bytes, n);
}

void secret_free_string(char *s)
{
    if (s)
        secret_wipe(s, strlen(s));
    free(s);
}
