/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Starts libcurl with an allocator that wipes whatever it frees or moves: request bodies, header lists and
 * receive buffers hold tokens, and curl frees them as they are. OpenSSL gets the same one. It has the reserve
 * behind it (reserve.h). What the HTTP/2 library allocates by itself is out of its reach. Pair it with
 * curl_global_cleanup(); calls nest. 0, -ENOMEM, or -ENOTSUP when OpenSSL was in use already. */

#include "util/cleanup.h"

int http_memory_init(void) _must_check_;
