/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Starts libcurl with an allocator that wipes whatever it frees or moves: request bodies, header lists and
 * receive buffers hold tokens, and curl frees them as they are. What TLS and HTTP/2 libraries allocate by
 * themselves is out of its reach. Pair it with curl_global_cleanup(); calls nest. 0 or -ENOMEM. */

#include "util/cleanup.h"

int http_memory_init(void) _must_check_;
