/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One line of the audit trail. Texts are names from our own tables, validated identities and scope names:
 * never a token, an e-mail address or text of the provider. A NULL text is stored as "". */

#include "dbus/audit-names.h"
#include "util/cleanup.h"

#include <stdint.h>
#include <sys/types.h>

#define AUDIT_FINGERPRINT_BYTES 16
#define AUDIT_BOOT_ID_BYTES 16
#define AUDIT_HASH_BYTES 32 /* links a record to the one before */
#define AUDIT_SEAL_BYTES 16 /* proves it to who has the verification secret */

struct audit_record {
    int64_t sequence;                           /* given by the store */
    int64_t time_sec;                           /* wall clock; given by the store when 0 */
    uint64_t boot_usec;                         /* CLOCK_BOOTTIME; given by the store when 0 */
    unsigned char boot_id[AUDIT_BOOT_ID_BYTES]; /* of the kernel's run that boot_usec counts in */
    enum audit_event event;
    uid_t uid;       /* of the caller; (uid_t)-1 where there is none */
    char *app;       /* identity string, e.g. user:musicd */
    char *kind;      /* user, ... */
    char *strength;  /* uid, ... */
    char *unit;      /* musicd.service, whether or not it names the app */
    char *program;   /* /usr/bin/player */
    char *account;   /* account id */
    char *owner;     /* owner's name, or "device" */
    uid_t owner_uid; /* (uid_t)-1 for the device, or none */
    char *asked;     /* scopes, joined by spaces */
    char *carried;
    char *verdict;       /* allow, ask, deny, or the error's name */
    char *decided_by;    /* what decided: table, default, polkit, ... */
    char *chain;         /* in short, all that led to the verdict, step by step */
    char *detail;        /* a word or two from our own tables, e.g. why a grant died */
    char *request;       /* names the call that it came of, the same for all records of it; "" for none */
    int64_t grant;       /* row of the grant; 0 for none */
    int64_t expires_sec; /* of the token; 0 for none */
    uint64_t repeats;    /* later deliveries of the same token to the same app; read only */
    bool has_fingerprint;
    unsigned char fingerprint[AUDIT_FINGERPRINT_BYTES];

    /* Given by the store: audit-chain.h. A record of before the trail was chained has no hash. */
    uint64_t epoch;
    bool has_hash;
    unsigned char hash[AUDIT_HASH_BYTES];
    unsigned char seal[AUDIT_SEAL_BYTES];
    uint64_t repeats_epoch; /* when `repeats` was sealed; 0: it is 0 */
    unsigned char repeats_seal[AUDIT_SEAL_BYTES];

    /* Only from a query: a row that is no record any more. Its number and time are all that is known of it.
     */
    bool is_unreadable;

    struct audit_record *next; /* in a list of records; freed with this one */
};

/* A zeroed record of this event, both uids -1. NULL: out of memory. Its texts are malloc'ed, and freed with
 * it. */
struct audit_record *audit_record_new(enum audit_event event);
/* Another event of the same caller, owner, account, call and time. NULL: out of memory. */
struct audit_record *audit_record_new_like(const struct audit_record *record, enum audit_event event);
/* Without what follows it in a list. NULL: out of memory. */
struct audit_record *audit_record_copy(const struct audit_record *record);
void audit_record_free(struct audit_record *r);
DEFINE_CLEANUP(struct audit_record, audit_record_free);
