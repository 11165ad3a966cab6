/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The control port: form-encoded POSTs that steer the simulated provider, JSON that tells what it did. */

#include "tests/sim/sim.h"

void control_dispatch(struct sim *sim, const struct request *rq, struct reply *rp);

/* GET /state and GET /tokens (control-state.c), with the lock held. */
void control_state(struct sim *sim, const struct request *rq, struct reply *rp);
void control_tokens(struct sim *sim, const struct request *rq, struct reply *rp);
