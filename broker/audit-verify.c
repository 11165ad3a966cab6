/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/audit-verify-internal.h"

#include <string.h>

/* Of the record before the one that is looked at, only what the rules of the header need is kept: memory does
 * not grow with the trail. One change is to make one finding: where records are missing, neither the link nor
 * the step of the epoch is held against the next one. */

#define UP_TO "up to "
#define CLOCK_SLACK_SEC 2 /* the two clocks are not read at once, and one of them in whole seconds */

/* --- before the first record ------------------------------------------------------------------------- */

static void describe_key(struct audit_verify *v, const struct audit_chain_key *key)
{
    v->key_first_epoch = key->first_epoch;
    v->key_is_first = key->epoch == key->first_epoch;
    audit_key_id_format(key, v->key_id);
}

static void begin_after(struct audit_verify *v, int64_t sequence, const unsigned char *hash, uint64_t epoch)
{
    v->sequence = sequence;
    v->epoch = epoch;
    memcpy(v->hash, hash, AUDIT_HASH_BYTES);
}

/* Where the first record follows on. */
static void place_begin(struct audit_verify *v)
{
    const struct audit_base *base = &v->options.base;
    const struct audit_head *from = &v->options.from;
    v->is_linked = true;
    if (v->options.is_partial) {
        v->is_chained = from->sequence > 0;
        if (v->is_chained)
            begin_after(v, from->sequence, from->hash, 0);
    } else if (base->sequence > 0) {
        v->is_chained = base->epoch > 0;
        begin_after(v, base->sequence, base->hash, base->epoch);
    }
}

/* The seal of what was removed, of the epoch when it was. */
static int check_base_seal(struct audit_verify *v)
{
    const struct audit_base *base = &v->options.base;
    const struct audit_chain_key *key;
    unsigned char seal[AUDIT_SEAL_BYTES];
    if (v->options.is_partial || base->sequence <= 0 || !verify_keys_cover(&v->keys, base->seal_epoch))
        return 0;
    int r = verify_keys_get_of_base(&v->keys, base->seal_epoch, &key);
    if (r < 0)
        return r;
    const struct verify_suspect suspect = {AUDIT_FINDING_BASE, base->sequence, base->seal_epoch};
    if (key)
        audit_chain_seal_base(key, base, seal);
    v->is_base_sealed = key && verify_keys_compare(&v->keys, seal, base->seal);
    if (!v->is_base_sealed)
        (void)verify_keys_suspect(&v->keys, &suspect); /* the first of all: there is room */
    return 0;
}

int audit_verify_new(const struct audit_verify_options *options, struct audit_verify **ret)
{
    _cleanup_(audit_verify_freep) struct audit_verify *v = calloc(1, sizeof(*v));
    if (!v)
        return -ENOMEM;
    v->options = *options;
    v->options.key = NULL; /* the caller's */
    int r = verify_keys_init(&v->keys, options->key);
    if (r == 0)
        r = verify_findings_init(&v->findings, options->findings_max);
    if (r < 0)
        return r;
    if (options->key)
        describe_key(v, options->key);
    place_begin(v);
    r = check_base_seal(v);
    if (r == 0)
        *ret = TAKE_PTR(v);
    return r;
}

void audit_verify_free(struct audit_verify *v)
{
    if (!v)
        return;
    verify_keys_deinit(&v->keys);
    verify_findings_deinit(&v->findings);
    free(v);
}

/* A part of a trail, after nobody knows what. */
static void enter(struct audit_verify *v, const struct audit_record *record)
{
    if (!v->options.is_partial || v->sequence > 0 || record->sequence <= 1)
        return;
    v->is_linked = !record->has_hash;
    v->is_chained = v->is_entry = record->has_hash;
    v->sequence = record->sequence - 1;
}

/* --- numbers ----------------------------------------------------------------------------------------- */

/* Whether it follows the one before, as far as numbers tell. */
static bool check_number(struct audit_verify *v, const struct audit_record *record)
{
    int64_t n = record->sequence;
    if (n <= v->options.base.sequence && !v->options.is_partial) {
        FOUND(v, AUDIT_FINDING_BASE, n, "record %" PRId64 " is there, though it is said to be removed", n);
        return false;
    }
    if (n <= v->sequence) {
        FOUND(v, AUDIT_FINDING_ORDER, n, "record %" PRId64 " comes after record %" PRId64, n, v->sequence);
        return false;
    }
    if (n - v->sequence == 1)
        return true;
    int64_t n_missing = n - v->sequence - 1;
    FOUND(v, AUDIT_FINDING_GAP, n, "%" PRId64 " record%s missing before record %" PRId64, n_missing,
          n_missing == 1 ? " is" : "s are", n);
    return false;
}

/* --- hashes and seals -------------------------------------------------------------------------------- */

