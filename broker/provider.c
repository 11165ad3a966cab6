/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/provider.h"

#include "broker/limits.h"

void provider_init(struct provider *p)
{
    *p = (struct provider){.epoch = 1};
}

bool provider_is_open(const struct provider *p)
{
    return p->n_failing >= LIMIT_FAILING_GRANTS;
}

bool provider_may_try(const struct provider *p, uint64_t now_usec)
{
    return !provider_is_open(p) || now_usec >= p->next_try_usec;
}

static void wait_at_least(struct provider *p, uint64_t until_usec)
{
    if (until_usec > p->next_try_usec)
        p->next_try_usec = until_usec;
}

void provider_tries(struct provider *p, uint64_t now_usec, uint32_t random)
{
    if (!provider_is_open(p))
        return;
    enum schedule_kind kind = trouble_schedule(p->trouble);
    /* An ambiguous failure binds its own grant; of the provider it says what an error would. */
    if (kind == SCHEDULE_AMBIGUOUS)
        kind = SCHEDULE_PROVIDER;
    wait_at_least(p, now_usec + schedule_delay_usec(kind, p->n_tries++, -1, random));
}

void provider_failed(struct provider *p, uint64_t *epoch, enum trouble trouble, long retry_after_sec,
                     uint64_t sent_usec, uint64_t now_usec, uint32_t random)
{
    if (sent_usec < p->answered_usec)
        return;
    bool was_open = provider_is_open(p);
    p->trouble = trouble;
    if (*epoch != p->epoch) {
        *epoch = p->epoch;
        p->n_failing++;
    }
    if (!provider_is_open(p))
        return;
    if (!was_open)
        provider_tries(p, now_usec, random);
    if (retry_after_sec > 0)
        wait_at_least(p, now_usec + schedule_delay_usec(SCHEDULE_PROVIDER, 0, retry_after_sec, 0));
}

bool provider_answered(struct provider *p, uint64_t now_usec)
{
    p->answered_usec = now_usec;
    if (p->n_failing == 0)
        return false;
    *p = (struct provider){.epoch = p->epoch + 1, .n_running = p->n_running, .answered_usec = now_usec};
    return true;
}
