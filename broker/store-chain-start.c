/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"
#include "util/clock.h"

#include <sodium.h>
#include <string.h>

/* What the database says against what the key file says. At the first transaction, in this order:
 *
 * 1. no key file, or none that is one: a new key, and the record that says so. What was sealed before proves
 *    nothing of what comes;
 * 2. the file's key is of an epoch that the database does not know of: records are gone, or an older database
 *    was put back;
 * 3. the file's key is of an epoch before (it could not be written, or a crash came between): it is moved on,
 *    and tried on the newest records. One that seals none of them is another trail's: as 1;
 * 4. the head in the file is a record that is not there, or reads otherwise: records are gone or were
 *    altered; so were they if the newest does not fit its own hash and seal.
 *
 * Damage is written into the trail and the service goes on. No number is given twice: the next record has one
 * above the head's, so that the gap stays. */

#define NEWEST 8 /* on so many records a key is tried */

struct start {
    struct store *store;
    struct store_end end;
    struct audit_head head;
    struct audit_chain_key key;
    uint64_t file_epoch;
    struct audit_record *newest[NEWEST]; /* the newest first; NULL: cannot be read */
    size_t n_newest;
    bool was_chained; /* there is a record of a key */
    bool is_fitting;  /* the key seals a record of the newest epoch */
    bool is_differing;
    int64_t sequence;    /* the last number that was given */
    const char *new_key; /* first, lost; NULL: the one in the file */
    char damage[64];     /* "" for none */
};

static void start_clear(struct start *st)
{
    audit_chain_key_clear(&st->key);
    for (size_t i = 0; i < st->n_newest; i++)
        audit_record_free(st->newest[i]);
}
#define _cleanup_start_ _cleanup_(start_clear)

/* --- the database ------------------------------------------------------------------------------------ */

static int read_newest(struct store_db *db, struct start *st)
{
    _cleanup_statement_ struct statement query = statement_open(
        db, SLOT_NONE, "SELECT " STORE_AUDIT_COLUMNS " FROM audit ORDER BY sequence DESC LIMIT ?");
    statement_int(&query, NEWEST);
    int r;
    while ((r = statement_step(&query)) == STEP_ROW) {
        struct audit_record *record = NULL;
        r = store_audit_get(&query, &record);
        if (r < 0 && r != -EUCLEAN)
            return r;
        query.r = 0;
        st->newest[st->n_newest++] = record;
    }
    return r;
}

static int read_trail(struct start *st)
{
    struct store_db *db = &st->store->db;
    int64_t chained = 0, epoch = 0;
    int r = store_end_read(db, &st->end);
    if (r == 0)
        r = read_newest(db, st);
    if (r == 0)
        r = store_db_number(db, SLOT_NONE, "SELECT 1 FROM audit WHERE event = 'trail-key-created' LIMIT 1",
                            &chained);
    st->was_chained = chained || st->end.is_chained;
    if (r == 0 && st->was_chained && !st->end.is_chained) {
        r = store_db_number(db, SLOT_NONE,
                            "SELECT epoch FROM audit WHERE hash IS NOT NULL ORDER BY sequence DESC LIMIT 1",
                            &epoch);
        st->end.epoch = (uint64_t)epoch;
    }
    st->sequence = st->end.sequence;
    return r;
}

/* --- what is found ----------------------------------------------------------------------------------- */

/* The first that is found is told. */
static void say_damage(struct start *st, const char *what, int64_t sequence)
{
    if (!st->damage[0])
        (void)snprintf(st->damage, sizeof(st->damage), "%s %lld", what, (long long)sequence);
}

/* Which epoch the next record is of, as far as the database says. */
static uint64_t next_epoch(const struct store_end *end)
{
    return end->epoch == 0 ? 1 : end->epoch + (end->is_ended ? 1 : 0);
}

/* The key was made, and the record that says so was not written. */
static bool is_unrecorded(const struct start *st)
{
    return st->key.epoch == st->key.first_epoch && st->key.epoch == st->end.epoch + 1 &&
           st->head.sequence <= st->end.sequence;
}

