/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which records of the trail are asked for. Pure code: it decides about one record; store-search.c finds them
 * in the database, and what waits for a record to be written asks here. */

#include "broker/audit.h"
#include "broker/identity.h"
#include "broker/owner.h"
#include "dbus/names.h"
#include "util/strv.h"

#define AUDIT_VERDICT_SIZE 64

/* Every condition that is given must hold. Made by audit_filter_init(), which gives none. */
struct audit_filter {
    char app[IDENTITY_APP_SIZE];                /* "": any */
    char account[LWA_ACCOUNT_ID_BYTES_MAX + 1]; /* "": any */
    char verdict[AUDIT_VERDICT_SIZE];           /* "": any */
    int event;                                  /* enum audit_event; -1: any */
    uid_t uid;                                  /* of the caller; (uid_t)-1: any */
    uid_t owner_uid;                            /* of the account's owner; (uid_t)-1: any */
    char owner[OWNER_NAME_MAX];                 /* with owner_uid, his name too: numbers are given anew */
    int64_t since_sec;                          /* not before; INT64_MIN: any */
    int64_t until_sec;                          /* before; INT64_MAX: any */
    bool has_fingerprint;
    unsigned char fingerprint[AUDIT_FINGERPRINT_BYTES];
    /* The first one was asked for or is carried, or one of the others is carried: those that imply it. Empty:
     * any. */
    struct strv scopes;
};

void audit_filter_init(struct audit_filter *f);
void audit_filter_clear(struct audit_filter *f);
/* 0 or -ENOMEM. */
int audit_filter_copy(const struct audit_filter *f, struct audit_filter *ret) _must_check_;

/* What a filter looks at, of a record or of a row. A NULL text is "". */
struct audit_facts {
    const char *app, *account, *owner, *verdict, *asked, *carried;
    int event; /* -1: unknown */
    uid_t uid, owner_uid;
    int64_t time_sec;
    const unsigned char *fingerprint; /* NULL: none */
};

struct audit_facts audit_facts_of(const struct audit_record *record);
bool audit_filter_has_time(const struct audit_filter *f, int64_t time_sec);
bool audit_filter_fits(const struct audit_filter *f, const struct audit_facts *facts);

/* Whether one of these is among the names in `joined`, which are separated by single spaces. */
bool audit_names_any(const char *joined, const struct strv *names);
