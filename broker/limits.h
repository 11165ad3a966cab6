/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The bounds on what a peer, the provider or a file can cause. Those that belong to a format or an interface
 * stand with it: dbus/names.h, lwa.h, http.h. */

/* --- what an administrator may set ------------------------------------------------------------------- */

/* The keys of [limits] in broker.conf, each with its default, its bounds, and what it limits, as
 * --print-config and the manual page say it. They become the members of struct config_limits. */
#define LIMITS_CONFIGURED(X)                                                                                 \
    X(calls, 4096, 16, 65536, "Calls of all apps together that may be under way at once.")                   \
    X(calls_per_uid, 1024, 8, 65536, "Of these, the calls of one user.")                                     \
    X(calls_per_app, 1024, 4, 65536, "Of these, the calls of one app.")                                      \
    X(calls_per_connection, 256, 2, 65536, "Of these, the calls of one connection to the bus.")              \
    X(connections, 4096, 16, 65536, "Connections to the bus that are remembered at once.")                   \
    X(connections_per_uid, 256, 2, 65536, "Of these, the connections of one user.")                          \
    X(app_rate, 300, 1, 100000,                                                                              \
      "Calls per second that one app may make for long. A call that is dear to answer counts as several.")   \
    X(app_burst, 1000, 10, 1000000, "Calls that one app may make at once after it was quiet.")               \
    X(uid_rate, 600, 1, 100000, "Calls per second of all apps of one user, counted in the same way.")        \
    X(uid_burst, 2000, 10, 1000000, "Calls of all apps of one user at once.")                                \
    X(scopes_per_call, 32, 1, 32, "Scopes that one call may name.")                                          \
    X(logins, 32, 1, 1024, "Logins that may be open at once.")                                               \
    X(logins_per_uid, 4, 1, 1024, "Of these, the logins of one user.")                                       \
    X(prompts, 16, 1, 64, "Questions that may wait at once for a person to answer them.")                    \
    X(prompts_per_uid, 4, 1, 64, "Of these, the questions to one user.")                                     \
    X(accounts_per_owner, 256, 1, 1024, "Accounts that one user, or the device, may have.")                  \
    X(app_report_burst, 5, 1, 1000,                                                                          \
      "Renewals of one login that one app may cause at once by reporting tokens as rejected.")               \
    X(app_report_interval, 30, 1, 3600, "Seconds until such an app may cause one more.")                     \
    X(grant_report_burst, 20, 1, 1000, "Renewals of one login that all apps together may cause so at once.") \
    X(grant_report_interval, 10, 1, 3600, "Seconds until they may cause one more.")                          \
    X(change_burst, 2000, 10, 1000000,                                                                       \
      "Changes of accounts, logins and consents that one user may make at once: each is a record or two.")   \
    X(change_interval, 10, 1, 3600, "Seconds until such a user may make one more.")

/* --- bus --------------------------------------------------------------------------------------------- */
#define LIMIT_DISPATCH_PER_ROUND 32 /* messages handled before other events of the loop get their turn */
#define LIMIT_BUS_LATE 64   /* messages that wait because memory could not hold them when they were due */
#define LIMIT_APPEARED 8192 /* connections whose age is known; a bus allows 2,048 of all users */
#define LIMIT_IDENTITY_LOOKUPS 2   /* name-service look-ups under way at once: the others wait */
#define LIMIT_LOOK_AGAIN_SEC 1     /* until a process that could not be identified is looked at again */
#define LIMIT_QUOTAS 1024          /* users and apps whose use is remembered; those at rest go first */
#define LIMIT_QUOTAS_PER_UID 64    /* of these, apps of one user; the further ones share one place */
#define LIMIT_STRANGER_CALLS 8     /* what a connection may always ask before it is known whose it is */
#define LIMIT_STRANGER_RATE 2000   /* beyond that: calls per second of all such connections together ... */
#define LIMIT_STRANGER_BURST 20000 /* ... and so many at once */
#define LIMIT_REFUSAL_RATE 100     /* RateLimited answers per second to one user ... */
#define LIMIT_REFUSAL_BURST 1000   /* ... and so many at once; beyond, there is none */
#define LIMIT_REFUSAL_LOG_SEC 60   /* how often the log says who is refused, at most */

