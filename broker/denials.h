/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Records refusals on the trail. An app that asks for the same again and again is one record whose count is
 * written lazily; and when the apps of one user ask for ever different things, one record of each app and
 * error (detail: many-kinds) counts all the rest, and when these are many too, one of the user and the error
 * (many-apps, which names no app). With too many users it is one of everybody and the error (many-users).
 * So refused apps cannot fill the disk with their refusals, nor push older records out of the trail (I9). */

#include "broker/authorize.h"
#include "broker/chain.h"
#include "broker/identity.h"
#include "broker/limits.h"
#include "dbus/errors.h"

struct broker;
struct call;

struct denial {
    uid_t uid;
    char app[IDENTITY_APP_SIZE]; /* "": many */
    char account[LWA_ACCOUNT_ID_BYTES_MAX + 1];
    struct scope_set asked;
    enum bus_error error;
    uint64_t since_usec; /* 0: the place is free */
    int64_t sequence;    /* 0 until the record is durable */
    uint64_t repeats;
    uint64_t repeats_written;
    struct store_op *op;
};

struct denials {
    struct denial recent[LIMIT_DENIALS_REMEMBERED];
};

/* `chain`: what led to it; NULL for nothing that is not said already. True when this refusal is a new one,
 * and not the repetition of one that is remembered. */
bool denials_add(struct call *call, const struct authorize_question *question, enum bus_error error,
                 const char *decided_by, const struct chain *chain);
/* Writes the counts that have changed. */
void denials_flush(struct broker *broker);
void denials_free(struct broker *broker);