static void try_key(struct start *st)
{
    for (size_t i = 0; i < st->n_newest; i++) {
        const struct audit_record *record = st->newest[i];
        unsigned char seal[AUDIT_SEAL_BYTES];
        if (!record || !record->has_hash || record->epoch != st->key.epoch)
            continue;
        audit_chain_seal(&st->key, record->hash, seal);
        bool is_fitting = sodium_memcmp(seal, record->seal, sizeof(seal)) == 0;
        if (record->epoch == st->end.epoch) {
            st->is_fitting |= is_fitting;
            st->is_differing |= !is_fitting;
        }
        if (i == 0 && !is_fitting)
            say_damage(st, "altered at", record->sequence);
    }
}

/* > 0: the key is another trail's. */
static int move_key(struct start *st, uint64_t epoch)
{
    if (epoch - st->key.epoch > STORE_EPOCHS_BEHIND_MAX) {
        say_damage(st, "altered at", st->end.sequence);
        return 0;
    }
    try_key(st);
    while (st->key.epoch < epoch) {
        int r = audit_chain_key_evolve(&st->key);
        if (r < 0)
            return r;
        try_key(st);
    }
    bool is_other = st->is_differing && !st->is_fitting && st->head.sequence < st->end.sequence;
    return is_other ? AUDIT_KEYFILE_E_BROKEN : 0;
}

static int check_head(struct start *st)
{
    bool is_there = true;
    struct audit_base base;
    int r = store_base_read(&st->store->db, &base);
    if (r < 0 || st->head.sequence == 0)
        return r;
    if (st->head.sequence > st->end.sequence) {
        say_damage(st, "truncated after", st->end.sequence);
        st->sequence = st->head.sequence;
        return 0;
    }
    if (st->head.sequence >= base.sequence)
        r = store_end_has(&st->store->db, st->head.sequence, st->head.hash, &is_there);
    if (r == 0 && !is_there)
        say_damage(st, "altered at", st->head.sequence);
    return r;
}

static int check_newest(struct start *st)
{
    if (st->n_newest == 0 || (st->n_newest > 1 && !st->newest[1]))
        return 0;
    struct audit_record *record = st->newest[0];
    struct audit_base base = {.sequence = 0};
    unsigned char hash[AUDIT_HASH_BYTES];
    const unsigned char *previous = base.hash; /* zeros before the first */
    int r = 0;
    if (!record || (!record->has_hash && st->was_chained)) {
        say_damage(st, "altered at", st->end.sequence);
        return 0;
    }
    if (!record->has_hash)
        return 0;
    if (st->n_newest == 1)
        r = store_base_read(&st->store->db, &base);
    else if (st->newest[1]->has_hash)
        previous = st->newest[1]->hash;
    memcpy(hash, record->hash, sizeof(hash));
    if (r == 0)
        r = audit_chain_hash(record, previous);
    if (r == 0 && memcmp(record->hash, hash, sizeof(hash)) != 0)
        say_damage(st, "altered at", record->sequence);
    return r;
}

/* Of a file that has a key. > 0: it is another trail's. */
static int compare(struct start *st)
{
    int r = audit_keyfile_head(st->store->chain.file, &st->key, &st->head);
    if (r != 0)
        return r;
    uint64_t epoch = next_epoch(&st->end);
    if (is_unrecorded(st)) {
        st->new_key = st->was_chained ? "lost" : "first";
        return 0;
    }
    if (st->key.epoch > epoch) {
        say_damage(st, "truncated after", st->end.sequence);
        st->sequence = st->end.sequence + 1; /* how many are gone nobody knows */
    } else {
        r = move_key(st, epoch);
    }
    if (r == 0)
        r = check_head(st);
    return r == 0 ? check_newest(st) : r;
}

/* --- the start --------------------------------------------------------------------------------------- */

static int make_key(struct start *st)
{
    uint64_t epoch = st->end.epoch < INT64_MAX ? st->end.epoch + 1 : 1;
    audit_chain_key_clear(&st->key);
    st->damage[0] = '\0'; /* nothing that could tell is left */
    st->sequence = st->end.sequence;
    st->new_key = st->was_chained ? "lost" : "first";
    return audit_chain_key_new(epoch, &st->key);
}

