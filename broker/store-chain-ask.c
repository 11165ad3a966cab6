/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"
#include "util/clock.h"

#include <sodium.h>
#include <string.h>

/* A transaction failed, and a commit that is reported as failed may have been made. So before the next one
 * the database is asked, against what memory knows: it ends where it did, or with what the transaction wrote,
 * under a key of ours. Anything else is damage. */

/* Whether the newest record is what the transaction wrote, under one of its keys, and not somebody else. */
static bool is_ours(const struct store_chain *chain, const struct store_end *end)
{
    const struct audit_chain_key *key =
        chain->setup.key && end->epoch == chain->setup.epoch ? &chain->setup : &chain->key;
    unsigned char seal[AUDIT_SEAL_BYTES];
    if (!end->is_chained || end->epoch != key->epoch)
        return false;
    audit_chain_seal(key, end->hash, seal);
    return sodium_memcmp(seal, end->seal, sizeof(seal)) == 0;
}

/* The transaction was made after all. */
static void take_end(struct store_chain *chain, const struct store_end *end)
{
    bool is_setup = chain->setup.key && end->epoch == chain->setup.epoch;
    struct store_chain_link link = is_setup ? chain->unsure : chain->committed;
    link.sequence = link.row = end->sequence;
    memcpy(link.hash, end->hash, sizeof(link.hash));
    link.is_chained = true;
    link.is_ended = end->is_ended;
    if (link.due_usec == 0)
        link.due_usec = boottime_usec() + chain->epoch_usec;
    chain->link = link;
    chain->wants_write = true;
}

static int tell(struct store *s, struct audit_record *record)
{
    struct store_op *op = store_op_new(record, NULL);
    if (!op)
        return -ENOMEM;
    op->is_own = true;
    uv_mutex_lock(&s->mutex);
    list_append(&s->done, &op->link);
    uv_mutex_unlock(&s->mutex);
    return 0;
}

/* Who waits for records hears of these too, though whoever caused them was told that they failed. Best
 * effort. */
static int tell_since(struct store *s, int64_t row)
{
    _cleanup_statement_ struct statement st = statement_open(
        &s->db, SLOT_NONE, "SELECT " STORE_AUDIT_COLUMNS " FROM audit WHERE sequence > ? ORDER BY sequence");
    statement_int(&st, row);
    int r;
    while ((r = statement_step(&st)) == STEP_ROW) {
        struct audit_record *record;
        r = store_audit_get(&st, &record);
        if (r == 0)
            r = tell(s, record);
        if (r < 0)
            break;
    }
    (void)uv_async_send(&s->async);
    return r;
}

/* What was written before is not there any more. What is there is built upon. */
static int take_damage(struct store *s, const struct store_end *end)
{
    struct store_chain_link *link = &s->chain.link;
    char damage[64];
    const char *what = end->sequence < link->row ? "truncated after" : "altered at";
    (void)snprintf(damage, sizeof(damage), "%s %lld", what, (long long)end->sequence);
    int r = store_chain_note(s, NULL, NULL, damage);
    if (r < 0)
        return r;
    link->row = end->sequence;
    if (end->sequence > link->sequence)
        link->sequence = end->sequence;
    memcpy(link->hash, end->hash, sizeof(end->hash));
    link->is_chained = end->is_chained;
    return 0;
}

int store_chain_ask(struct store *s)
{
    struct store_chain *chain = &s->chain;
    const struct store_chain_link *known = &chain->committed;
    struct store_end end;
    bool is_there = true;
    int r = store_end_read(&s->db, &end);
    if (r == 0 && known->is_chained)
        r = store_end_has(&s->db, known->row, known->hash, &is_there);
    if (r < 0)
        return r;
    chain->link = *known;
    if (!is_there || end.sequence < known->row || (end.sequence > known->row && !is_ours(chain, &end))) {
        r = take_damage(s, &end);
    } else if (end.sequence > known->row) {
        take_end(chain, &end);
        (void)tell_since(s, known->row);
    }
    if (r < 0)
        return r;
    if (!chain->link.is_setup)
        audit_chain_key_clear(&chain->setup);
    chain->is_uncertain = false;
    return 0;
}
