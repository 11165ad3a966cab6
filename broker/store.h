/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The store: accounts, sealed refresh tokens and the audit trail in one SQLite database (WAL,
 * synchronous=FULL), written by one thread of its own.
 *
 * The loop hands the thread operations and never waits for it. The thread takes all that are queued, runs
 * each in a savepoint of one transaction, commits once (group commit: what arrives during a commit goes into
 * the next), and only then are the callbacks run, on the loop's thread, in the order of the calls. So: a
 * callback with r == 0 means durable (I3, I4). When the commit itself fails every operation of it fails.
 *
 * Refresh tokens are sealed and unsealed in the thread; an unsealed one exists only in the struct secret that
 * store_refresh_begin() hands out, for the one refresh that needs it.
 *
 * An operation cannot be taken back. Dropping its slot only stops the callback. A result: 0; STORE_E_GONE
 * (the row is not there, or its generation is another: something else won); any negative errno (nothing of
 * the operation happened: -ENOSPC, -EROFS, -EIO, -EBUSY, -EUCLEAN for corruption, ...). */

#include "broker/audit-chain.h"
#include "broker/audit-filter.h"
#include "broker/keys.h"
#include "broker/owner.h"
#include "broker/retention.h"

#include <uv.h>

#define STORE_CUSTOMER_BYTES 32

struct store;
struct store_matrix;
struct store_verify;
struct store_op;

struct store_options {
    const char *path; /* of the database file; its folder must exist */
    const char *vfs;  /* SQLite VFS; NULL for the default. For tests of what a disk can do */
    struct key_source key_source;
    const char *audit_key_path; /* file of the trail's key (audit-keyfile.h); NULL: PATH-audit.key */
    uint64_t audit_epoch_usec;  /* how long one key seals; 0: a quarter of an hour */
};

enum {
    STORE_E_GONE = 1, /* of operations, see above */
    /* Of store_open(). In each the files are left as they were found. */
    STORE_E_CORRUPT = 2,   /* not a database, or its integrity check fails */
    STORE_E_TOO_NEW = 3,   /* made by a later version */
    STORE_E_NO_KEY = 4,    /* holds sealed logins, and there is no key */
    STORE_E_OTHER_KEY = 5, /* its logins are sealed under another key, or its sealed index key was altered */
    STORE_E_BAD_KEY = 6,   /* the key source is malformed or readable by others */
};

/* Opens, checks, migrates; makes the database and the key where there is neither. Blocks: at start only. */
int store_open(uv_loop_t *loop, const struct store_options *options, struct store **ret) _must_check_;
/* Runs what is queued to its end, runs its callbacks, stops the thread, closes. Blocks. */
void store_close(struct store *s);
DEFINE_CLEANUP(struct store, store_close);

/* What became of the master key at store_open(). */
enum store_key_event {
    STORE_KEY_KEPT,
    STORE_KEY_CREATED,
    STORE_KEY_MOVED,    /* what the previous one sealed is sealed with the configured one now */
    STORE_KEY_FINISHED, /* a rotation was cut short after its commit; it is done now */
};
enum store_key_event store_key_event(const struct store *s) _must_check_;

/* Names the key that the database was opened with. */
void store_key_id(const struct store *s, unsigned char ret[KEYS_ID_BYTES]);

/* How the broker's last run ended, for start-up before anything is recorded; blocks. *ret_sequence is the
 * last record of a run that did not say that it stopped; 0 where it did, or there was none. */
int store_find_crash(struct store *s, int64_t *ret_sequence) _must_check_;

/* NULL while it works, else what is wrong and what to do: "cannot be written: ...", to follow "the store". It
 * is logged when it changes, and found out without being asked when it is over. */
const char *store_health(const struct store *s) _must_check_;

/* The same of the trail, to follow "the audit trail". */
enum store_trail_trouble {
    STORE_TRAIL_OK,
    STORE_TRAIL_DAMAGED,  /* at a start records were missing or altered, and there was no setup since */
    STORE_TRAIL_LARGE,    /* larger than it may be, and what is left is too young to be removed */
    STORE_TRAIL_KEY_FILE, /* the key file cannot be written: the key does not move on in it */
};
const char *store_trail_health(const struct store *s) _must_check_;

/* How long, and how much of it, the trail is kept. The rest is removed from its oldest record on while
 * nothing else is to be done: soon after the first call, at once after one that changes it, and then every
 * day, or every hour while records are written, or when it has grown too large. */
void store_set_retention(struct store *s, const struct retention *limits);

