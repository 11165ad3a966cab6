/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A SQLite VFS for tests of what a disk can do: it passes everything on to the default one, counts, fails or
 * slows down what it is told to, and remembers of every file only what was synced, so that a test can look at
 * what a power cut would leave behind. One for the process, under the name TEST_VFS; safe from any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEST_VFS "test"

enum test_vfs_kind { TEST_VFS_WRITE = 1, TEST_VFS_SYNC = 2, TEST_VFS_OPEN = 4, TEST_VFS_READ = 8 };

/* What it is told and what it counts. In shared memory another process can tell it, field by field and
 * `fail_at` last: tests/integration/faulty_disk.py knows this layout. */
struct test_vfs_control {
    uint32_t n_writes, n_syncs, n_opens, n_reads;
    uint32_t n_failed;     /* how many were made to fail */
    uint32_t kinds;        /* which can fail: of enum test_vfs_kind, joined */
    uint32_t code;         /* with what: a SQLite result code */
    uint32_t sticky;       /* from then on, and not once */
    uint32_t sync_msec;    /* each sync takes this long */
    uint32_t hold;         /* writes reach the file at the next sync: a kill is then a power cut */
    uint32_t leak_percent; /* of the held writes, this many reach the file at once, as a disk may have it */
    uint32_t seed;         /* for that choice */
    uint32_t fail_at;      /* of these kinds the n-th from now on; 0: none */
};

void test_vfs_register(void);
/* Makes it the one that SQLite takes when nobody names one, controlled from there on. */
void test_vfs_register_default(struct test_vfs_control *control);
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
