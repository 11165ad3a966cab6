/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/snap-label.h"

#include <string.h>

#define PREFIX "snap."
#define MODE " (enforce)"
#define LABEL_BYTES_MAX 4096 /* the kernel gives a page at most */
#define NAME_BYTES_MAX 40
#define INSTANCE_BYTES_MAX 10
#define APP_BYTES_MAX 128

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower_or_digit(char c)
{
    return is_lower(c) || is_digit(c);
}

static bool is_alnum(char c)
{
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

/* Parts of these characters with a single hyphen between two of them. */
static bool is_hyphenated(const char *s, size_t n, bool (*is_part)(char c))
{
    if (n == 0 || s[0] == '-' || s[n - 1] == '-')
        return false;
    for (size_t i = 0; i < n; i++)
        if (s[i] == '-' ? s[i + 1] == '-' : !is_part(s[i]))
            return false;
    return true;
}

/* "player", or "player_work" for a snap that is installed a second time. */
static bool is_snap_name(const char *s, size_t n)
{
    const char *key = memchr(s, '_', n);
    size_t n_name = key ? (size_t)(key - s) : n;
    if (n_name > NAME_BYTES_MAX || !is_hyphenated(s, n_name, is_lower_or_digit))
        return false;
    size_t n_letters = 0;
    for (size_t i = 0; i < n_name; i++)
        n_letters += is_lower(s[i]) ? 1 : 0;
    if (!key || n_letters == 0)
        return n_letters > 0;
    size_t n_key = n - n_name - 1;
    bool is_key = n_key > 0 && n_key <= INSTANCE_BYTES_MAX;
    for (size_t i = 0; is_key && i < n_key; i++)
        is_key = is_lower_or_digit(key[1 + i]);
    return is_key;
}

/* "snap." at the start of the label or of a part of it: after a namespace (":ns:", "//"), or stacked
 * ("//&"). */
static bool is_of_a_snap(const char *label)
{
    for (const char *at = strstr(label, PREFIX); at; at = strstr(at + 1, PREFIX))
        if (at == label || strchr(":/&", at[-1]))
            return true;
    return false;
}

enum snap_label snap_label_read(const unsigned char *bytes, size_t n, char ret_app[static SNAP_APP_SIZE])
{
    const char *label = (const char *)bytes;
    if (n < 2 || n > LABEL_BYTES_MAX || memchr(bytes, '\0', n) != bytes + n - 1)
        return SNAP_LABEL_UNUSABLE;
    if (!is_of_a_snap(label))
        return SNAP_LABEL_NONE;

    const char *name = label + strlen(PREFIX);
    size_t n_rest = strlen(label);
    if (strncmp(label, PREFIX, strlen(PREFIX)) != 0 || n_rest <= strlen(PREFIX) + strlen(MODE) ||
        strcmp(label + n_rest - strlen(MODE), MODE) != 0)
        return SNAP_LABEL_UNUSABLE;
    n_rest -= strlen(PREFIX) + strlen(MODE);

    const char *dot = memchr(name, '.', n_rest);
    size_t n_name = dot ? (size_t)(dot - name) : 0;
    size_t n_app = dot ? n_rest - n_name - 1 : 0;
    if (!dot || !is_snap_name(name, n_name) || n_app > APP_BYTES_MAX ||
        !is_hyphenated(dot + 1, n_app, is_alnum))
        return SNAP_LABEL_UNUSABLE;
    (void)snprintf(ret_app, SNAP_APP_SIZE, "snap:%.*s", (int)n_rest, name);
    return SNAP_LABEL_APP;
}
