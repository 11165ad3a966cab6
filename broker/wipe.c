/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/wipe.h"

#include "broker/reserve.h"
#include "broker/secret.h"

#include <malloc.h>
#include <string.h>

void wiping_free(void *p)
{
    if (p)
        secret_wipe(p, malloc_usable_size(p));
    free(p);
}

void *wiping_realloc(void *p, size_t n)
{
    if (!p)
        return reserve_malloc(n);
    size_t usable = malloc_usable_size(p);
    if (n > 0 && n <= usable)
        return p;

    void *moved = n > 0 ? reserve_malloc(n) : NULL;
    if (moved)
        memcpy(moved, p, usable);
    if (moved || n == 0)
        wiping_free(p);
    return moved;
}
