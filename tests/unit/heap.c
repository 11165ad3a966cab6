/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/heap.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool find_heap(const char **ret_begin, const char **ret_end)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    if (!maps)
        return false;
    char line[512];
    bool found = false;
    while (!found && fgets(line, sizeof(line), maps)) {
        void *begin, *end;
        if (strstr(line, "[heap]") && sscanf(line, "%p-%p", &begin, &end) == 2) {
            *ret_begin = begin;
            *ret_end = end;
            found = true;
        }
    }
    (void)fclose(maps);
    return found;
}

static bool equals_mirrored(const char *p, const char *mirrored, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != mirrored[n - 1 - i])
            return false;
    return true;
}

int heap_count(const char *mirrored)
{
    const char *p, *end;
    if (!find_heap(&p, &end))
        return -1;
    size_t n = strlen(mirrored);
    int count = 0;
    for (; p + n <= end; p++)
        count += equals_mirrored(p, mirrored, n);
    return count;
}
