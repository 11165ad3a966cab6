/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A secret: bytes that know their length, in guarded, locked, wiped-on-free memory (sodium_malloc), read-only
 * once made. The only module that calls sodium's memory functions. */

#include "util/cleanup.h"

struct secret;

/* Copies the n bytes (n >= 1); the caller wipes its own. 0 or -ENOMEM. */
int secret_new(const void *bytes, size_t n, struct secret **ret) _must_check_;
/* n random bytes. */
int secret_new_random(size_t n, struct secret **ret) _must_check_;
/* Puts as many other bytes in the place of those it has. 0, or -ENOMEM (then it is as it was). */
int secret_replace(struct secret *s, const void *bytes) _must_check_;
void secret_free(struct secret *s);
DEFINE_CLEANUP(struct secret, secret_free);

const void *secret_bytes(const struct secret *s);
size_t secret_size(const struct secret *s);
/* Constant time in the bytes. */
bool secret_equal(const struct secret *a, const struct secret *b);

/* The same with a text, without its NUL. */
bool secret_is_text(const struct secret *s, const char *text);

void secret_wipe(void *bytes, size_t n);
/* Frees a malloc'ed NUL-terminated string that held a secret; NULL is fine. */
void secret_free_string(char *s);
static inline void secret_free_stringp(char **s)
{
    secret_free_string(*s);
}
