/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The simulated provider as a whole. One lock guards everything in it; handlers run with the lock held,
 * waits (delays, held connections) happen without it, so that a slow answer stalls nobody else. Objects
 * found under the lock must not be kept across its release: a reset ends them all. */

#include "tests/sim/codes.h"
#include "tests/sim/counters.h"
#include "tests/sim/customers.h"
#include "tests/sim/faults.h"
#include "tests/sim/ledger.h"
#include "tests/sim/message.h"
#include "tests/sim/settings.h"

#include <pthread.h>

struct sim {
    pthread_mutex_t lock;
    pthread_cond_t woken; /* CLOCK_MONOTONIC */
    bool is_stopping;
    unsigned n_releases; /* grows when held connections are to be let go */

    struct client device_client;
    struct client web_client;
    const char *security_profile_id;
    char *public_base; /* "https://localhost:PORT" */

    struct settings settings;
    struct customers customers;
    struct ledger ledger;
    struct codes codes;
    struct counters counters;
    struct faults faults;
    unsigned refreshes_under_way;
    unsigned refreshes_at_once_max;
};

void sim_init(struct sim *sim);
void sim_deinit(struct sim *sim);
/* Back to the state of a fresh start, settings included. The lock is held. */
void sim_reset(struct sim *sim);

void sim_lock(struct sim *sim);
void sim_unlock(struct sim *sim);
/* Waits without the lock; ends early when the simulator stops and, if asked, at sim_release(). */
void sim_wait(struct sim *sim, uint32_t ms, bool until_release);
/* Lets held connections go. The lock is held. */
void sim_release(struct sim *sim);
/* Ends all waits for good. */
void sim_stop(struct sim *sim);

/* NULL for an unknown id. */
const struct client *sim_find_client(const struct sim *sim, const char *id);
bool sim_client_needs_secret(const struct sim *sim, const struct client *client);
/* Reads and checks a scope parameter: known, and enabled for the security profile. */
bool sim_parse_scopes(const struct sim *sim, const char *text, uint64_t *bits) _must_check_;