/* What is dear, in units of app_rate and uid_rate; any other call costs one. */
#define COST_CONNECTION 4     /* the first one of a connection: it is looked up whose it is */
#define COST_REPLY_BYTES 1024 /* one more unit for each of these in the answer */
#define COST_POLKIT_CHECK 10  /* polkitd answers some 300 a second */
#define COST_LOGIN 50         /* Begin: a request to the provider, and polls */
#define COST_CHANGE 20        /* what is written to the store */
#define COST_REPORT 5         /* ReportRejected */
#define COST_AUDIT 20         /* a query of the trail */
#define COST_VERIFY 100       /* all of the trail is read */
#define COST_REVOKE 40        /* a change and a query */

/* COST_REPLY_BYTES for who may read the whole trail, and fetches it. */
#define COST_TRAIL_BYTES 1048576

/* --- lwa-identd -------------------------------------------------------------------------------------- */
#define LIMIT_IDENTD_CHILDREN 128         /* look-ups under way at once, one that is stuck included */
#define LIMIT_IDENTD_PER_UID 2            /* of them, those of one user's processes */
#define LIMIT_IDENTD_WAITING 4096         /* look-ups that wait for their turn; beyond, IDENTD_BUSY */
#define LIMIT_IDENTD_WAITING_PER_UID 1024 /* of them, those of one user's processes */
#define LIMIT_IDENTD_LOOK_SEC 5           /* what one may take; then it is given up ... */
#define LIMIT_IDENTD_WAIT_SEC 10          /* ... and what it may wait before; then it is IDENTD_TIMEOUT */
#define LIMIT_IDENTD_ANSWER_SEC 20        /* when the daemon no longer waits for lwa-identd */
#define LIMIT_IDENTD_READY_SEC 30         /* until lwa-identd has said that it is ready */
#define LIMIT_IDENTD_MESSAGES 64          /* taken at once, before other events get their turn */
#define LIMIT_FLATPAK_INFO_BYTES 65536    /* /.flatpak-info: one has 1 or 2 KiB */
#define LIMIT_PROC_FILE_BYTES 65536       /* a file of /proc/PID */

/* --- polkit ------------------------------------------------------------------------------------------ */
#define LIMIT_POLKIT_IN_FLIGHT 64   /* a bus allows 128 pending replies; the rest wait in our queue */
#define LIMIT_POLKIT_QUEUE 8192     /* checks that wait: beyond, the answer is no */
#define LIMIT_POLKIT_PER_UID 2048   /* of these, the ones of one user's connections */
#define LIMIT_POLKIT_RATE 250       /* what polkitd answers in a second, to say when to come back */
#define LIMIT_POLKIT_TIMEOUT_SEC 20 /* without interaction; then the answer is no */
#define LIMIT_DECISIONS_PER_PEER 8  /* remembered plain yes answers of one connection */
/* How long Reload waits for polkitd to notice its rules: the watch of its library holds an event back for
 * 100. */
#define LIMIT_POLKIT_SETTLE_MSEC 300

/* --- asking a person --------------------------------------------------------------------------------- */
#define LIMIT_CONSENTS_PER_CALL 2     /* prompts for consent: the login may be another after the first */
#define LIMIT_TURNS_PER_CALL 8        /* times that a call waits for a question of another call of its app */
#define LIMIT_PROMPT_PAUSE_SEC 60     /* after a no, before the app may ask again */
#define LIMIT_PROMPTS_LEFT 3          /* questions left unanswered in that time, before it is as after a no */
#define LIMIT_PROMPT_PAUSES 64        /* apps that were told no and wait; the oldest goes first */
#define LIMIT_PROMPT_PAUSES_PER_UID 8 /* when so many of a user's apps wait, so do all of them */
#define LIMIT_PROMPT_NAME_BYTES 100   /* of what the table calls the app */
#define LIMIT_PROMPT_SENTENCE_BYTES 8192 /* what would be longer is not asked: nobody reads it */

/* --- tokens ------------------------------------------------------------------------------------------ */
#define LIMIT_HOLDS_PER_PEER 32     /* tokens remembered as held by one connection; the oldest goes first */
#define LIMIT_RESTARTS_PER_CALL 4   /* a GetToken starts over when the world changed while it waited */
#define LIMIT_REPORTERS 256         /* apps whose reports are counted at once, by login */
#define LIMIT_REPORTERS_PER_UID 64  /* of them, those of one user */
#define LIMIT_FAILING_GRANTS 3      /* different ones, none answered between: then tries go out one by one */
#define LIMIT_REFRESHES_AHEAD 16    /* under way at once, of those that nobody waits for yet */
#define LIMIT_REPEATS_FLUSH_SEC 60  /* how lazily repeats are written to the trail */
#define LIMIT_DENIALS_REMEMBERED 64 /* refusals whose repetition is counted and not recorded anew */
#define LIMIT_DENIALS_OF_ALL 16     /* places for those that count the rest of everybody, one an error */
#define LIMIT_REJECTED_RECORDED 16  /* files of grants.d that are said to be malformed, of one reading */
#define LIMIT_SINK_WAITING 1024     /* records that wait for a slow collector of logs ... */
#define LIMIT_SINK_WAITING_BYTES 1048576 /* ... and what they are long together */
#define LIMIT_DENIALS_PER_UID 16 /* of them, of one user; beyond, so many that count the rest, and one */

