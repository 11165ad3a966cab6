/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The verification secret as text, as a person keeps it:
 *
 *   lwa-audit:EPOCH:KEY:ID    the first epoch in decimal digits, C of it in 64 hexadecimal ones, and the
 * key's id in 16: it tells a typing error, and which secret a trail was made with
 */

#include "broker/audit-chain.h"

#define AUDIT_SECRET_TEXT_SIZE 128 /* with its NUL, and some room */

enum {
    AUDIT_SECRET_E_MALFORMED = 1, /* not exactly this, or the id is not the key's */
};

/* The key is a first one. The caller wipes the text. */
void audit_secret_format(const struct audit_chain_key *key, char ret[AUDIT_SECRET_TEXT_SIZE]);
/* Nothing may stand before or after it. 0, AUDIT_SECRET_E_MALFORMED or -ENOMEM. */
int audit_secret_parse(const char *text, size_t n, struct audit_chain_key *ret) _must_check_;
