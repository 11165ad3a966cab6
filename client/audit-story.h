/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What an app did, summed up from its records: a JSON object, which `lwactl audit app` prints or words.
 *
 *     app, kind, strength, unit, program   as last seen
 *     uids        [n]
 *     records     how many; first, last: when
 *     verdicts    {verdict: times}
 *     scopes      [{scope, got, refused: times, first_got, last_got, last_refused: when}]
 *     refusals    [{verdict, decided_by, detail, scopes, account, times, first, last, sequence: of the last}]
 *     consents    [{time, event, account, scopes, detail, decided_by, expires_at}]
 *     holds       [{token, account, uid, scopes, since, expires_at, released, sequence}]
 */

#include "client/values.h"

/* Adds records, oldest first. 0 or -ENOMEM. */
int audit_story_add(struct json_object *story, struct json_object *records) _must_check_;
/* Takes out the tokens that have ended by now. */
void audit_story_end(struct json_object *story, int64_t now_sec);
