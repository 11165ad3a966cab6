/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Every bound on what a peer, the provider or a file can cause, in one place (I9). */

/* --- bus ------------------------------------------------------------------------------------------------ */
#define LIMIT_DISPATCH_PER_ROUND 32   /* messages handled before other events of the loop get their turn */
#define LIMIT_CALLS_PER_PEER 256      /* method calls of one connection under way at once */
#define LIMIT_CALLS 4096              /* of all connections together */
#define LIMIT_PEERS 4096              /* connections tracked at once */
#define LIMIT_IDENTITY_LOOKUPS 2      /* name-service look-ups under way at once: the others wait */

/* --- polkit --------------------------------------------------------------------------------------------- */
#define LIMIT_POLKIT_IN_FLIGHT 64     /* a bus allows 128 pending replies; the rest wait in our queue */
#define LIMIT_POLKIT_QUEUE 8192       /* checks that wait: beyond, the answer is no */
#define LIMIT_POLKIT_TIMEOUT_SEC 20   /* without interaction; then the answer is no */
#define LIMIT_DECISIONS_PER_PEER 8    /* remembered plain yes answers of one connection */

/* --- tokens --------------------------------------------------------------------------------------------- */
#define LIMIT_HOLDS_PER_PEER 32       /* tokens remembered as held by one connection; the oldest goes first */
#define LIMIT_RESTARTS_PER_CALL 4     /* a GetToken starts over when the world changed while it waited */
#define LIMIT_REPORTS_BURST 5         /* ReportRejected refreshes of one grant in a row ... */
#define LIMIT_REPORT_INTERVAL_SEC 30  /* ... then one per this many seconds */
#define LIMIT_REPEATS_FLUSH_SEC 60    /* how lazily repeated deliveries are written to the trail */

/* --- logins --------------------------------------------------------------------------------------------- */
#define LIMIT_LOGINS_PER_UID 4        /* open login requests */
#define LIMIT_LOGINS 32
#define LIMIT_ACCOUNTS_PER_OWNER 256
#define LIMIT_SCOPE_DATA_BYTES 4096
#define LIMIT_LOCALE_BYTES 35         /* BCP 47, longest registered tag with room */
#define LIMIT_SLOW_DOWN_SEC 60        /* the longest poll interval a provider can drive us to (LWA.md 1.6) */

/* --- files ---------------------------------------------------------------------------------------------- */
#define LIMIT_CATALOGUE_BYTES 262144
#define LIMIT_TABLE_FILE_BYTES 1048576
#define LIMIT_TABLE_FILES 512
#define LIMIT_OPEN_FILES 65536        /* descriptors the daemon allows itself, where the system lets it */
