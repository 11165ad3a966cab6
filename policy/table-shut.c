/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A malformed file is searched for the apps that it may name, line by line and without the help of the INI
 * reader, which stops at the first fault. Whether a name is one that an app can have does not matter: to shut
 * what nobody is called harms nobody. */

#include "policy/table-internal.h"

#include <string.h>

static bool is_identity(const char *s)
{
    static const char *const kinds[] = {"snap:", "unit:", "flatpak:", "user:", "uid:"};
    if (strpbrk(s, " \t"))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        size_t n = strlen(kinds[i]);
        if (strncmp(s, kinds[i], n) == 0 && s[n] != '\0')
            return true;
    }
    return false;
}

static int shut_app(struct table *t, const char *text, size_t n, size_t problem)
{
    while (n > 0 && (*text == ' ' || *text == '\t')) {
        text++;
        n--;
    }
    while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t'))
        n--;
    _cleanup_free_ char *name = strndup(text, n);
    if (!name)
        return -ENOMEM;
    struct app *a;
    if (!is_identity(name))
        return 0;
    int r = table_make_app(t, name, &a);
    if (r == 0 && a->shut == 0)
        a->shut = problem;
    return r;
}

/* Every word of the line that could be an identity. */
static int shut_words(struct table *t, const char *line, size_t n, size_t problem)
{
    static const char separators[] = " \t[]();#,\"'";
    for (size_t start = 0, end; start < n; start = end + 1) {
        end = start;
        while (end < n && !memchr(separators, line[end], sizeof(separators) - 1))
            end++;
        int r = shut_app(t, line + start, end - start, problem);
        if (r < 0)
            return r;
    }
    return 0;
}

/* A line may name an identity if it is, or was perhaps meant to be, the head of a section: what stands
 * between its brackets up to the first and up to the last that closes, and every word. Comments do not count,
 * and lines with a `=` after no bracket are keys. */
static int shut_line(struct table *t, const char *line, size_t n, size_t problem)
{
    while (n > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        n--;
    }
    if (n == 0 || *line == ';' || *line == '#')
        return 0;
    for (size_t i = 1; i < n; i++)
        if (line[i] == ';' && (line[i - 1] == ' ' || line[i - 1] == '\t'))
            n = i;
    const char *open = memchr(line, '[', n);
    if (!open)
        return memchr(line, '=', n) ? 0 : shut_words(t, line, n, problem);

    const char *inside = open + 1;
    size_t rest = n - (size_t)(inside - line);
    const char *first = memchr(inside, ']', rest);
    const char *last = memrchr(inside, ']', rest);
    int r = shut_app(t, inside, first ? (size_t)(first - inside) : rest, problem);
    if (r == 0)
        r = shut_app(t, inside, last ? (size_t)(last - inside) : rest, problem);
    return r < 0 ? r : shut_words(t, line, n, problem);
}

int table_shut(struct table *t, const char *text, size_t n, size_t problem)
{
    if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3;
        n -= 3;
    }
    for (size_t start = 0, end; start < n; start = end + 1) {
        end = start;
        while (end < n && text[end] != '\n' && text[end] != '\r' && text[end] != '\0')
            end++;
        int r = shut_line(t, text + start, end - start, problem);
        if (r < 0)
            return r;
    }
    return 0;
}
