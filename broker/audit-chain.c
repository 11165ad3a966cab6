/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/audit-chain.h"

#include "broker/audit-encode.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

/* What a hash is for, in BLAKE2b's own parameter: no hash of one purpose is one of another. */
#define PERSONAL_RECORD "lwa audit record"
#define PERSONAL_NEXT "lwa audit next  "
#define PERSONAL_SEALING "lwa audit keyed "
#define PERSONAL_KEY_ID "lwa audit key id"
#define PERSONAL_SEAL "lwa audit seal  "
#define PERSONAL_REPEATS "lwa audit again "
#define PERSONAL_BASE "lwa audit base  "
#define PERSONAL_HEAD "lwa audit head  "

#define NUMBER_BYTES 8

/* Of the bytes of a C. */
static void keyed(const void *key, const char *personal, unsigned char *ret, size_t n_ret)
{
    (void)crypto_generichash_blake2b_salt_personal(ret, n_ret, NULL, 0, key, AUDIT_CHAIN_KEY_BYTES, NULL,
                                                   (const unsigned char *)personal);
}

void audit_chain_key_clear(struct audit_chain_key *key)
{
    secret_free(key->key);
    *key = (struct audit_chain_key){.key = NULL};
}

int audit_chain_key_new(uint64_t epoch, struct audit_chain_key *ret)
{
    struct audit_chain_key key = {.epoch = epoch, .first_epoch = epoch};
    int r = secret_new_random(AUDIT_CHAIN_KEY_BYTES, &key.key);
    if (r == 0)
        *ret = key;
    return r;
}

int audit_chain_key_copy(const struct audit_chain_key *key, struct audit_chain_key *ret)
{
    struct audit_chain_key copy = {.epoch = key->epoch, .first_epoch = key->first_epoch};
    int r = secret_new(secret_bytes(key->key), secret_size(key->key), &copy.key);
    if (r == 0)
        *ret = copy;
    return r;
}

int audit_chain_key_evolve_to(struct audit_chain_key *key, uint64_t epoch)
{
    if (epoch == key->epoch)
        return 0;
    unsigned char bytes[AUDIT_CHAIN_KEY_BYTES], next[AUDIT_CHAIN_KEY_BYTES];
    memcpy(bytes, secret_bytes(key->key), sizeof(bytes));
    for (uint64_t e = key->epoch; e < epoch; e++) {
        keyed(bytes, PERSONAL_NEXT, next, sizeof(next));
        memcpy(bytes, next, sizeof(bytes));
    }
    int r = secret_replace(key->key, bytes);
    secret_wipe(bytes, sizeof(bytes));
    secret_wipe(next, sizeof(next));
    if (r == 0)
        key->epoch = epoch;
    return r;
}

int audit_chain_key_evolve(struct audit_chain_key *key)
{
    return audit_chain_key_evolve_to(key, key->epoch + 1);
}

void audit_chain_key_id(const struct audit_chain_key *first, unsigned char ret[AUDIT_CHAIN_KEY_ID_BYTES])
{
    unsigned char id[crypto_generichash_blake2b_BYTES_MIN];
    keyed(secret_bytes(first->key), PERSONAL_KEY_ID, id, sizeof(id));
    memcpy(ret, id, AUDIT_CHAIN_KEY_ID_BYTES);
}

int audit_chain_hash(struct audit_record *record, const unsigned char previous[AUDIT_HASH_BYTES])
{
    _cleanup_free_ unsigned char *bytes = NULL;
    size_t n;
    int r = audit_encode(record, &bytes, &n);
    if (r < 0)
        return r;
    crypto_generichash_blake2b_state state;
    (void)crypto_generichash_blake2b_init_salt_personal(&state, NULL, 0, AUDIT_HASH_BYTES, NULL,
                                                        (const unsigned char *)PERSONAL_RECORD);
    (void)crypto_generichash_blake2b_update(&state, previous, AUDIT_HASH_BYTES);
    (void)crypto_generichash_blake2b_update(&state, bytes, n);
    (void)crypto_generichash_blake2b_final(&state, record->hash, AUDIT_HASH_BYTES);
    record->has_hash = true;
    return 0;
}

static void seal_bytes(const struct audit_chain_key *key, const char *personal, const unsigned char *bytes,
                       size_t n, unsigned char ret[AUDIT_SEAL_BYTES])
{
    unsigned char sealing[AUDIT_CHAIN_KEY_BYTES];
    keyed(secret_bytes(key->key), PERSONAL_SEALING, sealing, sizeof(sealing));
    (void)crypto_generichash_blake2b_salt_personal(ret, AUDIT_SEAL_BYTES, bytes, n, sealing, sizeof(sealing),
                                                   NULL, (const unsigned char *)personal);
    secret_wipe(sealing, sizeof(sealing));
}

static unsigned char *put_number(unsigned char *at, uint64_t value)
{
    for (size_t i = 0; i < NUMBER_BYTES; i++)
        at[i] = (unsigned char)(value >> (8 * i));
    return at + NUMBER_BYTES;
}

void audit_chain_seal(const struct audit_chain_key *key, const unsigned char hash[AUDIT_HASH_BYTES],
                      unsigned char ret[AUDIT_SEAL_BYTES])
{
    seal_bytes(key, PERSONAL_SEAL, hash, AUDIT_HASH_BYTES, ret);
}

void audit_chain_seal_repeats(const struct audit_chain_key *key, int64_t sequence, uint64_t repeats,
                              unsigned char ret[AUDIT_SEAL_BYTES])
{
    unsigned char bytes[2 * NUMBER_BYTES];
    (void)put_number(put_number(bytes, (uint64_t)sequence), repeats);
    seal_bytes(key, PERSONAL_REPEATS, bytes, sizeof(bytes), ret);
}

void audit_chain_seal_base(const struct audit_chain_key *key, const struct audit_base *base,
                           unsigned char ret[AUDIT_SEAL_BYTES])
{
    unsigned char bytes[4 * NUMBER_BYTES + AUDIT_HASH_BYTES];
    unsigned char *at = put_number(bytes, (uint64_t)base->sequence);
    at = put_number(at, base->epoch);
    at = put_number(at, (uint64_t)base->time_sec);
    at = put_number(at, (uint64_t)base->removed);
    memcpy(at, base->hash, AUDIT_HASH_BYTES);
    seal_bytes(key, PERSONAL_BASE, bytes, sizeof(bytes), ret);
}

void audit_chain_seal_head(const struct audit_chain_key *key, const struct audit_head *head,
                           unsigned char ret[AUDIT_SEAL_BYTES])
{
    unsigned char bytes[NUMBER_BYTES + AUDIT_HASH_BYTES];
    memcpy(put_number(bytes, (uint64_t)head->sequence), head->hash, AUDIT_HASH_BYTES);
    seal_bytes(key, PERSONAL_HEAD, bytes, sizeof(bytes), ret);
}
