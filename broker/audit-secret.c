/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/audit-secret.h"

#include "broker/audit-text.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#define PREFIX "lwa-audit:"
#define KEY_DIGITS (2 * AUDIT_CHAIN_KEY_BYTES)

void audit_secret_format(const struct audit_chain_key *key, char ret[AUDIT_SECRET_TEXT_SIZE])
{
    char digits[KEY_DIGITS + 1], id[AUDIT_KEY_ID_TEXT_SIZE];
    audit_key_id_format(key, id);
    (void)sodium_bin2hex(digits, sizeof(digits), secret_bytes(key->key), AUDIT_CHAIN_KEY_BYTES);
    (void)snprintf(ret, AUDIT_SECRET_TEXT_SIZE, PREFIX "%" PRIu64 ":%s:%s", key->epoch, digits, id);
    secret_wipe(digits, sizeof(digits));
}

/* What is left of the text. */
struct rest {
    const char *at;
    size_t n;
};

static bool skip(struct rest *rest, const char *word)
{
    size_t n = strlen(word);
    if (rest->n < n || memcmp(rest->at, word, n) != 0)
        return false;
    rest->at += n;
    rest->n -= n;
    return true;
}

/* As it would be written: no sign, no zeros before it. */
static bool read_epoch(struct rest *rest, uint64_t *ret)
{
    uint64_t value = 0;
    for (; rest->n > 0 && *rest->at >= '0' && *rest->at <= '9'; rest->at++, rest->n--) {
        if (value > (INT64_MAX - 9) / 10)
            return false;
        value = 10 * value + (uint64_t)(*rest->at - '0');
        if (value == 0)
            return false;
    }
    *ret = value;
    return value > 0;
}

static bool read_bytes(struct rest *rest, unsigned char *ret, size_t n)
{
    if (rest->n < 2 * n || !audit_text_to_bytes(rest->at, 2 * n, ret, n))
        return false;
    rest->at += 2 * n;
    rest->n -= 2 * n;
    return true;
}

static int make_key(uint64_t epoch, const unsigned char *bytes, const unsigned char *id,
                    struct audit_chain_key *ret)
{
    struct audit_chain_key key = {.epoch = epoch, .first_epoch = epoch};
    unsigned char own[AUDIT_CHAIN_KEY_ID_BYTES];
    int r = secret_new(bytes, AUDIT_CHAIN_KEY_BYTES, &key.key);
    if (r < 0)
        return r;
    audit_chain_key_id(&key, own);
    if (memcmp(own, id, sizeof(own)) != 0) {
        audit_chain_key_clear(&key);
        return AUDIT_SECRET_E_MALFORMED;
    }
    *ret = key;
    return 0;
}

int audit_secret_parse(const char *text, size_t n, struct audit_chain_key *ret)
{
    struct rest rest = {text, n};
    unsigned char bytes[AUDIT_CHAIN_KEY_BYTES], id[AUDIT_CHAIN_KEY_ID_BYTES];
    uint64_t epoch;
    int r = AUDIT_SECRET_E_MALFORMED;
    if (skip(&rest, PREFIX) && read_epoch(&rest, &epoch) && skip(&rest, ":") &&
        read_bytes(&rest, bytes, sizeof(bytes)) && skip(&rest, ":") && read_bytes(&rest, id, sizeof(id)) &&
        rest.n == 0)
        r = make_key(epoch, bytes, id, ret);
    secret_wipe(bytes, sizeof(bytes));
    return r;
}
