/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the owners of accounts answered about apps, remembered: at most one answer for an account, an app and
 * a scope. The store is the truth; this mirrors it, and is changed only when the store has answered. What
 * follows from the answers is policy/consent.h.
 *
 * - A later answer takes the place of an earlier one. Besides, an allow takes back denials of what the scopes
 *   imply, and a denial the allows of what implies the scopes: an answer that has no effect is not kept, to
 *   come to life when another one is forgotten.
 * - A denial that would end sooner than the one that is there leaves that in its place.
 * - A denial of every scope takes back the app's allows, and nothing is allowed beside it.
 * - Forgetting a scope takes back what was allowed that implies it, too.
 * - The answer for a scope that left the catalogue stays, and does not count.
 * - `once` is used up by the disclosure that needs it, in the transaction of its record: a crash can lose it,
 *   and nothing can use it twice.
 * - What ran out counts no more at once, even if the clock is set back then; its removal follows. An allow
 *   that runs out does not count on a clock of before it was given. */

#include "broker/identity.h"
#include "broker/owner.h"
#include "broker/store.h"
#include "policy/consent.h"
#include "util/list.h"

struct account;
struct broker;

enum consent_lasts {
    CONSENT_ONCE,         /* allows only */
    CONSENT_UNTIL_LOGOUT, /* until the account is removed */
    CONSENT_UNTIL,        /* a time */
};

enum consent_how { CONSENT_BY_PROMPT, CONSENT_BY_COMMAND };

const char *consent_lasts_name(enum consent_lasts lasts); /* "once", "logout", "until" */
const char *consent_how_name(enum consent_how how);       /* "prompt", "command" */

/* One answer. Owned by the account; good until the loop is returned to. */
struct consent {
    struct list node; /* in the answers about its app */
    struct consents_of_app *of;
    char scope[SCOPE_BYTES_MAX + 1]; /* "" for every scope: a denial */
    int index;                       /* the scope's number; -1 for none */
    bool denies;                     /* else it allows */
    enum consent_lasts lasts;
    enum consent_how how;
    int64_t given_sec;
    int64_t until_sec; /* 0 unless `lasts` says so */
    uid_t by_uid;
    char by_name[OWNER_NAME_MAX]; /* who answered */
    bool is_over;                 /* it ran out; the store is still to be told */
};

/* The answers about one app; hang from the account. */
struct consents_of_app {
    struct list node;
    struct list answers; /* struct consent */
    bool is_expiring;    /* the store is being told */
    char app[IDENTITY_APP_SIZE];
};

/* --- reading ----------------------------------------------------------------------------------------- */

/* Whether it counts at this time; the scope may still be in no catalogue. */
bool consent_counts(const struct consent *c, int64_t now_sec);
/* What counts now about this app; nothing for an account of NULL. */
void consents_get(const struct account *account, const char *app, int64_t now_sec,
                  struct consent_answers *ret);
/* The answer that decides for this scope now, its own or that of one that implies it: NULL for none. */
const struct consent *consents_find(const struct account *account, const char *app, int scope,
                                    int64_t now_sec);

/* Whether to forget these scopes, or with NULL every one, would take a denial back that counts now. */
bool consents_has_denial(const struct account *account, const char *app, const struct scope_set *scopes,
                         int64_t now_sec);

typedef void (*consent_visitor)(const struct consent *c, void *userdata);
/* All that is kept, about one app or with NULL about all. */
void consents_foreach(const struct account *account, const char *app, consent_visitor visitor,
                      void *userdata);

/* --- changing ---------------------------------------------------------------------------------------- */

enum consent_answer { CONSENT_ALLOW, CONSENT_DENY, CONSENT_FORGET };

struct consent_change {
    enum consent_answer answer;
    const char *app;                /* "" to forget those about every app */
    const struct scope_set *scopes; /* NULL for every scope: not to be allowed */
    bool keeps_denials;             /* of forget: only what was allowed is forgotten */
    enum consent_lasts lasts;       /* of allow and deny */
    int64_t until_sec;
    enum consent_how how;
    uid_t by_uid; /* who answered */
    const char *by_name;
    const char *request; /* of the call that it came of */
};

enum {
    CONSENT_E_NONE = 1,   /* there was nothing to forget */
    CONSENT_E_GONE,       /* the account is not there any more */
    CONSENT_E_DENIED_ALL, /* allow: every scope is denied to this app; that has to be forgotten first */
};

/* 0: durable, on the trail, and in force for every call received from now on. One of the outcomes above;
 * -EUSERS: as many answers as can be remembered (limits.h) are; or a negative errno, of the store: nothing
 * was changed. */
typedef void (*consent_callback)(int r, void *userdata);

struct consent_op;

/* The change is made whether or not the callback is dropped. 0; -EINVAL for a change that makes no sense (see
 * above, or an end that is past); -ENOMEM, ... The callback never runs from within this call. */
int consent_change(struct account *account, const struct consent_change *change, consent_callback callback,
                   void *userdata, struct consent_op **ret) _must_check_;
void consent_op_drop(struct consent_op *op);
DEFINE_CLEANUP(struct consent_op, consent_op_drop);

/* --- once -------------------------------------------------------------------------------------------- */

/* Writes the record of a disclosure and uses up the `once` answers for these scopes, both or neither. Takes
 * the record. The callback gets the store's reply; STORE_E_GONE: one of them was used up or taken back
 * meanwhile. When it runs memory has changed already. It always runs, unless an error is returned. */
int consent_use_once(struct account *account, const char *app, struct scope_set scopes,
                     struct audit_record *record, store_callback callback, void *userdata) _must_check_;

/* --- life -------------------------------------------------------------------------------------------- */

/* One row of the store, into memory. -EUCLEAN: no broker wrote it. */
int consent_load(struct account *account, const struct store_consent *stored) _must_check_;
void consents_free(struct account *account);
/* What ran out is removed, and its time is waited for. Also when the clock was set. */
void consents_expire(struct broker *broker);
