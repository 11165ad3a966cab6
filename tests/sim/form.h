/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* application/x-www-form-urlencoded text, as it stands in bodies and queries. Strict: a broken escape, a
 * NUL, invalid UTF-8 or more than FORM_FIELDS_MAX fields make the whole form malformed, so that handlers
 * and pages only ever meet clean strings. */

#include "util/cleanup.h"

#define FORM_FIELDS_MAX 128

struct form_field {
    char *name;
    char *value;
};

struct form {
    struct form_field *fields;
    size_t n;
};

/* 0, or -EINVAL when the text is malformed. *ret is to be cleared in both cases. */
int form_parse(const char *text, size_t n, struct form *ret) _must_check_;
void form_clear(struct form *form);
#define _cleanup_form_ _cleanup_(form_clear)

/* The first value of that name, or NULL. */
const char *form_get(const struct form *form, const char *name);
bool form_has_repeated_names(const struct form *form);

/* Decodes %XX (and + as a space, if asked) into a new string; NULL when the text is malformed. */
char *form_decode(const char *text, size_t n, bool plus_is_space);
