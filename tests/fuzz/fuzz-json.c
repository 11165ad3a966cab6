/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* JSON of the provider, read strictly: first a key up to its NUL, then the text. What is taken for an object
 * is one to any other reader, too: UTF-8, opened by a brace, closed by one, and an object to json-c as well.
 */

#include "broker/json.h"
#include "tests/fuzz/fuzz.h"
#include "util/utf8.h"

#include <json.h>

static void try_member(const struct json *j, const char *key)
{
    const char *text = NULL;
    size_t n = 0;
    uint64_t number = 0;
    int r = json_get_string(j, key, &text, &n);
    require(r >= 0);
    if (r == 0)
        require(strlen(text) == n && utf8_is_valid(text, n));
    int e = json_get_uint(j, key, &number);
    require(e >= 0 && (e == JSON_E_ABSENT) == (r == JSON_E_ABSENT));
    if (e == 0)
        require(number <= INT64_MAX);
    if (e == 0 && r == 0)
        require(n > 0 && strspn(text, "0123456789") == n); /* a number, written as a string */
}

static void require_object(const char *text, size_t n)
{
    static const char space[] = " \t\r\n";
    require(utf8_is_valid(text, n) && !memchr(text, 0, n));
    while (n > 0 && strchr(space, text[n - 1]))
        n--;
    require(n >= 2 && text[n - 1] == '}');
    require(text[strspn(text, space)] == '{');
}

/* Another reader, at its strictest, takes it for an object too, of no greater depth. */
static void require_agreement(const char *text, size_t n)
{
    struct json_tokener *t = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
    require(t);
    json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8 |
                                  JSON_TOKENER_ALLOW_TRAILING_CHARS);
    struct json_object *object = json_tokener_parse_ex(t, text, (int)n);
    require(json_object_is_type(object, json_type_object));
    (void)json_object_put(object);
    json_tokener_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const keys[] = {"access_token", "expires_in", "error", ""};
    struct input in = {data, n};
    _cleanup_free_ char *key = input_line(&in);
    size_t n_text = in.n;
    _cleanup_free_ char *text = input_text(&in, n_text);

    _cleanup_(json_freep) struct json *j = NULL;
    int r = json_parse(text, n_text, &j);
    require(r == 0 || r == JSON_E_MALFORMED);
    if (r != 0)
        return 0;
    require_object(text, n_text);
    require_agreement(text, n_text);
    try_member(j, key);
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        try_member(j, keys[i]);
    return 0;
}
