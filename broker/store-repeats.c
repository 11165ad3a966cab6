/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"
#include "util/clock.h"

#include <string.h>

/* How often the token of a disclosure was handed out again to the same app. That is no disclosure of its own,
 * so nobody waits for it: the newest count of each is kept in memory, and written with some commit before
 * long. A crash costs counts and no record. */

/* Where it is, or would be. */
static size_t find(const struct store *s, int64_t sequence)
{
    size_t low = 0, high = s->n_repeats;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->repeats[middle].sequence < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int reserve(struct store *s)
{
    if (s->n_repeats < s->n_repeats_allocated)
        return 0;
    size_t n = s->n_repeats_allocated ? 2 * s->n_repeats_allocated : 16;
    struct store_repeat *grown = reallocarray(s->repeats, n, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    s->repeats = grown;
    s->n_repeats_allocated = n;
    return 0;
}

static void put_off(struct store *s)
{
    s->repeats_due_usec = boottime_usec() + STORE_REPEATS_DELAY_SEC * USEC_PER_SEC;
}

static int set(struct store *s, const struct store_repeat *repeat, bool overwrites)
{
    size_t at = find(s, repeat->sequence);
    if (at < s->n_repeats && s->repeats[at].sequence == repeat->sequence) {
        if (overwrites)
            s->repeats[at] = *repeat;
        return 0;
    }
    int r = reserve(s);
    if (r < 0)
        return r;
    if (s->n_repeats == 0) {
        put_off(s);
        uv_cond_signal(&s->wake);
    }
    memmove(s->repeats + at + 1, s->repeats + at, (s->n_repeats - at) * sizeof(s->repeats[0]));
    s->repeats[at] = *repeat;
    s->n_repeats++;
    return 0;
}

int store_repeats_set(struct store *s, int64_t sequence, uint64_t repeats)
{
    return set(s, &(struct store_repeat){.sequence = sequence, .repeats = repeats}, true);
}

size_t store_repeats_take(struct store *s, struct store_repeat ret[STORE_REPEATS_PER_COMMIT])
{
    size_t n = s->n_repeats < STORE_REPEATS_PER_COMMIT ? s->n_repeats : STORE_REPEATS_PER_COMMIT;
    if (n == 0)
        return 0;
    memcpy(ret, s->repeats, n * sizeof(s->repeats[0]));
    s->n_repeats -= n;
    memmove(s->repeats, s->repeats + n, s->n_repeats * sizeof(s->repeats[0]));
    return n;
}

/* What was set anew meanwhile stays as it was set; and a pause is taken. */
void store_repeats_return(struct store *s, const struct store_repeat *repeats, size_t n)
{
    uv_mutex_lock(&s->mutex);
    for (size_t i = 0; i < n && !s->stopping; i++)
        if (set(s, &repeats[i], false) < 0)
            break; /* out of memory costs a count, which the next repeat sets again */
    put_off(s);
    uv_mutex_unlock(&s->mutex);
}

int store_repeats_write(struct store_db *db, const struct store_chain *chain,
                        const struct store_repeat *repeat)
{
    uint64_t epoch;
    unsigned char seal[AUDIT_SEAL_BYTES];
    store_chain_seal_repeats(chain, repeat, &epoch, seal);
    _cleanup_statement_ struct statement st =
        statement_open(db, SLOT_REPEATS,
                       "UPDATE audit SET repeats = ?2, repeats_epoch = ?3, repeats_seal = ?4"
                       " WHERE sequence = ?1");
    statement_int(&st, repeat->sequence);
    statement_int(&st, (int64_t)repeat->repeats);
    statement_int(&st, (int64_t)epoch);
    statement_blob(&st, seal, sizeof(seal));
    return statement_run(&st);
}
