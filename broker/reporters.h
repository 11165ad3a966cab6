/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How often each app had a login renewed by reporting its token as rejected: one bucket for each app and
 * login here, besides the one that the login has for all of them. The app's is the smaller one, so that what
 * one app reports leaves the others something.
 *
 * A place is free again when its bucket is full. When there is none, a report is refused until there is. */

#include "broker/bucket.h"
#include "broker/identity.h"
#include "broker/quota.h"

struct reporter {
    uid_t uid;
    char app[IDENTITY_APP_SIZE];
    int64_t grant;
    struct bucket bucket;
};

struct reporters {
    struct reporter places[LIMIT_REPORTERS];
};

/* Takes one report from the app's bucket for this grant and from `of_grant`, from both or from none: then
 * -EUSERS with *ret_refusal. */
int reporters_take(struct reporters *r, const struct config_limits *limits, const struct identity *identity,
                   int64_t grant, struct bucket *of_grant, uint64_t now_usec,
                   struct refusal *ret_refusal) _must_check_;
