/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The chain of the trail (audit-chain.h) as the store keeps it: where it stands, in memory, in the database
 * and in the key file. All of it is the worker's; what others may read is marked, and is written by the
 * worker under the store's mutex.
 *
 *   store-chain.c        a record's place in the chain, the end of an epoch, the key's moving on
 *   store-chain-end.c    where the trail ends in the database, and what was removed of its beginning
 *   store-chain-start.c  at start, the database against the key file
 *   store-chain-ask.c    after a failure, the database against memory
 *
 * Once a transaction: store_chain_begin(), store_chain_add() for each record (an operation that is undone
 * takes `link` back with it), then store_chain_commit() or store_chain_fail(). After the batch was handed
 * over, since no token waits for a file: store_chain_keep(). */

#include "broker/audit-keyfile.h"
#include "broker/store-sql.h"
#include "broker/store.h"
#include "util/list.h"

struct store_op;

struct store_repeat {
    int64_t sequence;
    uint64_t repeats;
};

/* Where the chain stands. */
struct store_chain_link {
    int64_t sequence;                     /* the last number that was given; above `row` after a loss */
    int64_t row;                          /* of the newest record */
    unsigned char hash[AUDIT_HASH_BYTES]; /* its */
    bool is_chained;                      /* it has one */
    bool is_ended;                        /* it ended its epoch, and the key has not moved on */
    bool is_setup;                        /* records are sealed with the key of a setup */
    uint64_t epoch;                       /* of the next record */
    uint64_t due_usec;                    /* when the epoch ends; 0: it has no record */
};

struct store_chain {
    char *path; /* of the key file */
    uint64_t epoch_usec;
    struct audit_keyfile *file;     /* NULL while there is none */
    struct audit_chain_key setup;   /* from a setup's operation to its commit */
    bool is_started;                /* the database and the file were compared */
    bool is_uncertain;              /* a transaction failed: was it made? */
    bool wants_write;               /* what was found there is to be synced before the file moves on */
    bool is_file_due;               /* it lags behind */
    uint64_t file_due_usec;         /* when it is tried next */
    int file_failure;               /* how the last try went */
    struct store_chain_link link;   /* as the transaction has it */
    struct store_chain_link unsure; /* after a setup whose commit failed */
    struct list notes;              /* operations: records of its own that go before all others */

    /* others read these: written by the worker alone, under the mutex */
    struct audit_chain_key key;
    struct store_chain_link committed;
    bool is_damaged; /* since the last setup */
};

/* --- store-chain.c: all in the worker, but for what is said ------------------------------------------- */

/* In a transaction: gives the record its place in the chain and writes it. */
int store_chain_add(struct store_chain *chain, struct store_db *db, struct audit_record *record) _must_check_;
/* Seal what is no record, with the present key. */
void store_chain_seal_repeats(const struct store_chain *chain, const struct store_repeat *repeat,
                              uint64_t *ret_epoch, unsigned char ret_seal[AUDIT_SEAL_BYTES]);
/* Sets the base's seal and its epoch. */
void store_chain_seal_base(const struct store_chain *chain, struct audit_base *base);

/* First in each transaction: finds out where the chain stands, if that is not known. */
int store_chain_begin(struct store *s) _must_check_;
/* After it; and after one that failed, though nobody knows how far it came. */
void store_chain_commit(struct store *s);
void store_chain_fail(struct store *s);

/* Whether a record that ends the epoch is due. */
bool store_chain_must_end(const struct store_chain *chain);
void store_chain_put_off_end(struct store_chain *chain);
/* When there is something to do without anybody asking; UINT64_MAX: never. */
uint64_t store_chain_due_usec(const struct store_chain *chain);
/* Moves the key file on, if it lags behind and is due. */
void store_chain_keep(struct store *s);
int store_chain_write_key(struct store_chain *chain);

/* An operation of the worker's own, for a record. Takes `detail`, malloc'ed or NULL. NULL: out of memory. */
struct store_op *store_chain_op(struct store *s, enum audit_event event, char *detail) _must_check_;
/* Records to be written before any other: of a key, found or made (`how`: first, lost, or NULL), and of
 * damage ("" for none). */
int store_chain_note(struct store *s, const struct audit_chain_key *key, const char *how,
                     const char *damage) _must_check_;
/* "how ID", in the place of the string that is there. */
int store_chain_describe(const char *how, const struct audit_chain_key *key, char **ret) _must_check_;

struct audit_head store_chain_head(const struct store_chain_link *link);
void store_chain_close(struct store_chain *chain);

/* --- store-chain-end.c ------------------------------------------------------------------------------- */

/* The newest record; where all were removed, the last of these. */
struct store_end {
    bool exists;
    bool is_chained; /* it has a hash */
    bool is_ended;   /* it ends its epoch */
    int64_t sequence;
    uint64_t epoch;
    unsigned char hash[AUDIT_HASH_BYTES];
};
int store_end_read(struct store_db *db, struct store_end *ret) _must_check_;
/* Whether there is, or was before it was removed, a record of this number and hash. */
int store_end_has(struct store_db *db, int64_t sequence, const unsigned char hash[AUDIT_HASH_BYTES],
                  bool *ret) _must_check_;
/* What was removed; all zeros when nothing was. */
int store_base_read(struct store_db *db, struct audit_base *ret) _must_check_;

/* --- store-chain-start.c ----------------------------------------------------------------------------- */

/* In the first transaction. */
int store_chain_start(struct store *s) _must_check_;

/* --- store-chain-ask.c ------------------------------------------------------------------------------- */

/* In the first transaction after one that failed. */
int store_chain_ask(struct store *s) _must_check_;
