/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The control port: form-encoded POSTs that steer the simulated provider, JSON that tells what it did.
 *
 *     POST /set            NAME=VALUE... (settings.c), all of them or none
 *     POST /fault          endpoint=codepair|token|tokeninfo|profile|api|any kind=KIND (faults.c)
 *                          [grant_type=device_code|refresh_token|authorization_code]
 *                          [count=1, 0 for until cleared] [ms=120000] [status=N] [error=NAME]
 *                          [description=TEXT] [retry_after=TEXT] [location=URL]
 *     POST /clear-faults   also lets held connections go
 *     POST /approve        user_code=CODE [customer=alice] [answer=allow|deny]
 *     POST /mint           scope=SCOPES [customer=alice] [client_id=ID]: a refresh token without a login
 *     POST /revoke         customer=NAME or refresh_token=TOKEN: the grants are dead from now on
 *     POST /expire-tokens  every access token is invalid from now on
 *     POST /reset          back to a fresh start
 *     GET /state           settings, counters, faults, code pairs, grants
 *     GET /tokens          every token ever made
 *
 * Counters are named ENDPOINT[.GRANT_TYPE].OUTCOME. `requests` counts all that came, `fault` those that a
 * fault got in the way of, and the name of the outcome ("ok", or the error's) those on which work was done:
 * a request whose answer a fault swallowed afterwards counts in all three. */

#include "tests/sim/sim.h"

void control_dispatch(struct sim *sim, const struct request *rq, struct reply *rp);

/* GET /state and GET /tokens (control-state.c), with the lock held. */
void control_state(struct sim *sim, const struct request *rq, struct reply *rp);
void control_tokens(struct sim *sim, const struct request *rq, struct reply *rp);
