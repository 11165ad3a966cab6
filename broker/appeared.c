/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/appeared.h"

#include "broker/limits.h"

#include <search.h>
#include <string.h>

struct appearance {
    uint64_t usec;
    const char *name; /* of one in the tree: its own text */
    char text[];
};

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct appearance *)a)->name, ((const struct appearance *)b)->name);
}

static struct appearance *new_appearance(const char *name, uint64_t usec)
{
    size_t n = strlen(name) + 1;
    struct appearance *made = malloc(sizeof(*made) + n);
    if (!made)
        return NULL;
    made->usec = usec;
    memcpy(made->text, name, n);
    made->name = made->text;
    return made;
}

static struct appearance *find(const struct appeared *a, const char *name)
{
    const struct appearance key = {.name = name};
    struct appearance **found = tfind(&key, &a->names, compare);
    return found ? *found : NULL;
}

void appeared_add(struct appeared *a, const char *name, uint64_t now_usec)
{
    struct appearance *made = a->n < LIMIT_APPEARED ? new_appearance(name, now_usec) : NULL;
    struct appearance **found = made ? tsearch(made, &a->names, compare) : NULL;
    if (found && *found == made)
        a->n++;
    else
        free(made);
}

void appeared_remove(struct appeared *a, const char *name)
{
    struct appearance *gone = find(a, name);
    if (!gone)
        return;
    (void)tdelete(gone, &a->names, compare);
    free(gone);
    a->n--;
}

uint64_t appeared_usec(const struct appeared *a, const char *name)
{
    const struct appearance *found = find(a, name);
    return found ? found->usec : 0;
}

void appeared_clear(struct appeared *a)
{
    while (a->names) {
        struct appearance *first = *(struct appearance **)a->names; /* the root of the tree */
        (void)tdelete(first, &a->names, compare);
        free(first);
    }
    a->n = 0;
}
