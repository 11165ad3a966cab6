/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/strv.h"

#include <string.h>

void strv_clear(struct strv *v)
{
    for (size_t i = 0; i < v->n; i++)
        free(v->items[i]);
    free(v->items);
    *v = STRV_EMPTY;
}

int strv_add_n(struct strv *v, const char *s, size_t n)
{
    char **items = reallocarray(v->items, v->n + 2, sizeof(*items));
    if (!items)
        return -ENOMEM;
    v->items = items;
    items[v->n] = strndup(s, n);
    if (!items[v->n])
        return -ENOMEM;
    items[++v->n] = NULL;
    return 0;
}

int strv_add(struct strv *v, const char *s)
{
    return strv_add_n(v, s, strlen(s));
}

int strv_split(struct strv *v, const char *text, const char *separators)
{
    for (const char *p = text + strspn(text, separators); *p; p += strspn(p, separators)) {
        size_t n = strcspn(p, separators);
        int r = strv_add_n(v, p, n);
        if (r < 0)
            return r;
        p += n;
    }
    return 0;
}

char *strv_join(const struct strv *v, const char *separator)
{
    size_t size = 1;
    for (size_t i = 0; i < v->n; i++)
        size += strlen(v->items[i]) + strlen(separator);

    char *joined = malloc(size);
    if (!joined)
        return NULL;
    char *end = joined;
    *end = '\0';
    for (size_t i = 0; i < v->n; i++) {
        if (i > 0)
            end = stpcpy(end, separator);
        end = stpcpy(end, v->items[i]);
    }
    return joined;
}

bool strv_contains(const struct strv *v, const char *s)
{
    for (size_t i = 0; i < v->n; i++)
        if (strcmp(v->items[i], s) == 0)
            return true;
    return false;
}
