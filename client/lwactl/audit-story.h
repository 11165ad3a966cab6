/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What an app did, summed up from its records: a JSON object, which `lwactl audit app` prints or words.
 *
 *     app, kind, strength, unit, program   as last seen
 *     uids        [n]
 *     records     how many; first, last: when
 *     verdicts    {verdict: times}
 *     scopes      [{scope, got, refused: times, first_got, last_got, last_refused: when}]
 *     refusals    [{verdict, decided_by, detail, asked, account, times, first, last, sequence: of the last}]
 *     consents    [{time, event, account, asked, detail, decided_by, expires_at, sequence}]
 *     holds       [{token, account, uid, carried, since, expires_at, released, sequence}]
 */

#include "client/lwactl/values.h"

#define AUDIT_STORY_MAX 1000 /* items that a list of it holds, the newest */

/* One in which nothing happened: every list and number is there. NULL when memory is out. */
struct json_object *audit_story_new(void);

/* Adds records, oldest first. A token that has ended by now is not held, and not kept: a long trail takes no
 * more memory than a short one. 0 or -ENOMEM. */
int audit_story_add(struct json_object *story, struct json_object *records, int64_t now_sec) _must_check_;
