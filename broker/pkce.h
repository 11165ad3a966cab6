/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Proof key for code exchange (RFC 7636), method S256: a verifier that stays here, and the challenge that
 * goes to the authorization page instead. Pure code but for the random bytes. */

#include "broker/secret.h"

#define PKCE_TEXT_BYTES 43 /* 32 bytes in base64url without padding */

/* 32 random bytes as a text: a verifier, or the state of an authorization request. 0 or -ENOMEM. */
int pkce_new_text(struct secret **ret) _must_check_;
void pkce_challenge(const struct secret *verifier, char ret[static PKCE_TEXT_BYTES + 1]);
