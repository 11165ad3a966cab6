/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/http-memory.h"

#include "broker/wipe.h"

#include <curl/curl.h>
#include <string.h>

int http_memory_init(void)
{
    CURLcode code =
        curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wiping_free, wiping_realloc, strdup, calloc);
    return code == CURLE_OK ? 0 : -ENOMEM;
}
