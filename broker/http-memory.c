/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/http-memory.h"

#include "broker/secret.h"

#include <curl/curl.h>
#include <malloc.h>
#include <string.h>

static void wiping_free(void *p)
{
    if (p)
        secret_wipe(p, malloc_usable_size(p));
    free(p);
}

/* realloc() may leave the old bytes behind where it moves; so the move is made by hand. */
static void *wiping_realloc(void *p, size_t n)
{
    if (!p)
        return malloc(n);
    size_t usable = malloc_usable_size(p);
    if (n > 0 && n <= usable)
        return p;

    void *moved = n > 0 ? malloc(n) : NULL;
    if (moved)
        memcpy(moved, p, usable);
    if (moved || n == 0)
        wiping_free(p);
    return moved;
}

int http_memory_init(void)
{
    CURLcode code =
        curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wiping_free, wiping_realloc, strdup, calloc);
    return code == CURLE_OK ? 0 : -ENOMEM;
}
