/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which app holds which token until when: what is still out there after something was taken back, since LWA
 * has no revocation endpoint. The trail knows all of it, of runs of the broker before this one too: no token
 * is handed out without its record (I3). Memory adds the token's id, and whether its holder was told that it
 * is revoked. */

#include "broker/call.h"
#include "broker/identity.h"
#include "broker/store.h"
#include "dbus/names.h"

struct exposure_filter {
    char app[IDENTITY_APP_SIZE];                /* "" for all */
    char account[LWA_ACCOUNT_ID_BYTES_MAX + 1]; /* "" for all */
    uid_t uid;      /* apps of this user, and apps that hold a token of an account of this user; -1 for all */
    bool is_device; /* tokens of the device's accounts only */
};

/* Reads the trail beside the loop; what the callback gets is good for exposure_reply(). */
int exposure_query(struct broker *broker, const struct exposure_filter *filter, store_callback callback,
                   void *userdata, struct store_op **ret) _must_check_;
/* Ends the call with the rows, or with an error if the trail could not be read. */
void exposure_reply(struct call *call, const struct store_reply *stored,
                    const struct exposure_filter *filter);
/* Ends the call whose query could not be made. */
void exposure_fail(struct call *call);
