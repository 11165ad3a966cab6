/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the trail is told of consents: the app of such a record is the one that the answer is about, its uid
 * whoever has answered. */

#include "broker/consent.h"
#include "broker/trail.h"

/* NULL: out of memory. */
struct audit_record *consent_record_new(const struct account *account, enum audit_event event,
                                        const char *app, struct trail_facts facts);
struct audit_record *consent_record_change(const struct account *account,
                                           const struct consent_change *change);
