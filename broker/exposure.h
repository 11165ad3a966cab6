/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which app holds which token until when: what is still out there after something was taken back, since LWA
 * has no revocation endpoint. The trail knows all of it, of runs of the broker before this one too: no token
 * is handed out without its record (I3). Memory adds the token's id, and whether its holder was told that it
 * is revoked. */

#include "broker/call.h"
#include "broker/store.h"

/* Every one: what is given in it restricts that. */
void exposure_filter_init(struct store_exposure_filter *filter);
/* Reads the trail beside the loop; what the callback gets is good for exposure_reply(). */
int exposure_query(struct call *call, const struct store_exposure_filter *filter, store_callback callback,
                   void *userdata, struct store_op **ret) _must_check_;
/* Ends the call with the rows, or with an error if the trail could not be read. */
void exposure_reply(struct call *call, const struct store_reply *stored);
/* Of a row that is no record any more: that it is one, and its number. Nothing of any other. */
void exposure_write_unreadable(struct writer *w, const struct audit_record *record);
/* The name of the record's caller, "" where nothing here tells it. */
const char *exposure_user(const struct broker *broker, const struct audit_record *record);
/* The scopes that the record's token carries, as an entry. */
void exposure_write_scopes(struct writer *w, const struct audit_record *record);
/* Ends the call whose query could not be made. */
void exposure_fail(struct call *call);
