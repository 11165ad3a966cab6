/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A SQLite VFS for tests of what a disk can do: it passes everything on to the default one, counts, fails or
 * slows down what it is told to, and remembers of every file only what was synced, so that a test can look at
 * what a power cut would leave behind. One for the process, under the name TEST_VFS; safe from any thread. */

#include <stdbool.h>
#include <stddef.h>

#define TEST_VFS "test"

void test_vfs_register(void);
/* No faults, no files, counters at 0. */
void test_vfs_reset(void);

/* Of the writes, truncations and syncs from now on the n-th (1 is the next) fails with `code`, a SQLite
 * result code; with `sticky` all after it fail, too. 0: none. */
void test_vfs_fail_at(unsigned n, int code, bool sticky);
/* Each sync takes this long. */
void test_vfs_slow_sync(unsigned msec);

unsigned test_vfs_count_writes(void); /* writes and truncations */
unsigned test_vfs_count_syncs(void);

/* Writes what was synced of each file whose name starts with `path` to the same name with `to` in place of
 * `path`. Removals count at once; a file that was never synced is not written. */
void test_vfs_save_durable(const char *path, const char *to);
