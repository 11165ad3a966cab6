/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/form.h"

#include "tests/sim/memory.h"

#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The length of the UTF-8 sequence at p, or 0 for an invalid one. The text ends in a NUL, which is no
 * continuation byte, so that reading on is safe. */
static size_t utf8_sequence(const unsigned char *p)
{
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4 || (p[1] & 0xc0) != 0x80)
        return 0;
    if (p[0] < 0xe0)
        return 2;
    if ((p[2] & 0xc0) != 0x80)
        return 0;
    if (p[0] < 0xf0) {
        bool is_long = p[0] == 0xe0 && p[1] < 0xa0;
        bool is_surrogate = p[0] == 0xed && p[1] > 0x9f;
        return is_long || is_surrogate ? 0 : 3;
    }
    if ((p[3] & 0xc0) != 0x80 || (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return 4;
}

static bool utf8_is_valid(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        size_t n = utf8_sequence(p);
        if (n == 0)
            return false;
        p += n;
    }
    return true;
}

char *form_decode(const char *text, size_t n, bool plus_is_space)
{
    _cleanup_free_ char *decoded = must(malloc(n + 1));
    size_t end = 0;

    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (c == '+' && plus_is_space) {
            c = ' ';
        } else if (c == '%') {
            int high = i + 2 < n ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < n ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return NULL;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (c == '\0')
            return NULL;
        decoded[end++] = c;
    }
    decoded[end] = '\0';
    return utf8_is_valid(decoded) ? TAKE_PTR(decoded) : NULL;
}

static int form_add(struct form *form, const char *text, size_t n)
{
    const char *equals = memchr(text, '=', n);
    size_t n_name = equals ? (size_t)(equals - text) : n;
    _cleanup_free_ char *name = form_decode(text, n_name, true);
    _cleanup_free_ char *value = equals ? form_decode(equals + 1, n - n_name - 1, true) : must(strdup(""));

    if (!name || !value || form->n == FORM_FIELDS_MAX)
        return -EINVAL;
    form->fields[form->n++] = (struct form_field){TAKE_PTR(name), TAKE_PTR(value)};
    return 0;
}

int form_parse(const char *text, size_t n, struct form *ret)
{
    const char *end = text + n;

    *ret = (struct form){NULL, 0};
    if (n == 0)
        return 0;
    ret->fields = must(calloc(FORM_FIELDS_MAX, sizeof(*ret->fields)));
    for (const char *p = text; p < end;) {
        const char *amp = memchr(p, '&', (size_t)(end - p));
        size_t n_piece = (size_t)((amp ? amp : end) - p);
        if (n_piece > 0 && form_add(ret, p, n_piece) < 0)
            return -EINVAL;
        p += n_piece + 1;
    }
    return 0;
}

void form_clear(struct form *form)
{
    for (size_t i = 0; i < form->n; i++) {
        free(form->fields[i].name);
        free(form->fields[i].value);
    }
    free(form->fields);
    *form = (struct form){NULL, 0};
}

const char *form_get(const struct form *form, const char *name)
{
    for (size_t i = 0; i < form->n; i++)
        if (strcmp(form->fields[i].name, name) == 0)
            return form->fields[i].value;
    return NULL;
}

bool form_has_repeated_names(const struct form *form)
{
    for (size_t i = 0; i < form->n; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(form->fields[i].name, form->fields[j].name) == 0)
                return true;
    return false;
}
