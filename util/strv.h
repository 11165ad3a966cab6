/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A growing vector of owned strings. */

#include "util/cleanup.h"

struct strv {
    char **items; /* n items, then a NULL; NULL as a whole while empty */
    size_t n;
};

#define STRV_EMPTY ((struct strv){NULL, 0})

void strv_clear(struct strv *v);
/* Appends a copy. 0 or -ENOMEM. */
int strv_add(struct strv *v, const char *s) _must_check_;
int strv_add_n(struct strv *v, const char *s, size_t n) _must_check_;
/* Splits at any of the characters in `separators`, dropping empty pieces, and appends the pieces. */
int strv_split(struct strv *v, const char *text, const char *separators) _must_check_;
/* Returns a new string with the items joined, "" for none; NULL when memory is out. */
char *strv_join(const struct strv *v, const char *separator);
bool strv_contains(const struct strv *v, const char *s);

#define _cleanup_strv_ _cleanup_(strv_clear)
