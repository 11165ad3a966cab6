/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A parser of our own, for two properties that json-c 0.16 has not: it crashes, or drops a member silently,
 * when memory ends while it parses, which for the answer to a refresh is the login; and it leaves copies of
 * tokens behind.
 *
 * Grammar: RFC 8259, by descent, a function for each of its rules. Each takes what it is for off the front of
 * the text, or says false, and then the text is malformed as a whole.
 *
 * Memory: one block for everything, made before the first byte is read. The strings are unescaped into its
 * end; one with its NUL is never longer than it was with its quotes, so n bytes are enough for all. It is
 * wiped as a whole. */

#include "broker/json.h"

#include "broker/secret.h"

#include <string.h>

enum type { TYPE_STRING, TYPE_INTEGER, TYPE_NULL, TYPE_OTHER };

struct value {
    enum type type;
    const char *text; /* of a string, with its NUL */
    size_t n;
    int64_t number; /* of an integer; what is beyond the type is cut to its limits */
};

struct member {
    const char *name;
    size_t n_name;
    struct value value;
};

struct json {
    struct member members[JSON_MEMBERS_MAX]; /* of the root */
    size_t n_members;
    size_t size;
    size_t n_bytes;
    char bytes[];
};

struct parser {
    const char *at;
    const char *end;
    unsigned depth;
    struct json *json;
};

/* --- text ---------------------------------------------------------------------------------------------- */

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

/* --- strings ------------------------------------------------------------------------------------------- */

static void skip_space(struct parser *p)
{
    while (p->at < p->end && strchr(" \t\r\n", *p->at))
        p->at++;
}

static bool take(struct parser *p, char c)
{
    if (p->at == p->end || *p->at != c)
        return false;
    p->at++;
    return true;
}

static void put(struct parser *p, unsigned byte)
{
    p->json->bytes[p->json->n_bytes++] = (char)byte;
}

static void put_character(struct parser *p, unsigned code)
{
    if (code < 0x80) {
        put(p, code);
    } else if (code < 0x800) {
        put(p, 0xc0 | code >> 6);
        put(p, 0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        put(p, 0xe0 | code >> 12);
        put(p, 0x80 | (code >> 6 & 0x3f));
        put(p, 0x80 | (code & 0x3f));
    } else {
        put(p, 0xf0 | code >> 18);
        put(p, 0x80 | (code >> 12 & 0x3f));
        put(p, 0x80 | (code >> 6 & 0x3f));
        put(p, 0x80 | (code & 0x3f));
    }
}

static bool parse_hex(struct parser *p, unsigned *ret)
{
    static const char digits[] = {'0', '1', '2', '3', '4', '5', '6', '7',
                                  '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};
    unsigned code = 0;
    if (p->end - p->at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char c = *p->at++;
        const char *digit = memchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c, sizeof(digits));
        if (!digit)
            return false;
        code = code << 4 | (unsigned)(digit - digits);
    }
    *ret = code;
    return true;
}

/* Behind \u. Half of a pair of surrogates is no character, and becomes the one that stands for that. */
static bool parse_unicode(struct parser *p)
{
    unsigned code, low;
    if (!parse_hex(p, &code))
        return false;
    const char *behind = p->at;
    if ((code & 0xfc00) == 0xd800 && take(p, '\\') && take(p, 'u') && parse_hex(p, &low) &&
        (low & 0xfc00) == 0xdc00)
        code = 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff);
    else
        p->at = behind;
    put_character(p, (code & 0xfffff800) == 0xd800 ? 0xfffd : code);
    return true;
}

static bool parse_escape(struct parser *p)
{
    static const char letters[] = {'"', '\\', '/', 'b', 'f', 'n', 'r', 't'};
    static const char meanings[] = {'"', '\\', '/', '\b', '\f', '\n', '\r', '\t'};
    if (p->at == p->end)
        return false;
    char c = *p->at++;
    if (c == 'u')
        return parse_unicode(p);
    const char *letter = memchr(letters, c, sizeof(letters));
    if (letter)
        put(p, (unsigned char)meanings[letter - letters]);
    return letter != NULL;
}

/* From its quote on. */
static bool parse_string(struct parser *p, const char **ret, size_t *ret_n)
{
    if (!take(p, '"'))
        return false;
    const char *text = p->json->bytes + p->json->n_bytes;
    while (p->at < p->end && *p->at != '"') {
        unsigned char c = (unsigned char)*p->at++;
        if (c < 0x20 || (c == '\\' && !parse_escape(p)))
            return false;
        if (c != '\\')
            put(p, c);
    }
    *ret = text;
    *ret_n = (size_t)(p->json->bytes + p->json->n_bytes - text);
    put(p, 0);
    return take(p, '"');
}

/* --- other values -------------------------------------------------------------------------------------- */

static size_t take_digits(struct parser *p, int64_t *ret)
{
    const char *begin = p->at;
    int64_t number = 0;
    for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++)
        number = number > (INT64_MAX - 9) / 10 ? INT64_MAX : number * 10 + (*p->at - '0');
    *ret = number;
    return (size_t)(p->at - begin);
}

