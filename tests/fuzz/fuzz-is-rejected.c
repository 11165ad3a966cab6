/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What an API answered with a 401 (client/library/rejected.c). */

#include "client/library/lwa-client.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    _cleanup_free_ char *exact = malloc(n > 0 ? n : 1);
    require(exact);
    if (n > 0)
        memcpy(exact, data, n);
    int is_rejected = lwa_is_rejected(401, exact, n);
    require(is_rejected == 0 || is_rejected == 1);
    require(lwa_is_rejected(403, exact, n) == 0);
    /* The word has to be there, as has the path to it. */
    if (is_rejected) {
        require(memmem(exact, n, "\"error\"", strlen("\"error\"")));
        require(memmem(exact, n, "\"code\"", strlen("\"code\"")));
        require(memmem(exact, n, "\"INVALID_ACCESS_TOKEN\"", strlen("\"INVALID_ACCESS_TOKEN\"")) ||
                memmem(exact, n, "\"UNAUTHORIZED\"", strlen("\"UNAUTHORIZED\"")));
    }
    return 0;
}