/* Is told of every record once it is durable, the store's own among them, in the order of the trail, on the
 * loop's thread and before the callback of its operation. NULL: nobody. */
typedef void (*store_record_callback)(const struct audit_record *record, void *userdata);
void store_on_record(struct store *s, store_record_callback callback, void *userdata);

/* What is in it, for start-up; blocks. The pointers are good during the call only. A visitor's negative
 * return ends the load and is handed up. Accounts come first, then grants, then consents. */
struct store_account {
    int64_t row;
    const char *id;
    const char *label;
    struct owner owner;
    bool is_default;
    int64_t created_sec;
    const unsigned char *customer; /* STORE_CUSTOMER_BYTES, see store_customer_hash() */
};

struct store_grant {
    int64_t row;
    int64_t account; /* row of the account; 0 while the login is not proven yet */
    struct owner owner;
    const char *target; /* unproven: the account id it is meant to extend, "" for none */
    const char *label;  /* unproven: label for a new account, "" for none */
    const char *endpoint;
    const char *client_id;
    const char *flow;
    const char *may_carry; /* scopes joined by spaces */
    const char *carries;
    bool claimed;
    uint64_t generation;
    bool is_dead;
    const char *dead_reason; /* "" while alive */
    bool intent_open;        /* a refresh was begun and never ended: its answer may be lost */
    bool has_previous;       /* the token before the last rotation is still kept */
    int64_t created_sec;
    int64_t refreshed_sec; /* 0: never. Of a dead one: when it died, which a refresh found out */
};

/* What an account's owner answered about an app. */
struct store_consent {
    int64_t account; /* row of the account */
    const char *app;
    const char *scope;  /* "" for every scope */
    const char *answer; /* allow, deny */
    const char *lasts;  /* once, logout, until */
    int64_t given_sec;
    int64_t until_sec;
    const char *how; /* prompt, command */
    uid_t by_uid;
    const char *by_name;
};

struct store_visitor {
    int (*account)(const struct store_account *account, void *userdata);
    int (*grant)(const struct store_grant *grant, void *userdata);
    int (*consent)(const struct store_consent *consent, void *userdata); /* NULL: they are left out */
};

int store_load(struct store *s, const struct store_visitor *visitor, void *userdata) _must_check_;

/* --- operations -------------------------------------------------------------------------------------- */

struct store_reply {
    int r;
    int64_t row;          /* of what was added */
    uint64_t generation;  /* of the grant, after the operation */
    struct secret *token; /* store_refresh_begin(), store_setup_audit(), or one that could not be stored (r <
                           * 0): TAKE_PTR it, or it is freed after the callback */
    struct audit_record **records; /* store_audit_query(): n of them, freed after the callback */
    size_t n_records;
    struct store_matrix *matrix;         /* store_matrix_query(); freed after the callback */
    struct store_verify *verify;         /* store_verify_query(); the same */
    int64_t next;                        /* store_audit_query(): pass as `after` to go on; 0 at the end */
    unsigned char key_id[KEYS_ID_BYTES]; /* store_rekey(): of the new key */
    bool is_key_beside;                  /* store_rekey(): it is in FILE.new until the next start */
    uint64_t epoch;                      /* store_setup_audit(): the first that the secret proves */
};

typedef void (*store_callback)(struct store_reply *reply, void *userdata);

/* Stops the callback; NULL is fine. Invalid once the callback has begun. */
void store_op_drop(struct store_op *op);
DEFINE_CLEANUP(struct store_op, store_op_drop);

/* Every operation: copies what it is given by const pointer, takes `record` (and `token`) even when it fails,
 * writes the record in its own transaction, returns 0 or -ENOMEM (then no callback will run), or -ESHUTDOWN.
 * `record` may be NULL where the operation has another purpose; callback and ret_op may be NULL (*ret_op is
 * NULL without a callback). A record whose `grant` is 0 gets the row of the operation's grant. */

int store_audit(struct store *s, struct audit_record *record, store_callback callback, void *userdata,
                struct store_op **ret_op) _must_check_;

/* Adds the refresh token of a login that is not proven yet, generation 1, with a refresh intent open (the
 * proving refresh follows at once, with this very token). reply->row is the grant. Of `grant` the owner,
 * target, label, endpoint, client_id, flow, may_carry, carries and claimed are read. */
int store_add_grant(struct store *s, const struct store_grant *grant, struct secret *token,
                    struct audit_record *record, store_callback callback, void *userdata,
                    struct store_op **ret_op) _must_check_;

