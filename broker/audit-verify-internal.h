/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The parts of the verifier: audit-verify.c goes through the trail, audit-verify-epochs.c has the rules 2 and
 * 3 of the header, audit-verify-finish.c what only the whole tells, audit-verify-keys.c the key of each
 * epoch; audit-verify-findings.c keeps what is found. */

#include "broker/audit-text.h"
#include "broker/audit-verify.h"

#include <inttypes.h>

/* --- keys -------------------------------------------------------------------------------------------- */

#define VERIFY_KEYS_CACHED 64 /* a token that is delivered again is some epochs older by then, not many */

/* What could not be checked when it was seen: by then another chain of keys may have begun. */
struct verify_suspect {
    enum audit_finding_kind kind;
    int64_t sequence;
    uint64_t epoch; /* of the key that its seal does not fit */
};

struct verify_keys {
    struct audit_chain_key key; /* moved on to the record's epoch; key NULL: there is none */
    uint64_t from;              /* the first epoch that it can check */
    uint64_t end;               /* the first that it no longer can; 0: there was no other chain of keys */
    struct audit_chain_key cache[VERIFY_KEYS_CACHED];
    int64_t sequence; /* the last record that `key` was right for; 0: there was none yet */
    /* How often keys may still be moved on, and were: what a forged epoch can cost. */
    uint64_t budget, budget_ahead, n_steps;
    struct verify_suspect *suspects;
    size_t n_suspects, suspects_size;
    uint64_t n_fit, n_misfit; /* seals */
};

int verify_keys_init(struct verify_keys *keys, const struct audit_chain_key *key) _must_check_;
void verify_keys_deinit(struct verify_keys *keys);
/* Whether what was sealed in this epoch can be checked, as far as it is known. */
bool verify_keys_cover(const struct verify_keys *keys, uint64_t epoch);
/* To the epoch of the next record, unless it is so far ahead that it cannot be right: every epoch has a
 * record at least, so it is no further than the record's number. No epoch before it is asked for any more. 0
 * or -ENOMEM. */
int verify_keys_advance(struct verify_keys *keys, uint64_t epoch, int64_t sequence) _must_check_;
/* That of a covered epoch, the record's or a later one. NULL in `ret`: it is so far ahead that it cannot be
 * right. 0 or -ENOMEM. */
int verify_keys_get(struct verify_keys *keys, uint64_t epoch,
                    const struct audit_chain_key **ret) _must_check_;
/* The same where the trail begins, which may be years after the key. */
int verify_keys_get_of_base(struct verify_keys *keys, uint64_t epoch,
                            const struct audit_chain_key **ret) _must_check_;
/* `expected` was made with the key of a covered epoch. */
bool verify_keys_compare(struct verify_keys *keys, const unsigned char expected[AUDIT_SEAL_BYTES],
                         const unsigned char seal[AUDIT_SEAL_BYTES]);
/* False: it cannot be kept, and is to be taken as found. */
bool verify_keys_suspect(struct verify_keys *keys, const struct verify_suspect *suspect);

/* --- findings ---------------------------------------------------------------------------------------- */

struct verify_findings {
    struct audit_finding *kept;
    unsigned max, n_kept;
    unsigned n_damage;
    int64_t first_damage;
};

int verify_findings_init(struct verify_findings *f, unsigned max) _must_check_;
void verify_findings_deinit(struct verify_findings *f);
void verify_findings_add(struct verify_findings *f, enum audit_finding_kind kind, int64_t sequence,
                         const char *format, ...) _printf_(4, 5);
void verify_findings_sort(struct verify_findings *f);

/* --- going through ----------------------------------------------------------------------------------- */

enum epoch_end { END_UNKNOWN, END_OPEN, END_SEALED };

struct clock_reading {
    bool is_known;
    int64_t time_sec;
    uint64_t boot_usec;
    unsigned char boot_id[AUDIT_BOOT_ID_BYTES];
};

struct audit_verify {
    struct audit_verify_options options;
    struct verify_keys keys;
    bool key_is_first, key_is_other;
    uint64_t key_first_epoch;
    char key_id[AUDIT_KEY_ID_TEXT_SIZE];
    struct verify_findings findings;
    struct audit_verify_report report;

    /* The record before. */
    int64_t sequence;
    bool is_linked; /* its hash is known */
    unsigned char hash[AUDIT_HASH_BYTES];
    bool is_chained; /* it has a hash, or one before it had */
    bool is_entry;   /* there is none: a part of a trail begins here, nobody knows after what */
    uint64_t epoch;  /* 0: not known */
    enum epoch_end end;
    char announced[64]; /* the detail of a trail-sealed; "" */
    struct clock_reading clock;

    bool is_base_sealed; /* with a key of ours, as far as it was known before the first record */
    bool head_differs;
    int64_t pruned_up_to;
    uint64_t repeats_epoch; /* the latest, and whose it is */
    int64_t repeats_sequence;
};

#define FOUND(v, kind, sequence, ...) verify_findings_add(&(v)->findings, kind, sequence, __VA_ARGS__)

static inline const char *verify_detail(const struct audit_record *record)
{
    return record->detail ? record->detail : "";
}

/* The number of its epoch, and the chain of keys that may begin with it. Whether its number follows. */
void verify_epoch(struct audit_verify *v, const struct audit_record *record, bool follows);
void verify_found_repeats(struct audit_verify *v, int64_t sequence);
/* That of a record, or of the last one that was removed. */
void verify_compare_head(struct audit_verify *v, int64_t sequence, const unsigned char *hash);
