/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/sim.h"

#include "tests/sim/memory.h"
#include "tests/sim/scopes.h"
#include "util/clock.h"
#include "util/strv.h"

#include <string.h>

static void state_init(struct sim *sim)
{
    settings_init(&sim->settings);
    customers_init(&sim->customers);
    ledger_init(&sim->ledger);
    codes_init(&sim->codes);
    faults_init(&sim->faults);
    sim->counters.n = 0;
}

static void state_deinit(struct sim *sim)
{
    faults_deinit(&sim->faults);
    codes_deinit(&sim->codes);
    ledger_deinit(&sim->ledger);
    customers_deinit(&sim->customers);
}

void sim_init(struct sim *sim)
{
    pthread_condattr_t attributes;

    *sim = (struct sim){.is_stopping = false};
    if (pthread_mutex_init(&sim->lock, NULL) != 0 || pthread_condattr_init(&attributes) != 0 ||
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) != 0 ||
        pthread_cond_init(&sim->woken, &attributes) != 0)
        abort();
    (void)pthread_condattr_destroy(&attributes);
    state_init(sim);
}

void sim_deinit(struct sim *sim)
{
    state_deinit(sim);
    free(sim->public_base);
    (void)pthread_cond_destroy(&sim->woken);
    (void)pthread_mutex_destroy(&sim->lock);
}

void sim_reset(struct sim *sim)
{
    state_deinit(sim);
    state_init(sim);
    /* Refreshes that are being answered right now go on, and are counted down when they end. */
    sim->refreshes_at_once_max = sim->refreshes_under_way;
    sim_release(sim);
}

void sim_lock(struct sim *sim)
{
    if (pthread_mutex_lock(&sim->lock) != 0)
        abort();
}

void sim_unlock(struct sim *sim)
{
    if (pthread_mutex_unlock(&sim->lock) != 0)
        abort();
}

void sim_wait(struct sim *sim, uint32_t ms, bool until_release)
{
    uint64_t end_usec = clock_usec(CLOCK_MONOTONIC) + ms * USEC_PER_MSEC;
    struct timespec end = {.tv_sec = (time_t)(end_usec / USEC_PER_SEC),
                           .tv_nsec = (long)(end_usec % USEC_PER_SEC) * 1000};
    int r = 0;

    sim_lock(sim);
    unsigned n_releases = sim->n_releases;
    while (r == 0 && !sim->is_stopping && !(until_release && sim->n_releases != n_releases))
        r = pthread_cond_timedwait(&sim->woken, &sim->lock, &end);
    sim_unlock(sim);
}

void sim_release(struct sim *sim)
{
    sim->n_releases++;
    (void)pthread_cond_broadcast(&sim->woken);
}

void sim_stop(struct sim *sim)
{
    sim_lock(sim);
    sim->is_stopping = true;
    (void)pthread_cond_broadcast(&sim->woken);
    sim_unlock(sim);
}

const struct client *sim_find_client(const struct sim *sim, const char *id)
{
    if (strcmp(id, sim->device_client.id) == 0)
        return &sim->device_client;
    if (strcmp(id, sim->web_client.id) == 0)
        return &sim->web_client;
    return NULL;
}

bool sim_client_needs_secret(const struct sim *sim, const struct client *client)
{
    return client == &sim->web_client || sim->settings.client_type != 0;
}

bool sim_parse_scopes(const struct sim *sim, const char *text, uint64_t *bits)
{
    uint64_t disabled = 0;
    uint64_t asked = 0;

    /* Unknown names among the disabled ones are harmless: they are refused anyway. */
    _cleanup_strv_ struct strv names = STRV_EMPTY;
    if (strv_split(&names, sim->settings.disabled_scopes, " ") < 0)
        abort();
    for (size_t i = 0; i < names.n; i++)
        disabled |= scope_bit(names.items[i]);

    if (!scopes_parse(text, &asked) || (asked & disabled) != 0)
        return false;
    *bits |= asked;
    return true;
}
