/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The bounds on what a peer, the provider or a file can cause. Those that belong to a format or an interface
 * stand with it: dbus/names.h, lwa.h, http.h. */

/* --- bus --------------------------------------------------------------------------------------------- */
#define LIMIT_DISPATCH_PER_ROUND 32 /* messages handled before other events of the loop get their turn */
#define LIMIT_CALLS_PER_PEER 256    /* method calls of one connection under way at once */
#define LIMIT_CALLS_PER_UID 1024    /* of all connections of one user */
#define LIMIT_CALLS 4096            /* of all connections together */
#define LIMIT_PEERS 4096            /* connections tracked at once */
#define LIMIT_BUS_LATE 64 /* messages that wait because memory could not hold them when they were due */
#define LIMIT_IDENTITY_LOOKUPS 2 /* name-service look-ups under way at once: the others wait */

/* --- polkit ------------------------------------------------------------------------------------------ */
#define LIMIT_POLKIT_IN_FLIGHT 64   /* a bus allows 128 pending replies; the rest wait in our queue */
#define LIMIT_POLKIT_QUEUE 8192     /* checks that wait: beyond, the answer is no */
#define LIMIT_POLKIT_PER_UID 2048   /* of these, the ones of one user's connections */
#define LIMIT_PROMPTS 16            /* checks that a person is to answer; beside those in flight */
#define LIMIT_PROMPTS_PER_UID 4     /* of these, the ones of one user's connections */
#define LIMIT_POLKIT_TIMEOUT_SEC 20 /* without interaction; then the answer is no */
#define LIMIT_DECISIONS_PER_PEER 8  /* remembered plain yes answers of one connection */

/* --- tokens ------------------------------------------------------------------------------------------ */
#define LIMIT_HOLDS_PER_PEER 32      /* tokens remembered as held by one connection; the oldest goes first */
#define LIMIT_RESTARTS_PER_CALL 4    /* a GetToken starts over when the world changed while it waited */
#define LIMIT_REPORTS_BURST 5        /* ReportRejected refreshes of one grant in a row ... */
#define LIMIT_REPORT_INTERVAL_SEC 30 /* ... then one per this many seconds */
#define LIMIT_REPEATS_FLUSH_SEC 60   /* how lazily repeats are written to the trail */
#define LIMIT_DENIALS_REMEMBERED 64  /* refusals whose repetition is counted and not recorded anew */
#define LIMIT_DENIALS_PER_UID 16     /* of them, of one user; beyond, the rest is one record with a count */

/* --- logins ------------------------------------------------------------------------------------------ */
#define LIMIT_LOGINS_PER_UID 4 /* open login requests */
#define LIMIT_LOGINS 32
#define LIMIT_ACCOUNTS_PER_OWNER 256
#define LIMIT_GRANTS_PER_ACCOUNT 64 /* GetToken looks at every one of them */
#define LIMIT_SCOPE_DATA_BYTES 4096
#define LIMIT_LOCALE_BYTES 35  /* BCP 47, longest registered tag with room */
#define LIMIT_SLOW_DOWN_SEC 60 /* the longest poll interval that slow_down leads to */

/* --- files ------------------------------------------------------------------------------------------- */
#define LIMIT_CATALOGUE_BYTES 262144
#define LIMIT_TABLE_FILE_BYTES 1048576
#define LIMIT_TABLE_FILES 512
#define LIMIT_OPEN_FILES 65536 /* descriptors the daemon allows itself, where the system lets it */

/* --- store ------------------------------------------------------------------------------------------- */

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
