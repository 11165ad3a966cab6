/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"
#include "util/clock.h"

#include <sodium.h>
#include <string.h>

/* A transaction failed, and a commit that is reported as failed may have been made. So before the next one
 * the database is asked, against what memory knows: it ends where it did, or with what the transaction wrote,
 * under a key of ours. Anything else is damage. */

/* What a transaction may have written: operations of our own, with the records. */
struct found {
    struct list ops;
    bool is_ours; /* each is linked to the one before, and sealed with one of our keys */
};

static void drop_all(struct list *ops)
{
    while (!list_is_empty(ops)) {
        struct store_op *op = LIST_ENTRY(ops->next, struct store_op, link);
        list_remove(&op->link);
        store_op_free(op);
    }
}

static int check(const struct store_chain *chain, struct audit_record *record,
                 unsigned char previous[AUDIT_HASH_BYTES], bool *ret)
{
    bool is_setup = chain->setup.key && record->epoch == chain->setup.epoch;
    const struct audit_chain_key *key = is_setup ? &chain->setup : &chain->key;
    unsigned char hash[AUDIT_HASH_BYTES], seal[AUDIT_SEAL_BYTES];
    memcpy(hash, record->hash, sizeof(hash));
    int r = audit_chain_hash(record, previous);
    if (r < 0)
        return r;
    audit_chain_seal(key, record->hash, seal);
    *ret = record->epoch == key->epoch && memcmp(hash, record->hash, sizeof(hash)) == 0 &&
           sodium_memcmp(seal, record->seal, sizeof(seal)) == 0;
    memcpy(previous, record->hash, AUDIT_HASH_BYTES);
    return 0;
}

static int take_record(struct statement *st, const struct store_chain *chain,
                       unsigned char previous[AUDIT_HASH_BYTES], struct found *found)
{
    struct audit_record *record;
    int r = store_audit_get(st, &record);
    if (r == -EUCLEAN)
        found->is_ours = false;
    if (r < 0)
        return r;
    struct store_op *op = store_op_new(record, NULL);
    if (!op)
        return -ENOMEM;
    op->is_own = true;
    list_append(&found->ops, &op->link);
    return check(chain, record, previous, &found->is_ours);
}

static int read_since(struct store *s, const struct store_chain_link *known, struct found *found)
{
    unsigned char previous[AUDIT_HASH_BYTES];
    memcpy(previous, known->hash, sizeof(previous));
    _cleanup_statement_ struct statement st = statement_open(
        &s->db, SLOT_NONE, "SELECT " STORE_AUDIT_COLUMNS " FROM audit WHERE sequence > ? ORDER BY sequence");
    statement_int(&st, known->row);
    found->is_ours = true;
    int r = 0;
    while (found->is_ours && (r = statement_step(&st)) == STEP_ROW) {
        r = take_record(&st, &s->chain, previous, found);
        if (r < 0)
            break;
    }
    return found->is_ours ? r : 0;
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

/* Who waits for records hears of these too, though whoever caused them was told that they failed. */
static void tell(struct store *s, struct list *ops)
{
    uv_mutex_lock(&s->mutex);
    list_move_all(ops, &s->done);
    uv_mutex_unlock(&s->mutex);
    (void)uv_async_send(&s->async);
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

static int compare(struct store *s, const struct store_end *end, bool is_there, struct found *found)
{
    struct store_chain *chain = &s->chain;
    const struct store_chain_link *known = &chain->committed;
    bool is_longer = end->sequence > known->row;
    int r = is_there && is_longer ? read_since(s, known, found) : 0;
    if (r < 0)
        return r;
    chain->link = *known;
    if (!is_there || end->sequence < known->row || (is_longer && !found->is_ours))
        return take_damage(s, end);
    if (is_longer) {
        take_end(chain, end);
        tell(s, &found->ops);
    }
    return 0;
}

int store_chain_ask(struct store *s)
{
    struct store_chain *chain = &s->chain;
    struct store_end end;
    struct found found = {.is_ours = false};
    bool is_there = true;
    list_init(&found.ops);
    int r = store_end_read(&s->db, &end);
    if (r == 0 && chain->committed.is_chained)
        r = store_end_has(&s->db, chain->committed.row, chain->committed.hash, &is_there);
    if (r == 0)
        r = compare(s, &end, is_there, &found);
    drop_all(&found.ops);
    if (r < 0)
        return r;
    if (!chain->link.is_setup)
        audit_chain_key_clear(&chain->setup);
    chain->is_uncertain = false;
    return 0;
}
