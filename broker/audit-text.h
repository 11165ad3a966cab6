/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Bytes of the trail, and places in it, as text. There is one form of each, the one that is written here:
 * what is read has no other letters, no sign, no zeros before it. */

#include "broker/audit-chain.h"

/* 2n lower-case hexadecimal digits and nothing else, in `n_text` characters. */
bool audit_text_to_bytes(const char *text, size_t n_text, unsigned char *ret, size_t n) _must_check_;

#define AUDIT_KEY_ID_TEXT_SIZE (2 * AUDIT_CHAIN_KEY_ID_BYTES + 1)
void audit_key_id_format(const struct audit_chain_key *key, char ret[AUDIT_KEY_ID_TEXT_SIZE]);

/* SEQUENCE:HASH: a record, and what it has to be. "" for none. */
#define AUDIT_HEAD_TEXT_SIZE (19 + 1 + 2 * AUDIT_HASH_BYTES + 1)
void audit_head_format(const struct audit_head *head, char ret[AUDIT_HEAD_TEXT_SIZE]);
/* False, and *ret as it was, when it is none. */
bool audit_head_parse(const char *text, struct audit_head *ret) _must_check_;
