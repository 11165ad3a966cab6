/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Two things json-c does not do by itself are done here.
 *
 * Doubled members: json-c keeps the last one silently, so that two readers of one reply could see two
 * replies. The members of the root are counted in the text and compared with what json-c kept.
 *
 * Wiping: json-c frees without wiping, in four places: the values of the finished tree, the values of a tree
 * that a syntax error cut short, the member's name being read, and the tokener's scratch buffer. The first
 * three are walked before they are freed. The scratch is grown once, before the first byte, to what the whole
 * text could need, so that it never moves and leaves a copy behind. For the last three the tokener's fields
 * must be read: they are published in json-c's header, though json-c asks users to keep out; there is no
 * other way to reach the memory. */

#include "broker/json.h"

#include "broker/secret.h"

#include <json-c/json.h>
#include <json-c/printbuf.h>
#include <limits.h>
#include <string.h>

struct json {
    struct json_object *root;
};

static void wipe_tree(struct json_object *o)
{
    if (json_object_is_type(o, json_type_string)) {
        secret_wipe((char *)(uintptr_t)json_object_get_string(o), (size_t)json_object_get_string_len(o));
    } else if (json_object_is_type(o, json_type_object)) {
        struct json_object_iterator end = json_object_iter_end(o);
        for (struct json_object_iterator i = json_object_iter_begin(o); !json_object_iter_equal(&i, &end);
             json_object_iter_next(&i)) {
            char *key = (char *)(uintptr_t)json_object_iter_peek_name(&i);
            wipe_tree(json_object_iter_peek_value(&i));
            secret_wipe(key, strlen(key));
        }
    } else if (json_object_is_type(o, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(o); i++)
            wipe_tree(json_object_array_get_idx(o, i));
    }
}

static void tokener_freep(struct json_tokener **p)
{
    struct json_tokener *t = *p;
    if (!t)
        return;
    for (int i = 0; i <= t->depth; i++) {
        wipe_tree(t->stack[i].current);
        if (t->stack[i].obj_field_name)
            secret_wipe(t->stack[i].obj_field_name, strlen(t->stack[i].obj_field_name));
    }
    secret_wipe(t->pb->buf, (size_t)t->pb->size);
    json_tokener_free(t);
}

/* The number of members of the root object, taken from the text: the colons outside strings at depth 1.
 * Right for every text that json-c accepts, harmless for the others. */
static size_t count_members(const char *text, size_t n)
{
    size_t members = 0, depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (in_string)
            continue;
        else if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && depth > 0)
            depth--;
        else if (c == ':' && depth == 1)
            members++;
    }
    return members;
}

/* RFC 8259 allows no raw control characters in strings, and json-c lets them pass: a NUL above all. */
static bool has_control(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < 0x20 && text[i] != '\t' && text[i] != '\n' && text[i] != '\r')
            return true;
    return false;
}

static bool only_space_follows(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strchr(" \t\r\n", text[i]))
            return false;
    return true;
}

int json_parse(const char *text, size_t n, struct json **ret)
{
    if (n == 0 || n >= INT_MAX / 2 || has_control(text, n))
        return JSON_E_MALFORMED;

    _cleanup_(tokener_freep) struct json_tokener *t = json_tokener_new_ex(JSON_DEPTH_MAX);
    if (!t || printbuf_memset(t->pb, 0, 0, (int)n + 1) < 0)
        return -ENOMEM;
    printbuf_reset(t->pb);
    json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS |
                                  JSON_TOKENER_VALIDATE_UTF8);

    _cleanup_(json_freep) struct json *j = calloc(1, sizeof(*j));
    if (!j)
        return -ENOMEM;
    j->root = json_tokener_parse_ex(t, text, (int)n);
    size_t end = json_tokener_get_parse_end(t);
    if (!json_object_is_type(j->root, json_type_object) || !only_space_follows(text + end, n - end))
        return JSON_E_MALFORMED;
    if (count_members(text, n) != (size_t)json_object_object_length(j->root))
        return JSON_E_MALFORMED;
    *ret = TAKE_PTR(j);
    return 0;
}

void json_free(struct json *j)
{
    if (!j)
        return;
    wipe_tree(j->root);
    (void)json_object_put(j->root);
    free(j);
}

int json_get_string(const struct json *j, const char *key, const char **ret, size_t *ret_n)
{
    struct json_object *member = NULL;
    if (!json_object_object_get_ex(j->root, key, &member) || !member)
        return JSON_E_ABSENT;
    if (!json_object_is_type(member, json_type_string))
        return JSON_E_TYPE;

    const char *text = json_object_get_string(member);
    size_t n = (size_t)json_object_get_string_len(member);
    if (strlen(text) != n)
        return JSON_E_TYPE; /* a NUL, written as an escape */
    *ret = text;
    *ret_n = n;
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

int json_get_uint(const struct json *j, const char *key, uint64_t *ret)
{
    struct json_object *member = NULL;
    if (!json_object_object_get_ex(j->root, key, &member) || !member)
        return JSON_E_ABSENT;
    if (json_object_is_type(member, json_type_int)) {
        int64_t value = json_object_get_int64(member); /* saturates at INT64_MAX */
        if (value < 0)
            return JSON_E_TYPE;
        *ret = (uint64_t)value;
        return 0;
    }

    const char *text;
    size_t n;
    int r = json_get_string(j, key, &text, &n);
    return r == 0 ? parse_digits(text, ret) : r;
}
