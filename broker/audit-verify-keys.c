/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/audit-verify-internal.h"
#include "broker/limits.h"

#include <sodium.h>

int verify_keys_init(struct verify_keys *keys, const struct audit_chain_key *key)
{
    keys->budget = LIMIT_AUDIT_VERIFY_STEPS;
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

/* False: that is too far. */
static bool pay(struct verify_keys *keys, uint64_t steps)
{
    if (steps > keys->budget)
        return false;
    keys->budget -= steps;
    return true;
}

int verify_keys_advance(struct verify_keys *keys, uint64_t epoch)
{
    keys->budget += LIMIT_AUDIT_VERIFY_STEPS_PER_RECORD;
    if (!verify_keys_cover(keys, epoch) || epoch <= keys->key.epoch || !pay(keys, epoch - keys->key.epoch))
        return 0;
    return audit_chain_key_evolve_to(&keys->key, epoch);
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

int verify_keys_get(struct verify_keys *keys, uint64_t epoch, const struct audit_chain_key **ret)
{
    struct audit_chain_key *place = &keys->cache[epoch % VERIFY_KEYS_CACHED];
    *ret = NULL;
    if (epoch == keys->key.epoch) {
        *ret = &keys->key;
        return 0;
    }
    if (!place->key || place->epoch != epoch) {
        if (epoch < keys->key.epoch || !pay(keys, epoch - keys->key.epoch))
            return 0;
        int r = make(keys, epoch, place);
        if (r < 0)
            return r;
    }
    *ret = place;
    return 0;
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
