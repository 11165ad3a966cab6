/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Unguessable texts: tokens, codes, request ids. All return new strings. */

#include "util/cleanup.h"

/* `prefix` followed by n characters of the base64url alphabet. */
char *random_token(const char *prefix, size_t n);
/* n characters out of those of a user code: upper-case letters and digits that are not mistaken for others.
 */
char *random_user_code(size_t n);
/* A random UUID (version 4), 36 characters. */
char *random_uuid(void);