static int open_key(struct start *st)
{
    struct store_chain *chain = &st->store->chain;
    audit_keyfile_free(TAKE_PTR(chain->file));
    int r = audit_keyfile_open(chain->path, &chain->file);
    if (r == 0)
        r = audit_keyfile_read(chain->file, &st->key);
    st->file_epoch = st->key.epoch;
    if (r == 0)
        r = compare(st);
    if (r <= 0)
        return r;
    audit_keyfile_free(TAKE_PTR(chain->file)); /* it is no use: another takes its place */
    return make_key(st);
}

/* When the epoch ends whose first record is there. */
static int find_due(struct start *st, uint64_t *ret_usec)
{
    *ret_usec = 0;
    if (!st->end.is_chained || st->end.epoch != st->key.epoch)
        return 0;
    int64_t begun = 0;
    int r = store_db_number(&st->store->db, SLOT_NONE,
                            "SELECT time_sec FROM audit WHERE sequence > (SELECT ifnull(max(sequence), 0)"
                            " FROM audit WHERE event = 'trail-sealed') ORDER BY sequence LIMIT 1",
                            &begun);
    int64_t age = wall_sec() - begun;
    int64_t length = (int64_t)(st->store->chain.epoch_usec / USEC_PER_SEC);
    int64_t left = age < 0 || age > length ? 0 : length - age; /* the clock may have been set */
    *ret_usec = boottime_usec() + (uint64_t)left * USEC_PER_SEC;
    return r;
}

static int find_open_damage(struct start *st, bool *ret)
{
    int64_t n = 0;
    int r =
        store_db_number(&st->store->db, SLOT_NONE,
                        "SELECT (SELECT ifnull(max(sequence), 0) FROM audit WHERE event = 'trail-damaged') >"
                        " (SELECT ifnull(max(sequence), 0) FROM audit WHERE event = 'trail-key-created'"
                        " AND detail LIKE 'setup %')",
                        &n);
    *ret = n != 0 || st->damage[0];
    return r;
}

static void adopt(struct start *st, uint64_t due_usec, bool is_damaged)
{
    struct store *s = st->store;
    struct store_chain *chain = &s->chain;
    struct store_chain_link link = {.sequence = st->sequence,
                                    .row = st->end.sequence,
                                    .is_chained = st->end.is_chained,
                                    .epoch = st->key.epoch,
                                    .due_usec = due_usec};
    memcpy(link.hash, st->end.hash, sizeof(link.hash));
    uv_mutex_lock(&s->mutex);
    audit_chain_key_clear(&chain->key);
    chain->key = st->key;
    st->key = (struct audit_chain_key){.key = NULL};
    chain->committed = link;
    chain->is_damaged = is_damaged;
    uv_mutex_unlock(&s->mutex);
    chain->link = link;
    chain->is_started = true;
    chain->is_uncertain = false;
}

int store_chain_start(struct store *s)
{
    _cleanup_start_ struct start st = {.store = s};
    uint64_t due_usec = 0;
    bool is_damaged = false;
    int r = read_trail(&st);
    if (r == 0)
        r = open_key(&st);
    if (r == 0)
        r = find_due(&st, &due_usec);
    if (r == 0)
        r = find_open_damage(&st, &is_damaged);
    if (r == 0)
        r = store_chain_note(s, &st.key, st.new_key, st.damage);
    if (r < 0)
        return r;
    bool has_moved = s->chain.file && st.file_epoch != st.key.epoch;
    adopt(&st, due_usec, is_damaged);
    if (!s->chain.file) /* before the first record that it seals */
        (void)store_chain_write_key(&s->chain);
    else if (has_moved) /* after what ended its epoch is surely synced */
        s->chain.is_file_due = s->chain.wants_write = true;
    else if (audit_keyfile_end_epochs(s->chain.file) != 0)
        s->chain.is_file_due = true;
    return 0;
}
