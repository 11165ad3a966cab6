/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* No disclosure without a durable record (I3). The first time that an app is to get a token, a record is
 * written, and only when it is durable does anyone get it; whoever asks meanwhile for the same app waits for
 * that very record. Later deliveries of the same token to the same app are counted, and the count is written
 * lazily. */

#include "broker/identity.h"
#include "broker/trail.h"
#include "util/list.h"

struct broker;
struct disclosure_wait;
struct token;

/* What is known of one app and one token; hangs from the token. */
struct disclosure {
    struct list node; /* in token->disclosures */
    struct token *token;
    char app[IDENTITY_APP_SIZE];
    uid_t uid;
    bool is_durable;
    bool uses_once;    /* its record is still to use up a consent, for one call: no other waits for it */
    bool is_over;      /* revoked; kept for as long as the token is good, to say what is still out there */
    bool is_released;  /* ReleaseTokens is on the trail: once, so that nobody can fill it with that */
    bool is_told;      /* who held it for the app was told so */
    struct list waits; /* until it is durable */
    int64_t sequence;  /* of its record */
    uint64_t deliveries;
    uint64_t repeats_written;
};

enum { DISCLOSURE_ANSWERED = 1, DISCLOSURE_E_GONE = 1 };

/* 0: the record is durable; DISCLOSURE_E_GONE: the consent to be used up is not there any more, and there is
 * no record; or a negative errno. */
typedef void (*disclosure_callback)(int r, void *userdata);

/* DISCLOSURE_ANSWERED with *ret_disclosure: it is on the trail, the token may be given to this app now. 0:
 * the callback will run when its record is durable, or could not be made so. Or a negative errno. A token
 * whose record is under way is not freed. */
int disclosure_ensure(struct token *token, const struct identity *identity, const struct trail_facts *facts,
                      disclosure_callback callback, void *userdata, struct disclosure **ret_disclosure,
                      struct disclosure_wait **ret) _must_check_;
/* The same, and with the record the consents that were given once to `once` are used up: a record of its own,
 * even for a token that this app was given before. Never answered at once. */
int disclosure_use_once(struct token *token, const struct identity *identity, const struct trail_facts *facts,
                        struct scope_set once, disclosure_callback callback, void *userdata,
                        struct disclosure_wait **ret) _must_check_;
void disclosure_wait_drop(struct disclosure_wait *wait);
DEFINE_CLEANUP(struct disclosure_wait, disclosure_wait_drop);

/* What this app has of the token and may go on to have, or NULL. */
struct disclosure *disclosure_find(const struct token *token, const char *app, uid_t uid);

/* It is revoked: the next time that the app gets the token is a new disclosure. */
void disclosure_end(struct disclosure *d, bool is_told);

void disclosure_count_delivery(struct disclosure *d);
/* Writes the count of repeats if it has changed. */
void disclosure_flush(struct broker *broker, struct disclosure *d);
/* Its record is under way, or its count is not written yet. */
bool disclosure_is_open(const struct disclosure *d);
void disclosure_free(struct disclosure *d);
