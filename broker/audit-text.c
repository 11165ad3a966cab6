/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/audit-text.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#define DIGITS_MAX 18 /* any number of so many fits */

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool audit_text_to_bytes(const char *text, size_t n_text, unsigned char *ret, size_t n)
{
    if (n_text != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

void audit_key_id_format(const struct audit_chain_key *key, char ret[AUDIT_KEY_ID_TEXT_SIZE])
{
    unsigned char id[AUDIT_CHAIN_KEY_ID_BYTES];
    audit_chain_key_id(key, id);
    (void)sodium_bin2hex(ret, AUDIT_KEY_ID_TEXT_SIZE, id, sizeof(id));
}

void audit_head_format(const struct audit_head *head, char ret[AUDIT_HEAD_TEXT_SIZE])
{
    char hex[2 * AUDIT_HASH_BYTES + 1];
    (void)sodium_bin2hex(hex, sizeof(hex), head->hash, sizeof(head->hash));
    ret[0] = '\0';
    if (head->sequence > 0)
        (void)snprintf(ret, AUDIT_HEAD_TEXT_SIZE, "%" PRId64 ":%s", head->sequence, hex);
}

bool audit_head_parse(const char *text, struct audit_head *ret)
{
    struct audit_head head = {.sequence = 0};
    size_t n_digits = strspn(text, "0123456789");
    if (n_digits < 1 || n_digits > DIGITS_MAX || text[0] == '0' || text[n_digits] != ':')
        return false;
    head.sequence = strtoll(text, NULL, 10);
    const char *hex = text + n_digits + 1;
    if (!audit_text_to_bytes(hex, strlen(hex), head.hash, sizeof(head.hash)))
        return false;
    *ret = head;
    return true;
}
