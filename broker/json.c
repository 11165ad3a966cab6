/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Three things json-c does not do by itself are done here.
 *
 * Syntax: it takes single quotes for double ones, NaN and Infinity for numbers, control characters in
 * strings, and surrogates in UTF-8. They are refused before json-c sees the text.
 *
 * Doubled members: it keeps the last one silently, so that two readers of one reply could see two replies,
 * and frees the first as it is. scan() refuses them, before json-c too. It compares the names as
 * they are written; so a name of the root that is written with an escape is refused too.
 *
 * Wiping: json-c frees without wiping, in three places: the values of the finished tree, the values of a tree
 * that a syntax error cut short, and the tokener's scratch buffer. Both trees are walked before they are
 * freed. The scratch is grown once, before the first byte, to what the whole text could need, so that it
 * never moves and leaves a copy behind. For the last two the tokener's fields must be read: they are
 * published in json-c's header, though json-c asks users to keep out; there is no other way to reach the
 * memory. Names of members are not wiped: none is a secret. */

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
            wipe_tree(json_object_iter_peek_value(&i));
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
    for (int i = 0; i <= t->depth; i++)
        wipe_tree(t->stack[i].current);
    secret_wipe(t->pb->buf, (size_t)t->pb->size);
    json_tokener_free(t);
}

/* The names of the root's members so far. */
struct members {
    size_t n;
    struct {
        const char *name;
        size_t n;
    } seen[JSON_MEMBERS_MAX];
};

static bool members_add(struct members *m, const char *name, size_t n)
{
    if (m->n == JSON_MEMBERS_MAX || memchr(name, '\\', n))
        return false;
    for (size_t i = 0; i < m->n; i++)
        if (m->seen[i].n == n && memcmp(m->seen[i].name, name, n) == 0)
            return false;
    m->seen[m->n].name = name;
    m->seen[m->n++].n = n;
    return true;
}

/* The length of the string that begins at `text`, behind its quote; n when it does not end. */
static size_t string_length(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\\')
            i++;
        else if (text[i] == '"')
            return i;
    }
    return n;
}

/* Refuses what json-c would let pass. Reads right every text that json-c accepts after it; of others it may
 * say anything. A string before a colon at depth 1 is a name of the root. */
static bool scan(const char *text, size_t n)
{
    struct members members = {0};
    const char *string = text;
    size_t length = 0, depth = 0;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (strchr("'NI", c))
            return false;
        if (c == '"') {
            string = text + i + 1;
            length = string_length(string, n - i - 1);
            i += length + 1;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        } else if (c == ':' && depth == 1 && !members_add(&members, string, length)) {
            return false;
        }
    }
    return true;
}

/* The length of the character at p, 0 if it is not one of UTF-8 (RFC 3629), or a control character that has
 * no place in JSON: a NUL above all. */
static size_t character_length(const unsigned char *p, size_t n)
{
    if (p[0] < 0x20)
        return p[0] == '\t' || p[0] == '\n' || p[0] == '\r';
    if (p[0] < 0x80)
        return 1;
    size_t length = p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
    if (length == 0 || length > n)
        return 0;
    /* Too long a form, a surrogate, or beyond U+10FFFF: seen in the second byte. */
    unsigned char lowest = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char highest = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < lowest || p[1] > highest)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
    return length;
}

static bool is_text(const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t length = character_length((const unsigned char *)text + i, n - i);
        if (length == 0)
            return false;
        i += length;
    }
    return true;
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
    if (n == 0 || n >= INT_MAX / 2 || !is_text(text, n) || !scan(text, n))
        return JSON_E_MALFORMED;

    _cleanup_(tokener_freep) struct json_tokener *t = json_tokener_new_ex(JSON_DEPTH_MAX);
    if (!t || printbuf_memset(t->pb, 0, 0, (int)n + 1) < 0)
        return -ENOMEM;
    printbuf_reset(t->pb);
    json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);

    _cleanup_(json_freep) struct json *j = calloc(1, sizeof(*j));
    if (!j)
        return -ENOMEM;
    j->root = json_tokener_parse_ex(t, text, (int)n);
    size_t end = json_tokener_get_parse_end(t);
    if (!json_object_is_type(j->root, json_type_object) || !only_space_follows(text + end, n - end))
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
