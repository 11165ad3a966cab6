/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Turns the refresh token of a login into a grant of an account:
 *
 *   1. Refresh at once. It shows that the refresh token works and that the client id is of the right kind,
 *      while the person is still there: a web client id links fine and fails here.
 *   2. tokeninfo: the token must be for this client; its user_id says whose login it is.
 *   3. Link, in one transaction: to the account named, if it is the same customer's; else to the owner's
 *      account of that customer; else to a new account. Grants that it supersedes go.
 *
 * Until then the grant serves nobody. Nothing transient ends it: an unproven grant that a crash left behind
 * is proven at the next start (I4, I6). */

#include "broker/login-reason.h"

struct charge;
struct grant;
struct proving;
struct trail_origin;

/* LOGIN_R_LINKED: the grant is in its account. The grant is still there during the callback; after a failure
 * it is removed when the callback returns. */
typedef void (*proving_callback)(struct grant *grant, enum login_reason reason, void *userdata);

/* Begins. `origin` (may be NULL) is whose call it is of; callback may be NULL (nobody waits: then a refusal
 * of the client id is no end either). */
int proving_start(struct grant *grant, const struct trail_origin *origin, proving_callback callback,
                  void *userdata);
/* Nobody waits any more. What the login was charged is held until it ends: while the provider cannot be asked
 * that may be long, and whoever begins logins and leaves them would pile them up (I9). */
void proving_detach(struct proving *p, struct charge *charge);
/* Ends it as failed, for this reason. Does nothing while the link is being written: the store cannot be
 * called back, and the callback tells how that went. */
void proving_cancel(struct proving *p, enum login_reason reason);
void proving_free(struct proving *p);
