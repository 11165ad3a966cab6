/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/library/fork-guard.h"

#include <sys/mman.h>
#include <sys/types.h>

struct fork_guard {
    pid_t pid;      /* 0: the mark tells */
    char *mark;     /* a page of its own: 1 in the process that made it */
    size_t n_bytes; /* of the page */
};

static int map(struct fork_guard *guard)
{
    guard->n_bytes = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, guard->n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return -ENOMEM;
    guard->mark = page;
    *guard->mark = 1;
    guard->pid = madvise(page, guard->n_bytes, MADV_WIPEONFORK) < 0 ? getpid() : 0;
    return 0;
}

int fork_guard_new(struct fork_guard **ret)
{
    struct fork_guard *guard = calloc(1, sizeof(*guard));
    int r = guard ? map(guard) : -ENOMEM;
    if (r < 0)
        free(guard);
    else
        *ret = guard;
    return r;
}

struct fork_guard *fork_guard_free(struct fork_guard *guard)
{
    if (guard)
        (void)munmap(guard->mark, guard->n_bytes);
    free(guard);
    return NULL;
}

bool fork_guard_is_child(const struct fork_guard *guard)
{
    return guard->pid == 0 ? *guard->mark != 1 : guard->pid != getpid();
}