enum store_token_which { STORE_TOKEN_CURRENT, STORE_TOKEN_PREVIOUS };

/* Writes the refresh intent and hands out the refresh token: once the callback runs with 0 the refresh may be
 * sent. A dead grant is STORE_E_GONE. -ENOENT when the previous token is asked for and none is kept; -EBADMSG
 * when the blob does not open. */
int store_refresh_begin(struct store *s, int64_t grant, uint64_t generation, enum store_token_which which,
                        store_callback callback, void *userdata, struct store_op **ret_op) _must_check_;

/* Ends a refresh that succeeded: closes the intent and, where the provider sent a refresh token that differs
 * from the stored one, seals it as the current one (generation + 1) and keeps the one before. `rotated` may
 * be NULL; when the operation cannot even be queued it stays the caller's. After a refresh with the previous
 * token, `which` says so: that token is then the current one, under the next generation. Without a rotation
 * the current token has proven itself, and a previous one is dropped. */
int store_refresh_finish(struct store *s, int64_t grant, uint64_t generation, enum store_token_which which,
                         struct secret *rotated, struct audit_record *record, store_callback callback,
                         void *userdata, struct store_op **ret_op) _must_check_;

enum store_refresh_end {
    STORE_REFRESH_RETRY,     /* nothing was changed at the provider: close the intent */
    STORE_REFRESH_AMBIGUOUS, /* sent, and no answer: leave the intent open */
    STORE_REFRESH_DEAD,      /* invalid_grant: mark dead, keep the blob */
};

int store_refresh_fail(struct store *s, int64_t grant, uint64_t generation, enum store_refresh_end end,
                       const char *reason, struct audit_record *record, store_callback callback,
                       void *userdata, struct store_op **ret_op) _must_check_;

/* Links a proven grant to an account: an existing one (account_row > 0), or a new one made of the rest; and
 * removes the grants of that account that it supersedes. reply->row is the account's row. -EPERM when the
 * existing account is another owner's or another customer's, -EEXIST when the owner has an account of this
 * id. */
struct store_link {
    int64_t grant;
    int64_t account_row;
    const char *id;
    const char *label;
    bool is_default;
    unsigned char customer[STORE_CUSTOMER_BYTES];
    const int64_t *superseded;
    size_t n_superseded;
};

int store_link(struct store *s, const struct store_link *link, struct audit_record *record,
               store_callback callback, void *userdata, struct store_op **ret_op) _must_check_;

int store_remove_grant(struct store *s, int64_t grant, struct audit_record *record, store_callback callback,
                       void *userdata, struct store_op **ret_op) _must_check_;

/* Removes the account with its grants and consents; an owner's default is handed over to the oldest account
 * that is left; with its owner's last account (and unproven grant) the owner and its key go. secure_delete,
 * then a truncating checkpoint (after the commit; best effort). */
int store_remove_account(struct store *s, int64_t account, struct audit_record *record,
                         store_callback callback, void *userdata, struct store_op **ret_op) _must_check_;

/* A new label (NULL: as it was); with make_default the owner's other accounts stop being the default. */
int store_change_account(struct store *s, int64_t account, const char *label, bool make_default,
                         struct audit_record *record, store_callback callback, void *userdata,
                         struct store_op **ret_op) _must_check_;

/* Seals all that the master key seals with a new one, which takes the place of the old one in the key file:
 * keys.h has the order. reply->row is the number of owners whose keys were sealed anew. -EOPNOTSUPP at once
 * when the key is a credential. -EEXIST when a file FILE.new is there that is no key. */
int store_rekey(struct store *s, struct audit_record *record, store_callback callback, void *userdata,
                struct store_op **ret_op) _must_check_;

/* Scopes joined by spaces; NULL: none. */
struct store_consent_scopes {
    bool all;
    const char *names;
};

/* Ends the trail's epoch and begins a new chain of keys. reply->token is its first key, C(reply->epoch): the
 * verification secret (TAKE_PTR it). The store forgets it: what it keeps is the key that follows. `record` is
 * an AUDIT_TRAIL_KEY_CREATED, whose detail is set here; reply->row is its sequence. A key file that cannot be
 * written fails it. */
int store_setup_audit(struct store *s, struct audit_record *record, store_callback callback, void *userdata,
                      struct store_op **ret_op) _must_check_;

/* Where the trail stands, all of one instant; from any thread. A reading of the database that begins after it
 * finds the head there. */
