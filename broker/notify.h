/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Signals, each sent to the connections it concerns and to nobody else: a broadcast would tell every program
 * on the device who logs in where. */

#include "broker/owner.h"

struct broker;
struct peer;

void notify_token_revoked(struct peer *holder, const char *token_id, const char *reason);
/* To the owner's connections (for the device: to all) that hold or asked for a token. */
void notify_accounts_changed(struct broker *broker, const struct owner *owner);
/* To the owner's connections that asked for their accounts. `reason`: dead, missing; `account` may be "" when
 * nobody has logged in at all. */
void notify_attention(struct broker *broker, const struct owner *owner, const char *account,
                      const char *reason);
