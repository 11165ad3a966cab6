/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* jansson reads as strictly as is wanted here, but for a NUL between two values, which it passes over. Two
 * things are added:
 *
 * Wiping: its allocator is ours, and no error text is asked for, since that quotes what it read.
 *
 * Memory: where a string grows jansson does not look whether that worked, and a token would lose bytes
 * silently: of the answer to a refresh, the login. So the allocator remembers that it had nothing to give,
 * and then the whole text counts as not read. (json-c, which was here before, crashes in that case.) */

#include "broker/json.h"

#include "broker/reserve.h"
#include "broker/wipe.h"

#include <jansson.h>
#include <string.h>

struct json {
    json_t *root;
};

static bool is_out_of_memory;

static void *allocate(size_t n)
{
    void *p = reserve_malloc(n);
    is_out_of_memory |= !p;
    return p;
}

int json_parse(const char *text, size_t n, struct json **ret)
{
    if (memchr(text, 0, n))
        return JSON_E_MALFORMED;
    _cleanup_(json_freep) struct json *j = reserve_calloc(1, sizeof(*j));
    if (!j)
        return -ENOMEM;
    json_set_alloc_funcs(allocate, wiping_free);
    is_out_of_memory = false;
    j->root = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    if (is_out_of_memory)
        return -ENOMEM;
    if (!json_is_object(j->root))
        return JSON_E_MALFORMED;
    *ret = TAKE_PTR(j);
    return 0;
}

void json_free(struct json *j)
{
    if (j)
        json_decref(j->root);
    free(j);
}

static const json_t *find(const struct json *j, const char *key)
{
    const json_t *member = json_object_get(j->root, key);
    return json_is_null(member) ? NULL : member;
}

int json_get_string(const struct json *j, const char *key, const char **ret, size_t *ret_n)
{
    const json_t *member = find(j, key);
    if (!member)
        return JSON_E_ABSENT;
    const char *text = json_string_value(member);
    if (!text || strlen(text) != json_string_length(member))
        return JSON_E_TYPE; /* a NUL can be written as an escape */
    *ret = text;
    *ret_n = strlen(text);
    return 0;
}

static int parse_digits(const char *text, uint64_t *ret)
{
    uint64_t value = 0;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9' || value > (INT64_MAX - 9) / 10)
            return JSON_E_TYPE;
        value = value * 10 + (uint64_t)(*p - '0');
    }
    if (!*text)
        return JSON_E_TYPE;
    *ret = value;
    return 0;
}

int json_get_number(const struct json *j, const char *key, uint64_t *ret)
{
    const json_t *member = find(j, key);
    if (!member)
        return JSON_E_ABSENT;
    json_int_t value = json_integer_value(member); /* 0 for another type */
    if (!json_is_integer(member) || value < 0)
        return JSON_E_TYPE;
    *ret = (uint64_t)value;
    return 0;
}

int json_get_uint(const struct json *j, const char *key, uint64_t *ret)
{
    const char *text;
    size_t n;
    if (json_is_integer(find(j, key)))
        return json_get_number(j, key, ret);
    int r = json_get_string(j, key, &text, &n);
    return r == 0 ? parse_digits(text, ret) : r;
}

size_t json_size(const struct json *j)
{
    return json_object_size(j->root);
}