/* Whether what it says fits its hash. */
static int check_hash(struct audit_verify *v, const struct audit_record *record, bool follows, bool *ret)
{
    struct audit_record copy = *record; /* its texts are the record's */
    *ret = false;
    if (!v->is_linked)
        return 0;
    int r = audit_chain_hash(&copy, v->hash);
    if (r < 0)
        return r;
    *ret = memcmp(copy.hash, record->hash, AUDIT_HASH_BYTES) == 0;
    if (!*ret && follows)
        FOUND(v, AUDIT_FINDING_ALTERED, record->sequence,
              "record %" PRId64 " is not as it was written, or does not belong after the one before",
              record->sequence);
    return 0;
}

static void note_proven(struct audit_verify *v, uint64_t epoch)
{
    struct audit_verify_report *report = &v->report;
    report->n_proven++;
    if (report->first_proven_epoch == 0 || epoch < report->first_proven_epoch)
        report->first_proven_epoch = epoch;
    if (epoch > report->last_proven_epoch)
        report->last_proven_epoch = epoch;
}

static void check_seal(struct audit_verify *v, const struct audit_record *record, bool fits_hash)
{
    /* An epoch that the key was not moved on to is not worth a key of its own. */
    const struct audit_chain_key *key = record->epoch == v->keys.key.epoch ? &v->keys.key : NULL;
    unsigned char seal[AUDIT_SEAL_BYTES];
    if (!verify_keys_cover(&v->keys, record->epoch))
        return;
    if (key)
        audit_chain_seal(key, record->hash, seal);
    if (!key || !verify_keys_compare(&v->keys, seal, record->seal))
        FOUND(v, AUDIT_FINDING_SEAL, record->sequence, "record %" PRId64 " was not sealed in epoch %" PRIu64,
              record->sequence, record->epoch);
    else if (fits_hash)
        note_proven(v, record->epoch);
}

void verify_found_repeats(struct audit_verify *v, int64_t sequence)
{
    FOUND(v, AUDIT_FINDING_REPEATS, sequence,
          "how often the token of record %" PRId64 " was handed out again is not as it was written",
          sequence);
}

static int check_repeats(struct audit_verify *v, const struct audit_record *record)
{
    const struct audit_chain_key *key;
    unsigned char seal[AUDIT_SEAL_BYTES];
    uint64_t epoch = record->repeats_epoch;
    if (record->repeats == 0 && epoch == 0)
        return 0;
    if (record->repeats == 0 || epoch < record->epoch) {
        verify_found_repeats(v, record->sequence);
        return 0;
    }
    if (epoch > v->repeats_epoch) {
        v->repeats_epoch = epoch;
        v->repeats_sequence = record->sequence;
    }
    if (!verify_keys_cover(&v->keys, epoch))
        return 0;
    int r = verify_keys_get(&v->keys, epoch, &key);
    if (r < 0)
        return r;
    if (key)
        audit_chain_seal_repeats(key, record->sequence, record->repeats, seal);
    const struct verify_suspect suspect = {AUDIT_FINDING_REPEATS, record->sequence, epoch};
    if ((!key || !verify_keys_compare(&v->keys, seal, record->repeats_seal)) &&
        !verify_keys_suspect(&v->keys, &suspect))
        verify_found_repeats(v, record->sequence);
    return 0;
}

/* --- clocks ------------------------------------------------------------------------------------------ */

static bool is_same_boot(const struct clock_reading *before, const struct audit_record *record)
{
    static const unsigned char none[AUDIT_BOOT_ID_BYTES];
    return memcmp(before->boot_id, record->boot_id, sizeof(none)) == 0 &&
           memcmp(before->boot_id, none, sizeof(none)) != 0;
}

/* In one run of the kernel the two clocks go at one pace, so that a wall clock that was set back shows even
 * where it has caught up since. */
static void check_clock(struct audit_verify *v, const struct audit_record *record)
{
    struct clock_reading *before = &v->clock;
    int64_t n = record->sequence;
    double wall = (double)record->time_sec - (double)before->time_sec;
    double boot = ((double)record->boot_usec - (double)before->boot_usec) / 1e6;
    if (before->is_known && is_same_boot(before, record)) {
        if (boot < -CLOCK_SLACK_SEC)
            FOUND(v, AUDIT_FINDING_CLOCK, n, "before record %" PRId64 " the time since boot ran back", n);
        else if (boot - wall > CLOCK_SLACK_SEC)
            FOUND(v, AUDIT_FINDING_CLOCK, n,
                  "before record %" PRId64 " the clock was set back by %.0f seconds", n, boot - wall);
    } else if (before->is_known && wall < 0) {
        FOUND(v, AUDIT_FINDING_CLOCK, n,
              "record %" PRId64 " is %.0f seconds older than the one before, in another run of the system", n,
              -wall);
    }
    *before = (struct clock_reading){
        .is_known = true, .time_sec = record->time_sec, .boot_usec = record->boot_usec};
    memcpy(before->boot_id, record->boot_id, sizeof(before->boot_id));
}

