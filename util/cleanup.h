/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Ownership helpers. Every local that owns something carries one of these attributes, and is handed on
 * with TAKE_PTR or TAKE_FD, so that an early return can neither leak nor free twice. */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))
#define _must_check_ __attribute__((warn_unused_result))
#define _printf_(fmt, first) __attribute__((format(printf, fmt, first)))
#define _unused_ __attribute__((unused))

/* Defines foop(), the cleanup function of a `struct foo *` local, from foo_free(). */
#define DEFINE_CLEANUP(type, free_fn)                                                                        \
    static inline void free_fn##p(type **p)                                                                  \
    {                                                                                                        \
        free_fn(*p);                                                                                         \
    }                                                                                                        \
    struct cleanup_needs_a_semicolon

#define TAKE_PTR(p)                                                                                          \
    ({                                                                                                       \
        __typeof__(p) *take_p_ = &(p);                                                                       \
        __typeof__(p) take_v_ = *take_p_;                                                                    \
        *take_p_ = NULL;                                                                                     \
        take_v_;                                                                                             \
    })

#define TAKE_FD(fd)                                                                                          \
    ({                                                                                                       \
        int *take_p_ = &(fd);                                                                                \
        int take_v_ = *take_p_;                                                                              \
        *take_p_ = -1;                                                                                       \
        take_v_;                                                                                             \
    })

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline void freep(void *p)
{
    free(*(void **)p);
}

/* Closes a descriptor if it is one, and keeps errno. Returns -1, to be assigned. */
static inline int close_fd(int fd)
{
    if (fd >= 0) {
        int saved = errno;
        (void)close(fd);
        errno = saved;
    }
    return -1;
}

static inline void closep(int *fd)
{
    close_fd(*fd);
}

static inline void fclosep(FILE **f)
{
    if (*f)
        (void)fclose(*f);
}

#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)
#define _cleanup_fclose_ _cleanup_(fclosep)
