/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/flatpak-info.h"

#include "policy/app-name.h"
#include "util/utf8.h"

#include <string.h>

struct reader {
    bool in_group;       /* some group has begun */
    bool in_application; /* and it is this one */
    bool has_application;
    bool has_name;
    const char *name; /* in the text, n_name bytes */
    size_t n_name;
};

static bool is_plain(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (((unsigned char)text[i] < 0x20 && text[i] != '\n' && text[i] != '\t') || text[i] == 0x7f)
            return false;
    return utf8_is_valid(text, n);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool equals(const char *s, size_t n, const char *word)
{
    return n == strlen(word) && memcmp(s, word, n) == 0;
}

static int read_group(struct reader *r, const char *line, size_t n)
{
    if (n < 3 || line[n - 1] != ']' || memchr(line + 1, '[', n - 1) || memchr(line, ']', n - 1))
        return FLATPAK_INFO_E_MALFORMED;
    r->in_group = true;
    r->in_application = equals(line + 1, n - 2, "Application");
    if (r->in_application && r->has_application)
        return FLATPAK_INFO_E_MALFORMED;
    r->has_application |= r->in_application;
    return 0;
}

/* GKeyFile lets blanks stand around the `=`. */
static int read_key(struct reader *r, const char *line, size_t n)
{
    const char *sign = memchr(line, '=', n);
    if (!r->in_group || !sign || sign == line)
        return FLATPAK_INFO_E_MALFORMED;
    size_t n_key = (size_t)(sign - line);
    while (n_key > 0 && is_blank(line[n_key - 1]))
        n_key--;
    if (!r->in_application || !equals(line, n_key, "name"))
        return 0;
    if (r->has_name)
        return FLATPAK_INFO_E_MALFORMED;
    const char *end = line + n;
    const char *value = sign + 1;
    while (value < end && is_blank(*value))
        value++;
    r->has_name = true;
    r->name = value;
    r->n_name = (size_t)(end - value);
    return 0;
}

static int read_line(struct reader *r, const char *line, size_t n)
{
    if (n == 0 || line[0] == '#')
        return 0;
    if (is_blank(line[0]))
        return FLATPAK_INFO_E_MALFORMED;
    return line[0] == '[' ? read_group(r, line, n) : read_key(r, line, n);
}

int flatpak_info_parse(const char *text, size_t n, char ret_id[static FLATPAK_ID_SIZE])
{
    struct reader r = {.name = ""};
    char id[FLATPAK_ID_SIZE];
    if (!is_plain(text, n))
        return FLATPAK_INFO_E_MALFORMED;
    for (const char *line = text, *end = text + n; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *stop = newline ? newline : end;
        if (read_line(&r, line, (size_t)(stop - line)) != 0)
            return FLATPAK_INFO_E_MALFORMED;
        line = newline ? newline + 1 : end;
    }
    if (!r.has_name || r.n_name >= sizeof(id))
        return FLATPAK_INFO_E_MALFORMED;
    memcpy(id, r.name, r.n_name);
    id[r.n_name] = '\0';
    if (!app_flatpak_is_valid(id))
        return FLATPAK_INFO_E_MALFORMED;
    memcpy(ret_id, id, r.n_name + 1);
    return 0;
}