/* --- one record -------------------------------------------------------------------------------------- */

static void note_event(struct audit_verify *v, const struct audit_record *record)
{
    const char *detail = verify_detail(record);
    if (record->event == AUDIT_TRAIL_DAMAGED)
        FOUND(v, AUDIT_FINDING_REPORTED, record->sequence,
              "with record %" PRId64 " the broker says that it found the trail cut short or altered",
              record->sequence);
    if (record->event == AUDIT_TRAIL_PRUNED && strncmp(detail, UP_TO, strlen(UP_TO)) == 0) {
        int64_t up_to = strtoll(detail + strlen(UP_TO), NULL, 10);
        if (up_to > v->pruned_up_to)
            v->pruned_up_to = up_to;
    }
}

void verify_compare_head(struct audit_verify *v, int64_t sequence, const unsigned char *hash)
{
    const struct audit_head *head = &v->options.head;
    if (head->sequence <= 0 || sequence != head->sequence || v->head_differs)
        return;
    v->report.head_found = memcmp(head->hash, hash, AUDIT_HASH_BYTES) == 0;
    if (v->report.head_found)
        return;
    v->head_differs = true;
    FOUND(v, AUDIT_FINDING_ALTERED, sequence, "record %" PRId64 " is not the one that was noted elsewhere",
          sequence);
}

static void move_on(struct audit_verify *v, const struct audit_record *record)
{
    bool is_end = record->event == AUDIT_TRAIL_SEALED;
    if (record->sequence > v->sequence)
        v->sequence = record->sequence;
    v->is_linked = v->is_chained = true;
    memcpy(v->hash, record->hash, sizeof(v->hash));
    v->epoch = record->epoch;
    v->end = is_end ? END_SEALED : END_OPEN;
    v->announced[0] = '\0';
    if (is_end)
        (void)snprintf(v->announced, sizeof(v->announced), "%s", verify_detail(record));
    memcpy(v->report.last_hash, record->hash, sizeof(v->report.last_hash));
    if (record->epoch > v->report.last_epoch)
        v->report.last_epoch = record->epoch;
    v->is_entry = false;
}

static int add_chained(struct audit_verify *v, const struct audit_record *record)
{
    bool follows = check_number(v, record), fits_hash;
    verify_epoch(v, record, follows);
    int r = check_hash(v, record, follows, &fits_hash);
    if (r == 0)
        r = verify_keys_advance(&v->keys, record->epoch, record->sequence);
    if (r < 0)
        return r;
    check_seal(v, record, fits_hash);
    r = check_repeats(v, record);
    if (r < 0)
        return r;
    check_clock(v, record);
    note_event(v, record);
    verify_compare_head(v, record->sequence, record->hash);
    move_on(v, record);
    return 0;
}

static void add_unchained(struct audit_verify *v, const struct audit_record *record)
{
    if (v->is_chained) {
        FOUND(v, AUDIT_FINDING_UNSEALED, record->sequence,
              "record %" PRId64 " has no hash, though one before it has", record->sequence);
        v->is_linked = false;
        v->end = END_UNKNOWN;
    } else {
        v->report.n_unchained++;
    }
    if (record->sequence <= v->sequence)
        FOUND(v, AUDIT_FINDING_ORDER, record->sequence, "record %" PRId64 " comes after record %" PRId64,
              record->sequence, v->sequence);
    else
        v->sequence = record->sequence;
}

static void count(struct audit_verify *v, int64_t sequence)
{
    struct audit_verify_report *report = &v->report;
    report->n_records++;
    if (report->first == 0)
        report->first = sequence;
    if (sequence > report->last)
        report->last = sequence;
}

int audit_verify_add(struct audit_verify *v, const struct audit_record *record)
{
    count(v, record->sequence);
    v->report.last_time_sec = record->time_sec;
    enter(v, record);
    if (record->has_hash)
        return add_chained(v, record);
    add_unchained(v, record);
    return 0;
}

void audit_verify_add_unreadable(struct audit_verify *v, int64_t sequence)
{
    FOUND(v, AUDIT_FINDING_ALTERED, sequence > 0 ? sequence : v->sequence,
          "what stands after record %" PRId64 " cannot be read", v->sequence);
    count(v, sequence);
    if (sequence > v->sequence)
        v->sequence = sequence;
    else if (v->sequence < INT64_MAX)
        v->sequence++;
    v->is_linked = false;
    v->is_chained = true;
    v->end = END_UNKNOWN;
}
