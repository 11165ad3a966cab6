/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Mappings, not blocks of malloc(): what is unmapped serves everyone, malloc() and sodium_malloc() alike,
 * which maps the pages of a secret. */

#include "broker/reserve.h"

#include "broker/limits.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void *blocks[LIMIT_RESERVE_BLOCKS];

static void *take_block(size_t i)
{
    return __atomic_exchange_n(&blocks[i], NULL, __ATOMIC_ACQ_REL);
}

int reserve_fill(void)
{
    for (size_t i = 0; i < LIMIT_RESERVE_BLOCKS; i++) {
        if (__atomic_load_n(&blocks[i], __ATOMIC_ACQUIRE))
            continue;
        void *block =
            mmap(NULL, LIMIT_RESERVE_BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (block == MAP_FAILED)
            return -ENOMEM;
        __atomic_store_n(&blocks[i], block, __ATOMIC_RELEASE);
    }
    return 0;
}

bool reserve_spend(void)
{
    for (size_t i = 0; i < LIMIT_RESERVE_BLOCKS; i++) {
        void *block = take_block(i);
        if (block)
            return munmap(block, LIMIT_RESERVE_BLOCK_BYTES) == 0;
    }
    return false;
}

void *reserve_malloc(size_t n)
{
    void *p = malloc(n);
    while (!p && n > 0 && reserve_spend())
        p = malloc(n);
    return p;
}

void *reserve_calloc(size_t n, size_t size)
{
    void *p = calloc(n, size);
    while (!p && n > 0 && size > 0 && reserve_spend())
        p = calloc(n, size);
    return p;
}

char *reserve_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = reserve_malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}
