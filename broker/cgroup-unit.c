/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/cgroup-unit.h"

#include "policy/app-name.h"

#include <string.h>

/* A path, as a piece of the text. */
struct piece {
    const char *start; /* NULL: there is none */
    size_t n;
};

/* --- paths --------------------------------------------------------------------------------------------- */

static bool has_suffix(const char *s, size_t n, const char *suffix)
{
    size_t m = strlen(suffix);
    return n > m && memcmp(s + n - m, suffix, m) == 0;
}

/* Takes the next component off the path: false at its end. */
static bool take_component(struct piece *path, struct piece *ret)
{
    if (path->n < 2 || path->start[0] != '/')
        return false;
    ret->start = path->start + 1;
    const char *slash = memchr(ret->start, '/', path->n - 1);
    ret->n = slash ? (size_t)(slash - ret->start) : path->n - 1;
    path->start += ret->n + 1;
    path->n -= ret->n + 1;
    return true;
}

static bool equals(const struct piece *piece, const char *word)
{
    return piece->n == strlen(word) && memcmp(piece->start, word, piece->n) == 0;
}

static bool is_sound(struct piece path)
{
    struct piece component;
    bool is_below = false; /* past the /.. at the start */
    if (path.n == 0 || path.start[0] != '/' || has_suffix(path.start, path.n, " (deleted)"))
        return false;
    if (path.n == 1)
        return true;
    while (take_component(&path, &component)) {
        if (component.n == 0 || equals(&component, ".") || (is_below && equals(&component, "..")))
            return false;
        is_below |= !equals(&component, "..");
    }
    return path.n == 0;
}

/* systemd puts a `_` before a name that the kernel could take for a file of its own: "_cpu.service". */
static void unescape(struct piece *component)
{
    if (component->n > 0 && component->start[0] == '_') {
        component->start++;
        component->n--;
    }
}

static void find_unit(struct piece path, char ret_unit[static CGROUP_UNIT_SIZE])
{
    struct piece component = {NULL, 0};
    bool is_there;
    do
        is_there = take_component(&path, &component);
    while (is_there && equals(&component, ".."));
    if (!is_there || !equals(&component, "system.slice"))
        return;
    do {
        is_there = take_component(&path, &component);
        unescape(&component);
    } while (is_there && has_suffix(component.start, component.n, ".slice"));
    if (!is_there || component.n >= CGROUP_UNIT_SIZE)
        return;
    memcpy(ret_unit, component.start, component.n);
    ret_unit[component.n] = '\0';
    if (!app_unit_is_valid(ret_unit))
        ret_unit[0] = '\0';
}

/* --- text ---------------------------------------------------------------------------------------------- */

struct hierarchies {
    struct piece named;   /* "1:name=systemd:/..." */
    struct piece unified; /* "0::/..." */
};

static bool is_number(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] < '0' || s[i] > '9')
            return false;
    return n > 0;
}

static int read_line(const char *line, size_t n, struct hierarchies *ret)
{
    const char *end = line + n;
    const char *first = memchr(line, ':', n);
    const char *second = first ? memchr(first + 1, ':', (size_t)(end - first) - 1) : NULL;
    if (!second || !is_number(line, (size_t)(first - line)))
        return CGROUP_UNIT_E_MALFORMED;
    const struct piece number = {line, (size_t)(first - line)};
    const struct piece controllers = {first + 1, (size_t)(second - first) - 1};
    struct piece *found = equals(&controllers, "name=systemd")         ? &ret->named
                          : controllers.n == 0 && equals(&number, "0") ? &ret->unified
                                                                       : NULL;
    if (!found)
        return 0;
    const struct piece path = {second + 1, (size_t)(end - second) - 1};
    if (found->start || !is_sound(path))
        return CGROUP_UNIT_E_MALFORMED;
    *found = path;
    return 0;
}

int cgroup_unit_parse(const char *text, size_t n, char ret_unit[static CGROUP_UNIT_SIZE])
{
    struct hierarchies found = {{NULL, 0}, {NULL, 0}};
    char unit[CGROUP_UNIT_SIZE] = "";
    if (memchr(text, '\0', n))
        return CGROUP_UNIT_E_MALFORMED;
    for (const char *line = text, *end = text + n; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        if (!newline || read_line(line, (size_t)(newline - line), &found) != 0)
            return CGROUP_UNIT_E_MALFORMED;
        line = newline + 1;
    }
    /* One that was mounted for old containers only, on a machine of v2, has everybody at its root. */
    bool is_used = found.named.start && found.named.n > 1;
    struct piece path = is_used ? found.named : found.unified;
    if (path.start)
        find_unit(path, unit);
    memcpy(ret_unit, unit, sizeof(unit));
    return 0;
}
