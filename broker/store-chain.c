/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/audit-text.h"
#include "broker/store-internal.h"
#include "util/clock.h"

#include <string.h>

/* The chain of the trail (audit-chain.h), in the worker. Each record gets its number, epoch, hash and seal in
 * the transaction that writes it. Where the chain stands then, `link`, goes back with a savepoint that is
 * undone, and to `committed` with a transaction that is. After one that failed nobody knows whether it was
 * made: the database is asked before the next (store-chain-ask.c).
 *
 * An epoch ends with a record of its own, the last one of a batch. Once that is durable the key moves on, in
 * memory at once, in the file after the batch was handed over: no token waits for that. A file that cannot be
 * written is tried again, with the key as it is then; the chain goes on meanwhile. */

/* --- records ----------------------------------------------------------------------------------------- */

static const struct audit_chain_key *present_key(const struct store_chain *chain)
{
    return chain->link.is_setup ? &chain->setup : &chain->key;
}

/* The record before ended its epoch, in the same transaction: a setup brings the next key along. */
static int enter_setup(struct store_chain *chain)
{
    if (chain->link.is_setup || !chain->setup.key)
        return -ENOMEM; /* the key could not be moved on */
    chain->link.epoch = chain->setup.epoch;
    chain->link.is_setup = true;
    chain->link.is_ended = false;
    chain->link.due_usec = 0;
    return 0;
}

static int insert(struct store_chain *chain, struct store_db *db, struct audit_record *record)
{
    record->sequence = chain->link.sequence + 1;
    record->epoch = chain->link.epoch;
    int r = audit_chain_hash(record, chain->link.hash);
    if (r < 0)
        return r;
    audit_chain_seal(present_key(chain), record->hash, record->seal);
    return store_audit_insert(db, record);
}

int store_chain_add(struct store_chain *chain, struct store_db *db, struct audit_record *record)
{
    if (chain->link.sequence == INT64_MAX)
        return -EOVERFLOW;
    int r = chain->link.is_ended ? enter_setup(chain) : 0;
    if (r == 0)
        r = insert(chain, db, record);
    if (r == -EEXIST) {
        /* Somebody else wrote a record: where the trail ends is to be found out anew. */
        chain->is_uncertain = true;
        r = -EBUSY;
    }
    if (r < 0) {
        record->sequence = 0;
        return r;
    }
    struct store_chain_link *link = &chain->link;
    link->sequence = link->row = record->sequence;
    link->is_chained = true;
    memcpy(link->hash, record->hash, sizeof(link->hash));
    link->is_ended = record->event == AUDIT_TRAIL_SEALED;
    if (link->due_usec == 0)
        link->due_usec = boottime_usec() + chain->epoch_usec;
    return 0;
}

void store_chain_seal_repeats(const struct store_chain *chain, const struct store_repeat *repeat,
                              uint64_t *ret_epoch, unsigned char ret_seal[AUDIT_SEAL_BYTES])
{
    *ret_epoch = chain->link.epoch;
    audit_chain_seal_repeats(present_key(chain), repeat->sequence, repeat->repeats, ret_seal);
}

void store_chain_seal_base(const struct store_chain *chain, struct audit_base *base)
{
    base->seal_epoch = chain->link.epoch;
    audit_chain_seal_base(present_key(chain), base, base->seal);
}

int store_chain_describe(const char *how, const struct audit_chain_key *key, char **ret)
{
    char id[AUDIT_KEY_ID_TEXT_SIZE], *text;
    audit_key_id_format(key, id);
    if (asprintf(&text, "%s %s", how, id) < 0)
        return -ENOMEM;
    free(*ret);
    *ret = text;
    return 0;
}

/* --- the file ---------------------------------------------------------------------------------------- */

static int make_file(struct store_chain *chain)
{
    audit_keyfile_free(TAKE_PTR(chain->file));
    return audit_keyfile_make(chain->path, &chain->key, &chain->file);
}

/* Steps 2 to 4 of audit-keyfile.h. */
static int write_key(struct store_chain *chain)
{
    int r = chain->file ? audit_keyfile_begin_epoch(chain->file, &chain->key) : AUDIT_KEYFILE_E_MISSING;
    if (r > 0)
        r = make_file(chain);
    if (r == 0) {
        const struct audit_head head = store_chain_head(&chain->committed);
        r = head.sequence > 0 ? audit_keyfile_set_head(chain->file, &chain->key, &head) : 0;
    }
    if (r == 0)
        r = audit_keyfile_end_epochs(chain->file);
    return r > 0 ? -EIO : r;
}

static void put_off_file(struct store_chain *chain)
{
    chain->is_file_due = true;
    chain->file_due_usec = boottime_usec() + STORE_KEYFILE_RETRY_SEC * USEC_PER_SEC;
}

int store_chain_write_key(struct store_chain *chain)
{
    int r = write_key(chain);
    chain->is_file_due = false;
    if (r < 0)
        put_off_file(chain);
    chain->file_failure = r;
    return r;
}

void store_chain_keep(struct store *s)
{
    struct store_chain *chain = &s->chain;
    if (chain->is_file_due && !chain->is_uncertain && !chain->wants_write &&
        boottime_usec() >= chain->file_due_usec)
        (void)store_chain_write_key(chain);
}

static void keep_head(struct store_chain *chain)
{
    if (!chain->file)
        return;
    const struct audit_head head = store_chain_head(&chain->committed);
    int r = audit_keyfile_set_head(chain->file, &chain->key, &head);
    if (r < 0 && !chain->is_file_due) {
        put_off_file(chain);
        chain->file_failure = r;
    }
}

