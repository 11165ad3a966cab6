/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an answer of the API says of the token: {"error":{"code":"..."}} in both its versions.
 *
 * The body may be any bytes, of any length, and need not be JSON at all. It is walked once, without recursion
 * and without memory; an escape within a name or a code makes it another. */

#include "client/library/lwa-client.h"

#include "util/cleanup.h"

#include <string.h>

#define STATUS_UNAUTHORIZED 401

struct text {
    const char *at;
    const char *end;
};

static void skip_space(struct text *t)
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\t' || *t->at == '\n' || *t->at == '\r'))
        t->at++;
}

static bool take(struct text *t, char c)
{
    skip_space(t);
    if (t->at == t->end || *t->at != c)
        return false;
    t->at++;
    return true;
}

/* What stands between the quotes, as it is written. */
static bool take_string(struct text *t, struct text *ret)
{
    if (!take(t, '"'))
        return false;
    ret->at = t->at;
    for (; t->at < t->end; t->at++) {
        if (*t->at == '"') {
            ret->end = t->at++;
            return true;
        }
        if (*t->at == '\\' && ++t->at == t->end)
            break;
    }
    return false;
}

/* Up to the comma or the bracket that ends it, which stay. */
static bool skip_value(struct text *t)
{
    struct text string;
    size_t depth = 0;
    for (skip_space(t); t->at < t->end; skip_space(t)) {
        char c = *t->at;
        if (c == '"') {
            if (!take_string(t, &string))
                return false;
            continue;
        }
        bool ends = c == '}' || c == ']';
        if (depth == 0 && (ends || c == ','))
            return true;
        depth += c == '{' || c == '[';
        depth -= ends;
        t->at++;
    }
    return false;
}

static bool equals(const struct text *t, const char *s)
{
    size_t n = strlen(s);
    return (size_t)(t->end - t->at) == n && memcmp(t->at, s, n) == 0;
}

/* Into the object, to the value of its first member of that name. */
static bool enter_member(struct text *t, const char *name)
{
    struct text key;
    if (!take(t, '{'))
        return false;
    do {
        if (!take_string(t, &key) || !take(t, ':'))
            return false;
        if (equals(&key, name))
            return true;
    } while (skip_value(t) && take(t, ','));
    return false;
}

int lwa_is_rejected(long status, const char *body, size_t n_bytes)
{
    struct text code;
    if (status != STATUS_UNAUTHORIZED || !body)
        return 0;
    struct text t = {.at = body, .end = body + n_bytes};
    return enter_member(&t, "error") && enter_member(&t, "code") && take_string(&t, &code) &&
           (equals(&code, "INVALID_ACCESS_TOKEN") || equals(&code, "UNAUTHORIZED"));
}