/* --- consents ---------------------------------------------------------------------------------------- */
#define LIMIT_CONSENTS_PER_ACCOUNT 1024 /* remembered answers: every one is a row of the store */
#define LIMIT_CONSENTS_PER_APP 256      /* of them, those about one app: GetToken looks at every one */
#define LIMIT_CONSENTS_BEYOND 256       /* more of both, for denials only */
#define LIMIT_CONSENT_EXPIRY_SEC 3600   /* how long the end of one is waited for at a stretch, at most */
#define LIMIT_CONSENT_RETRY_SEC 60      /* until what ran out and could not be removed is tried again */

/* --- logins ------------------------------------------------------------------------------------------ */
#define LIMIT_GRANTS_PER_ACCOUNT 64 /* GetToken looks at every one of them */
#define LIMIT_SCOPE_DATA_BYTES 4096 /* the option scope_data, JSON for Amazon's page */
#define LIMIT_LOCALE_BYTES 35       /* BCP 47, longest registered tag with room */
#define LIMIT_AUTHORIZE_SEC 600     /* for a redirect: where LWA shows an error as a page, none ever comes */
#define LIMIT_WRONG_STATES 16       /* Complete with a state that is not the login's; then it is given up */
#define LIMIT_SLOW_DOWN_SEC 60      /* the longest poll interval that slow_down leads to */

/* --- diagnosis --------------------------------------------------------------------------------------- */
#define LIMIT_FINDINGS 1024       /* rows of one diagnosis */
#define LIMIT_DIAGNOSE_SEC 30     /* what has not answered by then is said to be silent */
#define LIMIT_DIAGNOSE_DEATHS 100 /* records of logins that ended, the newest of them, that are looked at */

/* --- files ------------------------------------------------------------------------------------------- */
#define LIMIT_CATALOGUE_BYTES 262144     /* one file of scopes.d */
#define LIMIT_TABLE_FILE_BYTES 1048576   /* one file of grants.d */
#define LIMIT_TABLE_FILES 512            /* files in grants.d; also in scopes.d */
#define LIMIT_PLAN_SECTIONS 512          /* for one account: Plan compares each with each, on the loop */
#define LIMIT_PLAN_TABLE_SECTIONS 65536  /* in grants.d, through which Plan looks for them */
#define LIMIT_POLICY_QUIET_MSEC 200      /* no change in grants.d for so long: it is read */
#define LIMIT_POLICY_GATHER_MSEC 1000    /* it is read after so long at the latest */
#define LIMIT_POLICY_RETRY_SEC 5         /* how often what could not be read or watched is tried again */
#define LIMIT_POLICY_TRIES 8             /* to read grants.d while its files vanish; then later again */
#define LIMIT_POLICY_EXPIRY_SEC 86400    /* how often the wait for the end of a section begins anew */
#define LIMIT_OPEN_FILES 65536           /* descriptors the daemon allows itself, where the system lets it */
#define LIMIT_LOCKED_BYTES 67108864      /* memory that may be locked, a page and more for each secret */
#define LIMIT_RESERVE_BLOCKS 4           /* of address space, set aside for the answers that exist once */
#define LIMIT_RESERVE_BLOCK_BYTES 262144 /* malloc() asks the kernel for 132 KiB at once */
#define LIMIT_WATCHED_DESCRIPTORS 4096   /* up to this number they are watched without further memory */

/* --- store ------------------------------------------------------------------------------------------- */

/* Operations in one transaction: what a burst waits for at most, and what one failed commit takes along. */
#define STORE_BATCH_OPS_MAX 256
/* After a commit that served several, as many are waited for before the next, for this part of what it took.
 */
#define STORE_GATHER_PART 4
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
/* How often it is tried whether a store that could not write can again. */
#define STORE_PROBE_SEC 2
/* What is younger is not removed from the trail, however large it is. */
#define LIMIT_TRAIL_YOUNG_SEC 3600
/* When it is looked at what may go: so long after the start; so long after the last time, on a device that
 * does nothing, and on one that writes records; no sooner in any case. */