struct store_chain_view {
    struct audit_head head;     /* of the newest record; sequence 0: none is chained */
    struct audit_chain_key key; /* of the present epoch; a copy */
};
/* 0, -ENOMEM; -EAGAIN: it could not be found out yet. */
int store_chain_view(struct store *s, struct store_chain_view *ret) _must_check_;
void store_chain_view_clear(struct store_chain_view *view);

/* First drops answers, then gives `of` (all but its scope) for each scope of `gives`, in the place of what
 * was there: "" gives it for every scope, NULL gives nothing. */
struct store_consent_change {
    struct store_consent of; /* its app may be "" where answers are only dropped: those about every app */
    struct store_consent_scopes drops_allow, drops_deny;
    const char *gives;
};

/* STORE_E_GONE: there is no such account, or nothing to be dropped where nothing is given. -EEXIST: an allow
 * beside a denial of every scope. -EUSERS: too many, see limits.h. */
int store_change_consents(struct store *s, const struct store_consent_change *change,
                          struct audit_record *record, store_callback callback, void *userdata,
                          struct store_op **ret_op) _must_check_;
/* The record of a disclosure (reply->row is its sequence), and the `once` answers for `scopes` (joined) are
 * gone. STORE_E_GONE: one of them was gone already. */
int store_use_consents(struct store *s, int64_t account, const char *app, const char *scopes,
                       struct audit_record *record, store_callback callback, void *userdata,
                       struct store_op **ret_op) _must_check_;
/* Drops the answers about the app that ran out at `now_sec`. STORE_E_GONE: there are none. */
int store_expire_consents(struct store *s, int64_t account, const char *app, int64_t now_sec,
                          struct audit_record *record, store_callback callback, void *userdata,
                          struct store_op **ret_op) _must_check_;

/* Sets how often the disclosure of record `sequence` was repeated. */
int store_count_repeats(struct store *s, int64_t sequence, uint64_t repeats) _must_check_;

/* Queries of the trail run on read-only connections beside the writer, so that they delay no commit, at most
 * LIMIT_AUDIT_QUERIES at once and fairly between the users that ask. Their callbacks come in no order with
 * those of the other operations. Dropping their slot ends them. */

/* Which part of what fits: at most `limit` (1 to 1,000) records after sequence `after`, oldest first. With
 * `is_newest` the newest ones instead, or with an `after` the ones before it; still oldest first. */
struct store_page {
    int64_t after;
    unsigned limit;
    bool is_newest;
};

/* The records that fit. reply->next is the `after` to go on with, and 0 at the end. Not every page is full: a
 * query ends after STORE_QUERY_MSEC, and at STORE_QUERY_BYTES_MAX. */
int store_audit_query(struct store *s, const struct audit_filter *filter, const struct store_page *page,
                      uid_t asker, store_callback callback, void *userdata,
                      struct store_op **ret_op) _must_check_;

/* Who holds a token now. */
struct store_exposure_filter {
    int64_t now_sec;
    uid_t uid;                                  /* apps of this user, and accounts of this user; -1: all */
    uid_t owner_uid;                            /* accounts of this user only; (uid_t)-1: all */
    char owner[OWNER_NAME_MAX];                 /* with owner_uid: his name */
    bool is_device;                             /* the device's accounts only */
    char app[IDENTITY_APP_SIZE];                /* "": all */
    char account[LWA_ACCOUNT_ID_BYTES_MAX + 1]; /* "": all */
    struct strv scopes;                         /* that carry one of these; empty: all */
};

/* The disclosures of tokens that are good still, the newest first and at most 1,000: one for each token, app
 * and user. */
int store_exposure_query(struct store *s, const struct store_exposure_filter *filter, uid_t asker,
                         store_callback callback, void *userdata, struct store_op **ret_op) _must_check_;

/* Whether the pages of the database are as SQLite left them: 0, or STORE_E_CORRUPT. Of a large one only the
 * tables that hold logins are looked at, as at a start. */
int store_pages_query(struct store *s, uid_t asker, store_callback callback, void *userdata,
                      struct store_op **ret_op) _must_check_;
/* Whether store_open() would take this database and key, which nobody has open: reads only. Its outcomes;
 * -ENOENT: there is no database yet. Blocks. */
int store_check_closed(const struct store_options *options) _must_check_;

/* Sealing stays inside; these two name a value without revealing it (keyed hashes whose key is in the store).
 * Cheap, no I/O. */
void store_fingerprint(const struct store *s, const void *token, size_t n,
                       unsigned char ret[AUDIT_FINGERPRINT_BYTES]);
void store_customer_hash(const struct store *s, const char *user_id, unsigned char ret[STORE_CUSTOMER_BYTES]);
