/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Every limit of the daemon, one comment each: what it bounds, and why this much. */

/* --- store ---------------------------------------------------------------------------------------------- */

/* Operations in one transaction: what a burst waits for at most, and how much one failed commit takes along.
 */
#define STORE_BATCH_OPS_MAX 256
/* Repeat counters that ride along with one commit, so that they add rows and never a commit of their own. */
#define STORE_REPEATS_PER_COMMIT 64
/* How long a repeat counter waits for a commit to ride along with. */
#define STORE_REPEATS_DELAY_SEC 5
/* SQLite's page cache, for each connection. */
#define STORE_CACHE_KIB 256
/* Stack of the writer thread: SQLite and sodium need some tens of KiB. */
#define STORE_THREAD_STACK_BYTES 262144
/* Pages in the WAL (4 KiB each) from which on it is copied back into the database. */
#define STORE_WAL_PAGES 500
/* Pages up to which the whole file is checked at start (64 MiB). Above, only the tables that hold logins are:
 * a long audit trail must not keep a device from starting. */
#define STORE_CHECK_PAGES_MAX 16384
/* How long another process may hold a lock on the database before an operation fails with -EBUSY. */
#define STORE_BUSY_MSEC 1000
/* How often a WAL that could not be truncated after a removal, because a reader was in it, is tried again. */
#define STORE_TRUNCATE_RETRY_SEC 1
/* Records in one answer to an audit query. */
#define STORE_QUERY_RECORDS_MAX 1000
