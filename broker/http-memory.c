/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/http-memory.h"

#include "broker/reserve.h"
#include "broker/wipe.h"

#include <curl/curl.h>
#include <openssl/crypto.h>

static void *tls_malloc(size_t n, const char *file _unused_, int line _unused_)
{
    return reserve_malloc(n);
}

static void *tls_realloc(void *p, size_t n, const char *file _unused_, int line _unused_)
{
    return wiping_realloc(p, n);
}

static void tls_free(void *p, const char *file _unused_, int line _unused_)
{
    wiping_free(p);
}

/* Only before its first allocation; so it is asked whether it has them already. */
static int init_tls(void)
{
    CRYPTO_malloc_fn known;
    CRYPTO_get_mem_functions(&known, NULL, NULL);
    return known == tls_malloc || CRYPTO_set_mem_functions(tls_malloc, tls_realloc, tls_free) ? 0 : -ENOTSUP;
}

int http_memory_init(void)
{
    if (init_tls() < 0)
        return -ENOTSUP;
    CURLcode code = curl_global_init_mem(CURL_GLOBAL_DEFAULT, reserve_malloc, wiping_free, wiping_realloc,
                                         reserve_strdup, reserve_calloc);
    return code == CURLE_OK ? 0 : -ENOMEM;
}