static bool parse_number(struct parser *p, struct value *ret)
{
    int64_t rest;
    bool is_negative = take(p, '-');
    const char *digits = p->at;
    size_t n = take_digits(p, &ret->number);
    if (n == 0 || (n > 1 && *digits == '0'))
        return false;
    if (is_negative)
        ret->number = -ret->number;
    ret->type = TYPE_INTEGER;
    if (take(p, '.')) {
        ret->type = TYPE_OTHER;
        if (take_digits(p, &rest) == 0)
            return false;
    }
    if (take(p, 'e') || take(p, 'E')) {
        ret->type = TYPE_OTHER;
        (void)(take(p, '+') || take(p, '-'));
        return take_digits(p, &rest) > 0;
    }
    return true;
}

static bool parse_word(struct parser *p, struct value *ret)
{
    static const char *const words[] = {"null", "true", "false"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        size_t n = strlen(words[i]);
        if ((size_t)(p->end - p->at) < n || memcmp(p->at, words[i], n) != 0)
            continue;
        p->at += n;
        ret->type = i == 0 ? TYPE_NULL : TYPE_OTHER;
        return true;
    }
    return false;
}

static bool parse_object(struct parser *p);
static bool parse_array(struct parser *p);

static bool parse_value(struct parser *p, struct value *ret) /* NOLINT(misc-no-recursion) */
{
    *ret = (struct value){.type = TYPE_OTHER};
    switch (p->at < p->end ? *p->at : '\0') {
    case '{':
        return parse_object(p);
    case '[':
        return parse_array(p);
    case '"':
        ret->type = TYPE_STRING;
        return parse_string(p, &ret->text, &ret->n);
    case 'n':
    case 't':
    case 'f':
        return parse_word(p, ret);
    default:
        return parse_number(p, ret);
    }
}

/* --- objects and arrays: JSON_DEPTH_MAX bounds the descent --------------------------------------------- */

static bool parse_array(struct parser *p) /* NOLINT(misc-no-recursion) */
{
    struct value ignored;
    if (!take(p, '[') || ++p->depth > JSON_DEPTH_MAX)
        return false;
    skip_space(p);
    bool is_empty = take(p, ']');
    while (!is_empty) {
        skip_space(p);
        if (!parse_value(p, &ignored))
            return false;
        skip_space(p);
        if (take(p, ']'))
            break;
        if (!take(p, ','))
            return false;
    }
    p->depth--;
    return true;
}

static const struct member *find(const struct json *j, const char *name, size_t n)
{
    for (size_t i = 0; i < j->n_members; i++)
        if (j->members[i].n_name == n && memcmp(j->members[i].name, name, n) == 0)
            return &j->members[i];
    return NULL;
}

static bool parse_member(struct parser *p) /* NOLINT(misc-no-recursion) */
{
    struct member m;
    skip_space(p);
    if (!parse_string(p, &m.name, &m.n_name))
        return false;
    skip_space(p);
    if (!take(p, ':'))
        return false;
    skip_space(p);
    if (!parse_value(p, &m.value))
        return false;
    skip_space(p);
    if (p->depth > 1)
        return true;
    struct json *j = p->json;
    if (j->n_members == JSON_MEMBERS_MAX || find(j, m.name, m.n_name))
        return false;
    j->members[j->n_members++] = m;
    return true;
}

static bool parse_object(struct parser *p) /* NOLINT(misc-no-recursion) */
{
    if (!take(p, '{') || ++p->depth > JSON_DEPTH_MAX)
        return false;
    skip_space(p);
    bool is_empty = take(p, '}');
    while (!is_empty) {
        if (!parse_member(p))
            return false;
        if (take(p, '}'))
            break;
        if (!take(p, ','))
            return false;
    }
    p->depth--;
    return true;
}

/* --- the whole ----------------------------------------------------------------------------------------- */

int json_parse(const char *text, size_t n, struct json **ret)
{
    if (!is_text(text, n))
        return JSON_E_MALFORMED;
    _cleanup_(json_freep) struct json *j = calloc(1, sizeof(*j) + n);
    if (!j)
        return -ENOMEM;
    j->size = sizeof(*j) + n;

    struct parser p = {text, text + n, 0, j};
    skip_space(&p);
    bool is_good = parse_object(&p);
    skip_space(&p);
    if (!is_good || p.at != p.end)
        return JSON_E_MALFORMED;
    *ret = TAKE_PTR(j);
    return 0;
}

void json_free(struct json *j)
{
    if (j)
        secret_wipe(j, j->size);
    free(j);
}

int json_get_string(const struct json *j, const char *key, const char **ret, size_t *ret_n)
{
    const struct member *m = find(j, key, strlen(key));
    if (!m || m->value.type == TYPE_NULL)
        return JSON_E_ABSENT;
    if (m->value.type != TYPE_STRING || strlen(m->value.text) != m->value.n)
        return JSON_E_TYPE; /* a NUL can be written as an escape */
    *ret = m->value.text;
    *ret_n = m->value.n;
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
    const struct member *m = find(j, key, strlen(key));
    if (m && m->value.type == TYPE_INTEGER) {
        if (m->value.number < 0)
            return JSON_E_TYPE;
        *ret = (uint64_t)m->value.number;
        return 0;
    }
    const char *text;
    size_t n;
    int r = json_get_string(j, key, &text, &n);
    return r == 0 ? parse_digits(text, ret) : r;
}