#define STORE_PRUNE_START_SEC 300
#define STORE_PRUNE_IDLE_SEC 86400
#define STORE_PRUNE_BUSY_SEC 3600
#define STORE_PRUNE_PAUSE_SEC 60
/* What is too large is brought down to less than it may be, by this part, so that it is done seldom. */
#define STORE_PRUNE_MARGIN 16
/* Records that are looked at, and removed, in one turn of the worker. */
#define STORE_PRUNE_WALK_ROWS 64
#define STORE_PRUNE_ROWS_MIN 16
#define STORE_PRUNE_ROWS_MAX 64
/* How long the pause after a removal is, in what that took. */
#define STORE_PRUNE_PAUSE_PARTS 3
/* How long is waited for a reader that keeps the WAL from being emptied. */
#define STORE_PRUNE_WAL_MSEC 200
/* How long one key of the trail seals, where nobody says. */
#define STORE_EPOCH_SEC 900
/* Until a record that ends an epoch, and that memory could not hold, is tried again. */
#define STORE_EPOCH_RETRY_SEC 1
/* How often a key file that cannot be written is tried again. */
#define STORE_KEYFILE_RETRY_SEC 10
/* Epochs that the key file may be behind the trail; a key moves on a hundred thousand times in a second or
 * two. */
#define STORE_EPOCHS_BEHIND_MAX 100000
/* Sums of the trail (Audit1.Matrix): one for each app, user and scopes. The oldest are left out. */
#define LIMIT_MATRIX_ENTRIES 4096
#define LIMIT_MATRIX_SLICE 8192  /* records that are looked at in one read transaction */
#define LIMIT_MATRIX_APPS 512    /* of one user each, in one answer: each has a verdict, found on the loop */
#define LIMIT_MATRIX_PROGRAMS 16 /* of one app, that the table tells apart */
#define LIMIT_MATRIX_ROWS 8192
/* Audit1.Verify: records in one read transaction, and findings that are told (all are counted). */
#define LIMIT_VERIFY_SLICE 4096
#define LIMIT_VERIFY_FINDINGS 100
/* How often it begins anew when retention removes what it was still to read. */
#define LIMIT_VERIFY_STARTS 16

/* --- audit trail -------------------------------------------------------------------------------------- */
/* For so many epochs a key file that could not be written is made up for at a start. */
#define LIMIT_AUDIT_HEAD_EPOCHS 4096
/* Records in one answer to an audit query ... */
#define STORE_QUERY_RECORDS_MAX 1000
/* ... and bytes, of which a record without its texts is so many. */
#define STORE_QUERY_BYTES_MAX 1048576
#define STORE_QUERY_RECORD_BYTES 1200
/* How long it looks for them; then the rest is another query. */
#define STORE_QUERY_MSEC 250
/* The lifetime of a token is no longer: lwa-reply.c takes no other. What the trail says is held must end so
 * soon, or stand among the newest records: then the clock was wrong. */
#define LIMIT_TOKEN_LIFETIME_SEC 86400
#define STORE_QUERY_NEWEST_RECORDS 1000
/* Records that it looks at before it lets go of the database for a moment. */
#define SEARCH_SLICE_ROWS 1000
/* Queries of the trail in libuv's pool, whose other workers ask for users' names. */
#define LIMIT_AUDIT_QUERIES 2
/* How long a query waits for a record, at most; how many do so at once, and of these, those of one user. */
#define LIMIT_AUDIT_WAIT_SEC 20
#define LIMIT_AUDIT_WAITS 64
#define LIMIT_AUDIT_WAITS_PER_UID 8
/* How often the verifier moves a key on by an epoch, besides once for each epoch that the trail has: to where
 * the trail begins and over what is missing (half of what is left at once: 8 years of one minute each at the
 * first), and for counters of repeats that were sealed in a later epoch, at all and more for each epoch of
 * the trail. It is what a forged number of an epoch can cost. */
#define LIMIT_AUDIT_VERIFY_STEPS 8388608
#define LIMIT_AUDIT_VERIFY_AHEAD 65536
#define LIMIT_AUDIT_VERIFY_AHEAD_PER_EPOCH 64
/* Epochs that may be left out without records that are missing, and the key goes along. */
#define LIMIT_AUDIT_VERIFY_LEFT_OUT 4
/* Seals that do not fit, until it is known whether there was a setup between. */
#define LIMIT_AUDIT_VERIFY_SUSPECTS 65536
/* One line of an export that lwa-audit-verify reads: many times a record. */
#define LIMIT_AUDIT_LINE_BYTES 262144
