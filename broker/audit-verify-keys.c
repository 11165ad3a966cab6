/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/audit-verify-internal.h"
#include "broker/limits.h"

#include <sodium.h>

int verify_keys_init(struct verify_keys *keys, const struct audit_chain_key *key)
{
    keys->budget = LIMIT_AUDIT_VERIFY_STEPS;
    keys->budget_ahead = LIMIT_AUDIT_VERIFY_AHEAD;
    if (!key)
        return 0;
    keys->from = key->epoch;
    return audit_chain_key_copy(key, &keys->key);
}

void verify_keys_deinit(struct verify_keys *keys)
{
    audit_chain_key_clear(&keys->key);
    for (size_t i = 0; i < VERIFY_KEYS_CACHED; i++)
        audit_chain_key_clear(&keys->cache[i]);
    free(keys->suspects);
}

bool verify_keys_cover(const struct verify_keys *keys, uint64_t epoch)
{
    return keys->key.key && epoch >= keys->from && (keys->end == 0 || epoch < keys->end);
}

/* False: that is too far. A forged number leaves as much as it takes for the ones that are right. */
static bool pay(struct verify_keys *keys, uint64_t *budget, uint64_t steps)
{
    if (steps > *budget / 2)
        return false;
    *budget -= steps;
    keys->n_steps += steps;
    return true;
}

/* Whether there were as many records since, be it that they are missing. A few more are looked at: what was
 * sealed with the right key, in an epoch that was left out, is to be told from what was not. */
static bool may_have_come(const struct verify_keys *keys, uint64_t steps, int64_t sequence)
{
    return keys->sequence == 0 || steps <= LIMIT_AUDIT_VERIFY_LEFT_OUT ||
           (sequence > keys->sequence && steps <= (uint64_t)(sequence - keys->sequence));
}

static bool may_advance(struct verify_keys *keys, uint64_t steps, int64_t sequence)
{
    if (steps != 1)
        return may_have_come(keys, steps, sequence) && pay(keys, &keys->budget, steps);
    keys->n_steps++;
    return true;
}

int verify_keys_advance(struct verify_keys *keys, uint64_t epoch, int64_t sequence)
{
    if (!verify_keys_cover(keys, epoch) || epoch < keys->key.epoch)
        return 0;
    if (epoch > keys->key.epoch) {
        if (!may_advance(keys, epoch - keys->key.epoch, sequence))
            return 0;
        int r = audit_chain_key_evolve_to(&keys->key, epoch);
        if (r < 0)
            return r;
        keys->budget_ahead += LIMIT_AUDIT_VERIFY_AHEAD_PER_EPOCH;
    }
    keys->sequence = sequence;
    return 0;
}

static int make(struct verify_keys *keys, uint64_t epoch, struct audit_chain_key *place)
{
    /* Guarded memory is dear to get: what a place has it keeps. */
    int r = place->key ? secret_replace(place->key, secret_bytes(keys->key.key))
                       : audit_chain_key_copy(&keys->key, place);
    if (r < 0)
        return r;
    place->epoch = keys->key.epoch;
    return audit_chain_key_evolve_to(place, epoch);
}

static int get(struct verify_keys *keys, uint64_t epoch, uint64_t *budget, const struct audit_chain_key **ret)
{
    struct audit_chain_key *place = &keys->cache[epoch % VERIFY_KEYS_CACHED];
    *ret = NULL;
    if (epoch == keys->key.epoch) {
        *ret = &keys->key;
        return 0;
    }
    if (!place->key || place->epoch != epoch) {
        if (epoch < keys->key.epoch || !pay(keys, budget, epoch - keys->key.epoch))
            return 0;
        int r = make(keys, epoch, place);
        if (r < 0)
            return r;
    }
    *ret = place;
    return 0;
}

int verify_keys_get(struct verify_keys *keys, uint64_t epoch, const struct audit_chain_key **ret)
{
    return get(keys, epoch, &keys->budget_ahead, ret);
}

int verify_keys_get_of_base(struct verify_keys *keys, uint64_t epoch, const struct audit_chain_key **ret)
{
    return get(keys, epoch, &keys->budget, ret);
}

bool verify_keys_compare(struct verify_keys *keys, const unsigned char expected[AUDIT_SEAL_BYTES],
                         const unsigned char seal[AUDIT_SEAL_BYTES])
{
    bool fits = sodium_memcmp(expected, seal, AUDIT_SEAL_BYTES) == 0;
    keys->n_fit += fits;
    keys->n_misfit += !fits;
    return fits;
}

bool verify_keys_suspect(struct verify_keys *keys, const struct verify_suspect *suspect)
{
    if (keys->n_suspects == keys->suspects_size) {
        size_t size = keys->suspects_size > 0 ? 2 * keys->suspects_size : 16;
        if (size > LIMIT_AUDIT_VERIFY_SUSPECTS)
            return false;
        struct verify_suspect *grown = realloc(keys->suspects, size * sizeof(*grown));
        if (!grown)
            return false;
        keys->suspects = grown;
        keys->suspects_size = size;
    }
    keys->suspects[keys->n_suspects++] = *suspect;
    return true;
}
