/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/edit-distance.h"

#include <string.h>

#define NAME_BYTES_MAX 64

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Row by row. */
size_t edit_distance(const char *a, const char *b)
{
    size_t row[NAME_BYTES_MAX + 1];
    size_t n_a = strnlen(a, NAME_BYTES_MAX);
    size_t n_b = strnlen(b, NAME_BYTES_MAX);
    for (size_t k = 0; k <= n_b; k++)
        row[k] = k;
    for (size_t i = 1; i <= n_a; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t k = 1; k <= n_b; k++) {
            size_t above = row[k];
            size_t change = diagonal + (a[i - 1] == b[k - 1] ? 0 : 1);
            row[k] = min3(change, above + 1, row[k - 1] + 1);
            diagonal = above;
        }
    }
    return row[n_b];
}
