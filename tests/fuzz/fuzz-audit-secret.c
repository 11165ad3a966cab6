/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The verification secret as a person types it (broker/audit-secret.h): what is taken is written as it was.
 */

#include "broker/audit-secret.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct audit_chain_key key = {.key = NULL};
    _cleanup_free_ char *exact = malloc(n > 0 ? n : 1);
    require(exact);
    if (n > 0)
        memcpy(exact, data, n);
    int r = audit_secret_parse(exact, n, &key);
    require(r == 0 || r == AUDIT_SECRET_E_MALFORMED);
    require((r == 0) == (key.key != NULL));
    if (r == 0) {
        char text[AUDIT_SECRET_TEXT_SIZE];
        audit_secret_format(&key, text);
        require(strlen(text) == n && memcmp(text, exact, n) == 0);
        require(key.epoch == key.first_epoch && key.epoch >= 1);
    }
    audit_chain_key_clear(&key);
    return 0;
}
