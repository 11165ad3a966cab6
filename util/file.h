/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Files that are trusted for who owns them, and small sealed memory files. */

#include "util/cleanup.h"
#include "util/strv.h"

#include <sys/types.h>

/* Reads the regular file `path` as a whole into a new NUL-terminated buffer of at most `max` bytes (the
 * NUL not counted). Opened O_NOFOLLOW|O_NONBLOCK for its last component, so that a FIFO or a device cannot
 * block. -EFBIG when larger, -EPERM when not a regular file, or a negative errno. */
int file_read(const char *path, size_t max, char **ret_text, size_t *ret_n) _must_check_;

/* As file_read(), for a file that configures a privileged process: -EPERM unless it is owned by root and
 * writable by nobody else; not even by this process, which may have been subverted. */
int file_read_trusted(const char *path, size_t max, char **ret_text, size_t *ret_n) _must_check_;

/* Appends the paths of the entries of `dir` that end in `suffix`, sorted by name as C strings, at most
 * `max` of them (-E2BIG beyond). Names that start with a dot are left out: editors keep files of theirs under
 * such names. A missing directory has none. As file_read_trusted(), -EPERM for a directory that is not
 * root's, or that others can write: who can remove a file from it can take a denial away. */
int file_list(const char *dir, const char *suffix, size_t max, struct strv *paths) _must_check_;
/* Whether it would list an entry of this name. */
bool file_is_listed(const char *name, const char *suffix);

/* Reads from the current offset to the end, a pipe too, but at most `size` bytes: may block. */
int file_read_some(int fd, char *buffer, size_t size, size_t *ret_n) _must_check_;

/* Makes a memfd (CLOEXEC) that holds the n bytes and is sealed against every change. Owned by the caller. */
int file_new_sealed(const char *name, const void *bytes, size_t n, int *ret_fd) _must_check_;

/* Opens the file behind `fd` once more, read-only and CLOEXEC, with an offset of its own. */
int file_reopen(int fd, int *ret_fd) _must_check_;

/* Reads a descriptor that came from a peer: it must be a memfd sealed against write, shrink and grow, of 1
 * to `max` bytes; nothing else is touched, since anything else could block the reader. -EBADF when it is not,
 * -EFBIG when too large. The n bytes are in `buffer` (of at least `max` bytes), to be wiped by the caller. */
int file_read_sealed(int fd, void *buffer, size_t max, size_t *ret_n) _must_check_;
