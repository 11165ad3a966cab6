/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The one budget that all logins share for tries at the provider's token endpoint. Pure code.
 *
 *            LIMIT_FAILING_GRANTS different grants
 *            failed, and none was answered meanwhile
 *   closed ---------------------------------------> open
 *     ^    any refresh goes out at once               | one try goes out now and then, at delays that grow;
 *     |                                               | everything else waits for its turn
 *     `-----------------------------------------------'
 *                 one is answered
 *
 * It counts different grants, so that the trouble of one login is its own: alone it never holds up another. A
 * try that hangs does not hold up the next one either, since it is the time between tries that is bounded;
 * and when it fails at last, it counts only if nobody was answered since it was sent. */

#include "broker/trouble.h"

struct provider {
    uint64_t epoch;     /* grows with each answer that ends a row of failures */
    unsigned n_failing; /* different grants that failed in this epoch */
    unsigned n_tries;   /* while open */
    unsigned n_running; /* refreshes under way; for its user to count */
    uint64_t next_try_usec;
    uint64_t answered_usec; /* the last time */
    enum trouble trouble;   /* of the last failure */
};

void provider_init(struct provider *p);
bool provider_is_open(const struct provider *p);
/* May a refresh go out now? */
bool provider_may_try(const struct provider *p, uint64_t now_usec);
/* One goes out. */
void provider_tries(struct provider *p, uint64_t now_usec, uint32_t random);
/* A grant met trouble that is shared, with a request of this time. *epoch is the grant's own, 0 at first. One
 * that was sent before the last answer says nothing: others were answered since. */
void provider_failed(struct provider *p, uint64_t *epoch, enum trouble trouble, long retry_after_sec,
                     uint64_t sent_usec, uint64_t now_usec, uint32_t random);
/* The provider gave an answer that can be used, be it a refusal. True when it ended a row of failures. */
bool provider_answered(struct provider *p, uint64_t now_usec);
