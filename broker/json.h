/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A JSON object from the network, read strictly. What is not exactly one object of RFC 8259 in valid UTF-8,
 * nests deeper than JSON_DEPTH_MAX, names a member twice in one object, or holds a number that no int64_t or
 * double can, is malformed as a whole. Only members of the root are read; whatever else is in it is ignored.
 * What was copied out of the text is wiped before it is freed, on every path. For one thread. */

#include "util/cleanup.h"

#include <stdint.h>

#define JSON_DEPTH_MAX 2048 /* jansson's JSON_PARSER_MAX_DEPTH */

struct json;

enum {
    JSON_E_MALFORMED = 1, /* json_parse() */
    JSON_E_ABSENT = 2,    /* no such member, or null */
    JSON_E_TYPE = 3,      /* the member is of another type, or its value is not allowed */
};

/* 0, JSON_E_MALFORMED or -ENOMEM. The text is the caller's to wipe, at once if it likes. */
int json_parse(const char *text, size_t n, struct json **ret) _must_check_;
void json_free(struct json *j);
DEFINE_CLEANUP(struct json, json_free);

/* A text without NUL, of any length; it is valid UTF-8, NUL-terminated, and lives as long as `j`. */
int json_get_string(const struct json *j, const char *key, const char **ret, size_t *ret_n) _must_check_;

/* A whole number from 0 to INT64_MAX, written as a number or as a string of decimal digits. */
int json_get_uint(const struct json *j, const char *key, uint64_t *ret) _must_check_;
/* The same, written as a number only. */
int json_get_number(const struct json *j, const char *key, uint64_t *ret) _must_check_;

/* How many members the root has. */
size_t json_size(const struct json *j);