uint64_t store_chain_due_usec(const struct store_chain *chain)
{
    uint64_t due = UINT64_MAX;
    if (chain->committed.due_usec > 0)
        due = chain->committed.due_usec;
    if (chain->is_file_due && !chain->is_uncertain && chain->file_due_usec < due)
        due = chain->file_due_usec;
    return due;
}

/* --- the transaction --------------------------------------------------------------------------------- */

bool store_chain_must_end(const struct store_chain *chain)
{
    const struct store_chain_link *link = &chain->link;
    return !link->is_ended && (link->is_setup || (link->due_usec > 0 && boottime_usec() >= link->due_usec));
}

void store_chain_put_off_end(struct store_chain *chain)
{
    chain->link.due_usec = boottime_usec() + STORE_EPOCH_RETRY_SEC * USEC_PER_SEC;
}

/* The key of the record's epoch is not needed any more. What cannot be done for want of memory is tried again
 * before the next record. */
static int move_on(struct store_chain *chain)
{
    if (chain->link.is_setup) {
        audit_chain_key_clear(&chain->key);
        chain->key = chain->setup;
        chain->setup = (struct audit_chain_key){.key = NULL};
        chain->link.is_setup = false;
    }
    if (!chain->link.is_ended)
        return 0;
    int r = audit_chain_key_evolve(&chain->key);
    if (r < 0)
        return r;
    chain->link.epoch = chain->key.epoch;
    chain->link.is_ended = false;
    chain->link.due_usec = 0;
    chain->is_file_due = true;
    chain->file_due_usec = 0;
    return 0;
}

static int settle(struct store *s)
{
    struct store_chain *chain = &s->chain;
    uv_mutex_lock(&s->mutex);
    if (chain->link.is_setup)
        chain->is_damaged = false;
    int r = move_on(chain);
    chain->committed = chain->link;
    uv_mutex_unlock(&s->mutex);
    return r;
}

int store_chain_begin(struct store *s)
{
    struct store_chain *chain = &s->chain;
    if (!chain->is_started)
        return store_chain_start(s);
    if (chain->is_uncertain) {
        int r = store_chain_ask(s);
        return r < 0 ? r : settle(s);
    }
    return chain->link.is_ended ? settle(s) : 0;
}

void store_chain_commit(struct store *s)
{
    struct store_chain *chain = &s->chain;
    bool is_longer = chain->link.sequence != chain->committed.sequence, is_setup = chain->link.is_setup;
    (void)settle(s);
    chain->wants_write = false;
    audit_chain_key_clear(&chain->setup); /* of a setup that was undone */
    if (is_setup)                         /* its secret goes out only then */
        store_chain_keep(s);
    if (is_longer)
        keep_head(chain);
}

/* Whatever became of it. */
void store_chain_fail(struct store *s)
{
    struct store_chain *chain = &s->chain;
    if (chain->link.is_setup)
        chain->unsure = chain->link;
    chain->link = chain->committed;
    chain->is_uncertain = true;
}

/* --- records of its own ------------------------------------------------------------------------------ */

struct store_op *store_chain_op(struct store *s, enum audit_event event, char *detail)
{
    _cleanup_free_ char *owned = detail;
    struct audit_record *record = audit_record_new(event);
    struct store_op *op = record ? store_op_new(record, NULL) : NULL;
    if (!op)
        return NULL;
    memcpy(record->boot_id, s->boot_id, sizeof(s->boot_id));
    record->detail = TAKE_PTR(owned);
    op->chain = &s->chain;
    op->is_own = true;
    return op;
}

static int note(struct store *s, enum audit_event event, char *detail)
{
    struct store_op *op = store_chain_op(s, event, detail);
    if (!op)
        return -ENOMEM;
    list_append(s->chain.notes.next, &op->link); /* the first of all */
    return 0;
}

int store_chain_note(struct store *s, const struct audit_chain_key *key, const char *how, const char *damage)
{
    char *text = NULL;
    int r = how ? store_chain_describe(how, key, &text) : 0;
    if (r == 0 && text)
        r = note(s, AUDIT_TRAIL_KEY_CREATED, text);
    if (r < 0 || !damage[0])
        return r;
    text = strdup(damage);
    r = text ? note(s, AUDIT_TRAIL_DAMAGED, text) : -ENOMEM;
    if (r < 0)
        return r;
    uv_mutex_lock(&s->mutex);
    s->chain.is_damaged = true;
    uv_mutex_unlock(&s->mutex);
    return 0;
}

/* --- for others -------------------------------------------------------------------------------------- */

struct audit_head store_chain_head(const struct store_chain_link *link)
{
    struct audit_head head = {.sequence = link->is_chained ? link->row : 0};
    memcpy(head.hash, link->hash, sizeof(head.hash));
    return head;
}

int store_chain_view(struct store *s, struct store_chain_view *ret)
{
    struct store_chain_view view = {.key = {.key = NULL}};
    uv_mutex_lock(&s->mutex);
    int r = s->chain.key.key ? audit_chain_key_copy(&s->chain.key, &view.key) : -EAGAIN;
    view.head = store_chain_head(&s->chain.committed);
    uv_mutex_unlock(&s->mutex);
    if (r == 0)
        *ret = view;
    return r;
}

void store_chain_view_clear(struct store_chain_view *view)
{
    audit_chain_key_clear(&view->key);
}

void store_chain_close(struct store_chain *chain)
{
    audit_keyfile_free(chain->file);
    audit_chain_key_clear(&chain->key);
    audit_chain_key_clear(&chain->setup);
    while (!list_is_empty(&chain->notes)) {
        struct store_op *op = LIST_ENTRY(chain->notes.next, struct store_op, link);
        list_remove(&op->link);
        store_op_free(op);
    }
    free(chain->path);
}
