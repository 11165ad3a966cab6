/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/audit-verify-internal.h"
#include "broker/limits.h"
#include "tests/unit/made-trail.h"

#include <inttypes.h>
#include <string.h>

#define KEPT 64

/* --- running it -------------------------------------------------------------------------------------- */

struct result {
    struct audit_verify_report report;
    struct audit_finding findings[KEPT];
};

static struct audit_verify_options options_of(const struct audit_chain_key *key)
{
    return (struct audit_verify_options){.key = key, .findings_max = KEPT};
}

static struct result run(const struct trail *t, const struct audit_verify_options *options)
{
    _cleanup_(audit_verify_freep) struct audit_verify *v = NULL;
    struct result result = {.report.n_records = 0};
    assert_int_equal(audit_verify_new(options, &v), 0);
    for (size_t i = 0; i < t->n; i++)
        assert_int_equal(audit_verify_add(v, t->records[i]), 0);
    assert_int_equal(audit_verify_finish(v, &result.report), 0);
    memcpy(result.findings, result.report.findings, result.report.n_findings * sizeof(result.findings[0]));
    return result;
}

static struct result run_with(const struct trail *t, const struct audit_chain_key *key)
{
    struct audit_verify_options options = options_of(key);
    return run(t, &options);
}

static unsigned n_of(const struct result *result, enum audit_finding_kind kind)
{
    unsigned n = 0;
    for (unsigned i = 0; i < result->report.n_findings; i++)
        n += result->findings[i].kind == kind;
    return n;
}

/* As the failure's message. */
static void show(const struct result *result)
{
    for (unsigned i = 0; i < result->report.n_findings; i++)
        print_message("%s at %" PRId64 ": %s\n", audit_finding_name(result->findings[i].kind),
                      result->findings[i].sequence, result->findings[i].text);
}

static void assert_intact(const struct result *result)
{
    if (result->report.n_damage > 0)
        show(result);
    assert_int_equal(result->report.n_damage, 0);
    assert_int_equal(result->report.first_damage, 0);
}

/* This one and no other damage. */
static void assert_only(const struct result *result, enum audit_finding_kind kind, int64_t sequence)
{
    if (result->report.n_damage != 1 || result->findings[0].kind != kind ||
        result->findings[0].sequence != sequence) {
        show(result);
        fail_msg("not just %s at %" PRId64, audit_finding_name(kind), sequence);
    }
    assert_int_equal(result->report.first_damage, sequence);
}

/* Whatever key there is. */
static void assert_only_ever(const struct trail *t, enum audit_finding_kind kind, int64_t sequence)
{
    const struct audit_chain_key *const keys[] = {NULL, &t->present, &t->first};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        struct result result = run_with(t, keys[i]);
        assert_only(&result, kind, sequence);
    }
}

/* --- good trails ------------------------------------------------------------------------------------- */

static void finds_nothing_in_a_good_trail(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(64);
    struct result none = run_with(t, NULL), present = run_with(t, &t->present), all = run_with(t, &t->first);
    assert_intact(&none);
    assert_intact(&present);
    assert_intact(&all);
    assert_int_equal(none.report.n_records, 64);
    assert_int_equal(none.report.n_findings, 0);
    assert_int_equal(none.report.n_proven, 0);
    assert_int_equal(none.report.key, AUDIT_VERIFY_KEY_NONE);
    assert_int_equal(none.report.first, 1);
    assert_int_equal(none.report.last, 64);
    assert_int_equal(none.report.last_epoch, 8);
    assert_int_equal(none.report.last_time_sec, t->records[63]->time_sec);
    assert_memory_equal(none.report.last_hash, t->records[63]->hash, AUDIT_HASH_BYTES);
    assert_false(none.report.head_found);

    assert_int_equal(present.report.key, AUDIT_VERIFY_KEY_FITS);
    assert_int_equal(present.report.n_proven, 8);
    assert_int_equal(present.report.first_proven_epoch, 8);
    assert_int_equal(present.report.last_proven_epoch, 8);

    assert_int_equal(all.report.key, AUDIT_VERIFY_KEY_FITS);
    assert_int_equal(all.report.n_proven, 64);
    assert_int_equal(all.report.first_proven_epoch, 1);
    assert_int_equal(all.report.last_proven_epoch, 8);
}

static void may_end_anywhere(void **state _unused_)
{
    for (size_t n = 1; n <= 20; n++) {
        _cleanup_(trail_freep) struct trail *t = trail_of(n);
        if (n == 20)
            trail_end_epoch(t);
        struct result result = run_with(t, &t->first), none = run_with(t, NULL);
        assert_intact(&result);
        assert_intact(&none);
        result = run_with(t, &t->present); /* of an epoch that may have no record yet */
        assert_intact(&result);
        assert_int_equal(result.report.key, n == 20 ? AUDIT_VERIFY_KEY_UNUSED : AUDIT_VERIFY_KEY_FITS);
    }
}

static void an_empty_trail_is_no_trail(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(10);
    trail_remove(t, 0, t->n);
    struct result result = run_with(t, NULL);
    assert_intact(&result);
    assert_int_equal(result.report.last_epoch, 0);
    result = run_with(t, &t->present); /* there was one */
    assert_only(&result, AUDIT_FINDING_TRUNCATED, 0);
}

static struct trail *trail_with_old_records(void)
{
    struct trail *t = trail_of(12);
    _cleanup_(trail_freep) struct trail *old = trail_of(6);
    memmove(t->records + 6, t->records, t->n * sizeof(t->records[0]));
    memcpy(t->records, old->records, 6 * sizeof(t->records[0]));
    old->n = 0;
    t->n += 6;
    for (size_t i = 0; i < 6; i++) {
        t->records[i]->has_hash = false;
        t->records[i]->epoch = t->records[i]->repeats_epoch = 0;
    }
    struct audit_chain_key key;
    assert_int_equal(audit_chain_key_copy(&t->first, &key), 0);
    for (size_t i = 6; i < t->n; i++) {
        static const unsigned char zeros[AUDIT_HASH_BYTES];
        struct audit_record *r = t->records[i];
        r->sequence += 6;
        assert_int_equal(audit_chain_hash(r, i > 6 ? t->records[i - 1]->hash : zeros), 0);
        assert_int_equal(audit_chain_key_evolve_to(&key, r->epoch), 0);
        audit_chain_seal(&key, r->hash, r->seal);
        r->repeats = r->repeats_epoch = 0;
    }
    audit_chain_key_clear(&key);
    return t;
}

static void old_records_come_first(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_with_old_records();
    struct result result = run_with(t, &t->first);
    assert_intact(&result);
    assert_int_equal(result.report.n_unchained, 6);
    assert_int_equal(result.report.n_records, 18);
    assert_int_equal(result.report.n_proven, 12);
    trail_remove(t, 2, 3); /* nothing is known of them */
    result = run_with(t, &t->first);
    assert_intact(&result);
    trail_remove(t, 4, 5); /* the last of them: the number of the next one tells */
    assert_only_ever(t, AUDIT_FINDING_GAP, 7);
}

/* --- each kind of finding ---------------------------------------------------------------------------- */

static void finds_what_was_altered(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(64);
    trail_replace_text(&t->records[20]->app, "user:somebody");
    assert_only_ever(t, AUDIT_FINDING_ALTERED, 21);
}

static void finds_a_wrong_seal(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(64);
    t->records[20]->seal[3] ^= 1;
    t->records[62]->seal[3] ^= 1;
    struct result none = run_with(t, NULL), present = run_with(t, &t->present), all = run_with(t, &t->first);
    assert_intact(&none);
    assert_only(&present, AUDIT_FINDING_SEAL, 63);
    assert_int_equal(all.report.n_damage, 2);
    assert_int_equal(n_of(&all, AUDIT_FINDING_SEAL), 2);
    assert_int_equal(all.report.first_damage, 21);
    assert_int_equal(all.report.n_proven, 62);
}

static void finds_gaps(void **state _unused_)
{
    for (size_t i = 0; i + 1 < 40; i++) {
        _cleanup_(trail_freep) struct trail *t = trail_of(40);
        trail_remove(t, i, i + 1);
        struct result result = run_with(t, &t->first);
        assert_true(n_of(&result, AUDIT_FINDING_GAP) == 1);
        assert_int_equal(result.report.first_damage, (int64_t)i + 2);
        if (i > 0)
            assert_only_ever(t, AUDIT_FINDING_GAP, (int64_t)i + 2);
    }
}

static void finds_records_out_of_order(void **state _unused_)
{
    for (size_t i = 0; i + 1 < 40; i++) {
        _cleanup_(trail_freep) struct trail *t = trail_of(40);
        struct audit_record *r = t->records[i];
        t->records[i] = t->records[i + 1];
        t->records[i + 1] = r;
        struct result result = run_with(t, NULL);
        assert_true(n_of(&result, AUDIT_FINDING_ORDER) >= 1);
        /* The same, with the numbers as they were: then the hashes do not fit. */
        int64_t n = t->records[i]->sequence;
        t->records[i]->sequence = t->records[i + 1]->sequence;
        t->records[i + 1]->sequence = n;
        result = run_with(t, NULL);
        assert_true(n_of(&result, AUDIT_FINDING_ALTERED) >= 1);
        assert_int_equal(result.report.first_damage, (int64_t)i + 1);
    }
}

static void finds_a_record_put_in_again(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(64);
    struct audit_record *copy = trail_copy_record(t->records[20]);
    t->records[t->n++] = copy;
    struct result result = run_with(t, NULL);
    assert_only(&result, AUDIT_FINDING_ORDER, 21);
    copy->sequence = 65; /* as a new one */
    result = run_with(t, NULL);
    assert_true(n_of(&result, AUDIT_FINDING_ALTERED) == 1);
    trail_remake(t, 64);
    result = run_with(t, NULL);
    assert_true(n_of(&result, AUDIT_FINDING_EPOCH) == 1); /* it is of an earlier epoch */
}

static void finds_epochs_that_are_not_right(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(20);
    (void)trail_disclose(t);
    assert_int_equal(audit_chain_key_evolve(&t->present), 0);
    (void)trail_disclose(t); /* 22: no end before */
    assert_only_ever(t, AUDIT_FINDING_EPOCH, 22);

    trail_freep(&t);
    t = trail_of(20);
    trail_end_epoch(t);
    assert_int_equal(audit_chain_key_evolve(&t->present), 0);
    (void)trail_disclose(t); /* 22: one left out */
    assert_only_ever(t, AUDIT_FINDING_EPOCH, 22);

    trail_freep(&t);
    t = trail_of(20);
    (void)trail_add(t, AUDIT_TRAIL_SEALED, "");
    (void)trail_disclose(t); /* 22: after the end */
    assert_only_ever(t, AUDIT_FINDING_EPOCH, 22);

    trail_freep(&t);
    t = trail_of(20);
    t->present.epoch = 0;
    (void)trail_disclose(t); /* 21 */
    struct result result = run_with(t, NULL);
    assert_only(&result, AUDIT_FINDING_EPOCH, 21);
}

/* --- what a forged epoch costs ----------------------------------------------------------------------- */

static uint64_t count_steps(const struct trail *t)
{
    _cleanup_(audit_verify_freep) struct audit_verify *v = NULL;
    struct audit_verify_options options = options_of(&t->first);
    assert_int_equal(audit_verify_new(&options, &v), 0);
    for (size_t i = 0; i < t->n; i++)
        assert_int_equal(audit_verify_add(v, t->records[i]), 0);
    return v->keys.n_steps;
}

/* Not one key is made for a number that cannot be right, and what is after it is proven still. */
static void pays_nothing_for_a_forged_epoch(void **state _unused_)
{
    static const uint64_t ahead[] = {5, 100, 4000, 60000, 1000000, UINT64_MAX / 4};
    _cleanup_(trail_freep) struct trail *t = trail_of(64);
    uint64_t usual = count_steps(t); /* 7, and one for a counter */
    assert_in_range(usual, 7, 9);
    for (size_t i = 0; i < ARRAY_SIZE(ahead); i++) {
        struct audit_record *r = t->records[20];
        uint64_t epoch = r->epoch;
        r->epoch += ahead[i];
        struct result result = run_with(t, &t->first);
        assert_int_equal(count_steps(t), usual);
        assert_true(result.report.n_damage > 0);
        assert_int_equal(result.report.n_proven, 63);
        r->epoch = epoch;
    }
}

/* Every record, in every way that is worth a key: of what it was before, all that is for counters of repeats
 * and for what is missing comes to what the limits say. */
static void pays_little_for_many_forged_epochs(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(1024);
    uint64_t n_epochs = t->present.epoch, most = LIMIT_AUDIT_VERIFY_AHEAD;
    for (size_t i = 1; i < t->n; i++) {
        t->records[i]->repeats = 1;
        t->records[i]->repeats_epoch = t->records[i]->epoch + 30000 - 7 * i;
    }
    most += n_epochs * (1 + LIMIT_AUDIT_VERIFY_AHEAD_PER_EPOCH);
    assert_in_range(count_steps(t), LIMIT_AUDIT_VERIFY_AHEAD / 2 - 8000, most);

    for (size_t i = 1; i < t->n; i++) {
        t->records[i]->repeats = t->records[i]->repeats_epoch = 0;
        t->records[i]->sequence = (int64_t)i * 1000000;
        t->records[i]->epoch = i * 40000;
    }
    assert_in_range(count_steps(t), 40000, LIMIT_AUDIT_VERIFY_STEPS);
}

/* Where records are missing the trail has gone on, and so has the key; also years after its beginning. */
static void goes_on_after_what_is_missing(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(64);
    trail_remove(t, 9, 50);
    struct result result = run_with(t, &t->first);
    assert_int_equal(count_steps(t), 7);
    assert_int_equal(n_of(&result, AUDIT_FINDING_SEAL), 0);
    assert_int_equal(n_of(&result, AUDIT_FINDING_GAP), 1);
    assert_true(result.report.n_proven >= t->n - 1);
    assert_int_equal(result.report.last_proven_epoch, 8);
}

static void finds_counters_that_do_not_fit(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(64);
    struct audit_record *r = t->records[60];
    trail_repeat(t, 60, 9);
    struct result result = run_with(t, &t->present);
    assert_intact(&result);
    r->repeats = 8;
    result = run_with(t, NULL);
    assert_intact(&result); /* nothing can be known */
    result = run_with(t, &t->present);
    assert_only(&result, AUDIT_FINDING_REPEATS, 61);
    result = run_with(t, &t->first);
    assert_only(&result, AUDIT_FINDING_REPEATS, 61);

    r->repeats = 0; /* and its seal left */
    assert_only_ever(t, AUDIT_FINDING_REPEATS, 61);
    r->repeats = 9;
    r->repeats_epoch = 0;
    assert_only_ever(t, AUDIT_FINDING_REPEATS, 61);
    r->repeats_epoch = r->epoch - 1; /* before the record */
    assert_only_ever(t, AUDIT_FINDING_REPEATS, 61);
    r->repeats_epoch = r->epoch + 2; /* of a time that the trail does not have */
    result = run_with(t, NULL);
    assert_only(&result, AUDIT_FINDING_TRUNCATED, 61);
    r->repeats_epoch = UINT64_MAX;
    result = run_with(t, &t->first);
    assert_true(n_of(&result, AUDIT_FINDING_REPEATS) == 1 && n_of(&result, AUDIT_FINDING_TRUNCATED) == 1);
}

/* Of a record of an earlier epoch, in every epoch after. */
static void knows_counters_of_later_epochs(void **state _unused_)
{
    for (unsigned later = 0; later < 200; later += later < 4 ? 1 : 49) {
        _cleanup_(trail_freep) struct trail *t = trail_of(10);
        for (unsigned i = 0; i < later; i++)
            trail_end_epoch(t);
        trail_repeat(t, 3, 5);
        (void)trail_disclose(t);
        struct result result = run_with(t, &t->first);
        assert_intact(&result);
        t->records[3]->repeats++;
        result = run_with(t, &t->first);
        assert_only(&result, AUDIT_FINDING_REPEATS, 4);
        result = run_with(t, &t->present);
        assert_only(&result, AUDIT_FINDING_REPEATS, 4);
    }
}

static void finds_a_record_without_hash(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(64);
    t->records[20]->has_hash = false;
    t->records[20]->epoch = 0;
    assert_only_ever(t, AUDIT_FINDING_UNSEALED, 21);
}

static void finds_what_the_broker_found(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(20);
    (void)trail_add(t, AUDIT_TRAIL_DAMAGED, "altered at 7");
    assert_only_ever(t, AUDIT_FINDING_REPORTED, 21);
}

static void finds_what_cannot_be_read(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(30);
    for (int64_t claimed = 0; claimed <= 12; claimed += 12) {
        _cleanup_(audit_verify_freep) struct audit_verify *v = NULL;
        struct audit_verify_options options = options_of(&t->first);
        struct result result = {.report.n_records = 0};
        assert_int_equal(audit_verify_new(&options, &v), 0);
        for (size_t i = 0; i < t->n; i++)
            if (i == 11)
                audit_verify_add_unreadable(v, claimed);
            else
                assert_int_equal(audit_verify_add(v, t->records[i]), 0);
        assert_int_equal(audit_verify_finish(v, &result.report), 0);
        memcpy(result.findings, result.report.findings, sizeof(result.findings[0]));
        assert_only(&result, AUDIT_FINDING_ALTERED, claimed > 0 ? 12 : 11);
        assert_int_equal(result.report.n_records, 30);
        assert_int_equal(result.report.n_proven, 28); /* the next one's link cannot be known */
    }
}

/* --- clocks ------------------------------------------------------------------------------------------ */

static struct result run_clock(int64_t wall, int64_t boot, bool restart)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(10);
    t->time_sec += wall;
    t->boot_usec = (uint64_t)((int64_t)t->boot_usec + boot * 1000000);
    struct audit_record *r = trail_disclose(t);
    if (restart)
        memset(r->boot_id, 0xb1, sizeof(r->boot_id));
    trail_remake(t, 10);
    return run_with(t, &t->first);
}

static void finds_clocks_that_ran_backwards(void **state _unused_)
{
    static const struct {
        int64_t wall, boot;
        bool restart, found;
    } cases[] = {
        {0, 0, false, false},      {100, 100, false, false}, {-100, 100, false, true},
        {50, 100, false, true},    /* set back in between, and already past where it was */
        {5000, 100, false, false}, /* set forward */
        {-1, 0, false, false},     /* not read at once */
        {-4, 0, false, true},      {200, -20, false, true}, /* not in one run of a kernel */
        {100, -20, true, false},   {-100, -20, true, true},  {-100, 100, true, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct result result = run_clock(cases[i].wall, cases[i].boot, cases[i].restart);
        assert_intact(&result);
        if (n_of(&result, AUDIT_FINDING_CLOCK) != cases[i].found)
            fail_msg("case %zu", i);
        assert_int_equal(result.report.n_findings, cases[i].found);
        if (cases[i].found)
            assert_int_equal(result.findings[0].sequence, 11);
    }
}

/* --- keys -------------------------------------------------------------------------------------------- */

/* With a secret of its own for each part; what is before proves nothing of after, and is not held against it.
 */
static void follows_setups(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(30);
    struct audit_chain_key second, third;
    trail_setup(t, &second); /* 31 to 33 */
    for (unsigned i = 0; i < 7; i++)
        (void)trail_disclose(t);
    trail_repeat(t, 28, 4); /* of the first part, sealed in the second */
    trail_setup(t, &third); /* 41 to 43 */
    (void)trail_disclose(t);
    trail_repeat(t, 35, 4);
    const struct {
        const struct audit_chain_key *key;
        uint64_t n_proven, first, last;
    } cases[] = {
        {&t->first, 31, 1, 4},  {&second, 10, 5, 6}, {&third, 3, 7, 8},
        {&t->present, 1, 8, 8}, {NULL, 0, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct result result = run_with(t, cases[i].key);
        assert_intact(&result);
        assert_int_equal(result.report.n_proven, cases[i].n_proven);
        assert_int_equal(result.report.first_proven_epoch, cases[i].first);
        assert_int_equal(result.report.last_proven_epoch, cases[i].last);
        assert_int_equal(result.report.key, cases[i].key ? AUDIT_VERIFY_KEY_FITS : AUDIT_VERIFY_KEY_NONE);
    }
    t->records[28]->repeats++; /* now known to the second secret, as it was sealed then */
    struct result result = run_with(t, &second);
    assert_only(&result, AUDIT_FINDING_REPEATS, 29);
    result = run_with(t, &t->first);
    assert_intact(&result);
    audit_chain_key_clear(&second);
    audit_chain_key_clear(&third);
}

/* The secret of another trail, and that of this one before all of it was made anew, look the same. */
static void finds_another_secret(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(30);
    struct audit_chain_key other;
    assert_int_equal(audit_chain_key_new(1, &other), 0);
    struct result result = run_with(t, &other);
    assert_only(&result, AUDIT_FINDING_SEAL, 1);
    assert_int_equal(result.report.key, AUDIT_VERIFY_KEY_OTHER);
    assert_int_equal(result.report.n_proven, 0);
    audit_chain_key_clear(&other);

    assert_int_equal(audit_chain_key_new(2, &other), 0); /* of an epoch that began with no key */
    result = run_with(t, &other);
    assert_int_equal(n_of(&result, AUDIT_FINDING_SEAL),
                     result.report.n_damage - n_of(&result, AUDIT_FINDING_REPEATS));
    assert_true(result.report.n_damage >= 22);
    assert_int_equal(result.report.key, AUDIT_VERIFY_KEY_OTHER);
    audit_chain_key_clear(&other);

    assert_int_equal(audit_chain_key_new(9, &other), 0); /* of one that there is not: it was cut off */
    result = run_with(t, &other);
    assert_only(&result, AUDIT_FINDING_TRUNCATED, 30);
    assert_int_equal(result.report.key, AUDIT_VERIFY_KEY_UNUSED);
    audit_chain_key_clear(&other);
}

static void finds_a_lost_key(void **state _unused_)
{
    static const char *const details[] = {"lost 0123456789abcdef", "setup 0123456789abcdef",
                                          "first 0123456789abcdef", "", "setup"};
    for (size_t i = 0; i < ARRAY_SIZE(details); i++) {
        for (unsigned ended = 0; ended < 2; ended++) {
            _cleanup_(trail_freep) struct trail *t = trail_of(20);
            struct audit_chain_key old;
            if (ended)
                trail_end_epoch(t);
            uint64_t epoch = ended ? t->present.epoch : t->present.epoch + 1;
            old = t->present;
            assert_int_equal(audit_chain_key_new(epoch, &t->present), 0);
            int64_t n = trail_add(t, AUDIT_TRAIL_KEY_CREATED, details[i])->sequence;
            (void)trail_disclose(t);
            struct result result = run_with(t, &t->first);
            assert_only(&result, AUDIT_FINDING_KEY_LOST, n);
            assert_int_equal(result.report.n_proven, n - 1);
            result = run_with(t, NULL);
            assert_only(&result, AUDIT_FINDING_KEY_LOST, n);
            audit_chain_key_clear(&old);
        }
    }
}

static void finds_a_key_in_the_middle(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(20);
    (void)trail_add(t, AUDIT_TRAIL_KEY_CREATED, "setup 0123456789abcdef");
    (void)trail_disclose(t);
    assert_only_ever(t, AUDIT_FINDING_EPOCH, 21);
}

/* Who says that our key's chain was over before, so that nobody checks with it. */
static void finds_a_chain_that_is_not_the_keys(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(20);
    (void)trail_add(t, AUDIT_TRAIL_SEALED, "setup 0123456789abcdef");
    assert_int_equal(audit_chain_key_evolve(&t->present), 0);
    (void)trail_add(t, AUDIT_TRAIL_KEY_CREATED, "setup 0123456789abcdef");
    t->records[21]->seal[0] ^= 1;
    struct result result = run_with(t, &t->present);
    assert_int_equal(n_of(&result, AUDIT_FINDING_KEY_LOST), 1);
    assert_int_equal(n_of(&result, AUDIT_FINDING_SEAL), 1);
}

static void wants_a_key_first(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(20);
    t->records[0]->event = AUDIT_BROKER_STARTED;
    trail_remake(t, 0);
    struct result result = run_with(t, NULL);
    assert_only(&result, AUDIT_FINDING_KEY_LOST, 1);
}

/* --- head -------------------------------------------------------------------------------------------- */

static struct audit_head head_of(const struct trail *t, size_t i)
{
    struct audit_head head = {.sequence = t->records[i]->sequence};
    memcpy(head.hash, t->records[i]->hash, sizeof(head.hash));
    return head;
}

static void compares_with_the_head(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(64);
    struct audit_verify_options options = options_of(NULL);
    for (size_t i = 0; i < t->n; i++) { /* one that is older too */
        options.head = head_of(t, i);
        struct result result = run(t, &options);
        assert_intact(&result);
        assert_true(result.report.head_found);
        options.head.hash[31] ^= 1;
        result = run(t, &options);
        assert_only(&result, AUDIT_FINDING_ALTERED, (int64_t)i + 1);
        assert_false(result.report.head_found);
    }
    options.head = head_of(t, 63);
    for (size_t n = 63; n > 0; n--) { /* cut off, wherever */
        trail_remove(t, n, n + 1);
        struct result result = run(t, &options);
        assert_only(&result, AUDIT_FINDING_TRUNCATED, 64);
        assert_false(result.report.head_found);
    }
}

/* What an attacker can remake does not fit a head that was noted elsewhere, without any secret. */
static void a_head_proves_what_is_before(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(64);
    struct audit_verify_options options = options_of(NULL);
    options.head = head_of(t, 50);
    trail_replace_text(&t->records[5]->app, "user:somebody");
    trail_remake(t, 5);
    struct result result = run(t, &options);
    assert_only(&result, AUDIT_FINDING_ALTERED, 51);
}

static void misses_the_head_itself(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(64);
    struct audit_verify_options options = options_of(NULL);
    options.head = head_of(t, 50);
    trail_remove(t, 50, 51);
    struct result result = run(t, &options);
    assert_int_equal(result.report.n_damage, 2);
    assert_int_equal(n_of(&result, AUDIT_FINDING_GAP), 2);
}

/* --- base -------------------------------------------------------------------------------------------- */

/* Its first `n` records were removed by retention, which is written down at its end. */
static struct audit_verify_options prune(struct trail *t, size_t n)
{
    char detail[40];
    struct audit_verify_options options = options_of(&t->first);
    const struct audit_record *last = t->records[n - 1];
    struct audit_base *base = &options.base;
    (void)snprintf(detail, sizeof(detail), "up to %zu, by age", n);
    (void)trail_add(t, AUDIT_TRAIL_PRUNED, detail);
    *base = (struct audit_base){.sequence = last->sequence,
                                .epoch = last->epoch,
                                .time_sec = last->time_sec,
                                .removed = (int64_t)n,
                                .seal_epoch = t->present.epoch};
    memcpy(base->hash, last->hash, sizeof(base->hash));
    audit_chain_seal_base(&t->present, base, base->seal);
    trail_remove(t, 0, n);
    return options;
}

static void knows_what_was_removed(void **state _unused_)
{
    for (size_t n = 1; n < 40; n++) {
        _cleanup_(trail_freep) struct trail *t = trail_of(40);
        struct audit_verify_options options = prune(t, n);
        struct result result = run(t, &options);
        assert_intact(&result);
        assert_int_equal(result.report.n_proven, 41 - n);
        assert_int_equal(result.report.first, n + 1);
        assert_int_equal(n_of(&result, AUDIT_FINDING_PRUNED), 1);
        assert_int_equal(result.findings[0].sequence, n);
        options.key = NULL;
        result = run(t, &options);
        assert_intact(&result);
        options.key = &t->present;
        result = run(t, &options);
        assert_intact(&result);
        trail_remove(t, 0, 1); /* one more, by someone else */
        result = run(t, &options);
        assert_only(&result, AUDIT_FINDING_GAP, (int64_t)n + 2);
    }
}

static void finds_a_base_that_does_not_fit(void **state _unused_)
{
    for (unsigned i = 0; i < 11; i++) {
        _cleanup_(trail_freep) struct trail *t = trail_of(40);
        struct audit_verify_options options = prune(t, 10);
        struct audit_base *base = &options.base;
        enum audit_finding_kind kind = AUDIT_FINDING_BASE;
        switch (i) {
        case 0:
            base->sequence--;
            kind = AUDIT_FINDING_GAP;
            break;
        case 1:
            base->sequence++;
            break;
        case 2:
            base->hash[0] ^= 1;
            kind = AUDIT_FINDING_ALTERED;
            break;
        case 3:
            base->epoch++;
            break;
        case 4:
            base->time_sec++;
            break;
        case 5:
            base->removed--;
            break;
        case 6:
            base->seal_epoch--;
            break;
        case 7:
            base->seal[0] ^= 1;
            break;
        case 8:
            base->seal_epoch += 2;
            break;
        case 9:
            base->removed = 0;
            audit_chain_seal_base(&t->present, base, base->seal);
            break;
        case 10: /* who says that all of this was removed by retention? */
            trail_remove(t, t->n - 1, t->n);
            break;
        }
        struct result result = run(t, &options);
        assert_true(n_of(&result, kind) >= 1);
        assert_true(result.report.n_damage >= 1);
        assert_true(result.report.first_damage >= 9 && result.report.first_damage <= 11);
    }
}

/* A base of before the last setup: its seal is checked by the secret of then, and by no other. */
static void a_base_outlives_a_setup(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(40);
    struct audit_verify_options options = prune(t, 10);
    struct audit_chain_key second;
    trail_setup(t, &second);
    (void)trail_disclose(t);
    struct result result = run(t, &options);
    assert_intact(&result);
    options.key = &second;
    result = run(t, &options);
    assert_intact(&result);
    options.base.time_sec++;
    result = run(t, &options);
    assert_intact(&result); /* cannot know */
    options.key = &t->first;
    result = run(t, &options);
    assert_only(&result, AUDIT_FINDING_BASE, 10);
    audit_chain_key_clear(&second);
}

static void old_records_can_be_removed(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_with_old_records();
    struct audit_verify_options options = prune(t, 4);
    options.base.epoch = 0;
    memset(options.base.hash, 0, sizeof(options.base.hash));
    audit_chain_seal_base(&t->present, &options.base, options.base.seal);
    struct result result = run(t, &options);
    assert_intact(&result);
    assert_int_equal(result.report.n_unchained, 2);
    assert_int_equal(result.report.n_proven, 13);
}

/* --- parts of a trail -------------------------------------------------------------------------------- */

static void reads_a_part(void **state _unused_)
{
    for (size_t n = 0; n < 40; n++) {
        _cleanup_(trail_freep) struct trail *t = trail_of(40);
        struct audit_verify_options options = options_of(&t->first);
        options.is_partial = true;
        if (n > 0)
            options.from = head_of(t, n - 1);
        trail_remove(t, 0, n);
        struct result with = run(t, &options);
        options.from = (struct audit_head){.sequence = 0};
        struct result without = run(t, &options);
        assert_intact(&with);
        assert_intact(&without);
        assert_int_equal(with.report.n_proven, 40 - n);
        assert_int_equal(without.report.n_proven, n > 0 ? 39 - n : 40);
        assert_int_equal(n_of(&with, AUDIT_FINDING_PARTIAL), n > 0);
        assert_int_equal(n_of(&without, AUDIT_FINDING_PARTIAL), n > 0);
        trail_replace_text(&t->records[0]->app, "user:somebody");
        without = run(t, &options);
        options.from = n > 0 ? head_of(t, 0) : options.from;
        assert_int_equal(without.report.n_damage, n == 0);
    }
}

static void knows_that_a_part_does_not_follow(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(40);
    struct audit_verify_options options = options_of(NULL);
    options.is_partial = true;
    options.from = head_of(t, 9);
    trail_remove(t, 0, 11);
    struct result result = run(t, &options);
    assert_only(&result, AUDIT_FINDING_GAP, 12);
    options.from.sequence = 11;
    result = run(t, &options);
    assert_only(&result, AUDIT_FINDING_ALTERED, 12);
}

static void a_part_may_have_old_records(void **state _unused_)
{
    for (size_t n = 0; n < 7; n++) {
        _cleanup_(trail_freep) struct trail *t = trail_with_old_records();
        struct audit_verify_options options = options_of(&t->first);
        options.is_partial = true;
        trail_remove(t, 0, n);
        struct result result = run(t, &options);
        assert_intact(&result);
        assert_int_equal(result.report.n_unchained, 6 - n);
    }
}

/* --- every byte -------------------------------------------------------------------------------------- */

struct place {
    const char *name;
    size_t offset, n; /* n 0: a text */
    bool needs_key;   /* only the seal tells */
};

#define PLACE(name, needs_key)                                                                               \
    {                                                                                                        \
#name, offsetof(struct audit_record, name), sizeof(((struct audit_record *)NULL)->name), needs_key   \
    }
#define TEXT(name)                                                                                           \
    {                                                                                                        \
#name, offsetof(struct audit_record, name), 0, false                                                 \
    }

static const struct place places[] = {
    PLACE(sequence, false),
    PLACE(time_sec, false),
    PLACE(boot_usec, false),
    PLACE(boot_id, false),
    PLACE(uid, false),
    TEXT(app),
    TEXT(kind),
    TEXT(strength),
    TEXT(unit),
    TEXT(program),
    TEXT(account),
    TEXT(owner),
    PLACE(owner_uid, false),
    TEXT(asked),
    TEXT(carried),
    TEXT(verdict),
    TEXT(decided_by),
    TEXT(chain),
    TEXT(detail),
    TEXT(request),
    PLACE(grant, false),
    PLACE(expires_sec, false),
    PLACE(repeats, true),
    PLACE(fingerprint, false),
    PLACE(epoch, false),
    PLACE(hash, false),
    PLACE(seal, true),
    PLACE(repeats_epoch, true),
    PLACE(repeats_seal, true),
};

/* What it counts for, in this record. */
static bool is_there(const struct audit_record *r, const struct place *place)
{
    if (strcmp(place->name, "fingerprint") == 0)
        return r->has_fingerprint;
    return strcmp(place->name, "repeats_seal") != 0 || r->repeats > 0;
}

typedef void change_fn(struct trail *t, size_t i, const struct place *place);

static void each_byte(struct trail *t, size_t i, const struct place *place, change_fn *check)
{
    struct audit_record *r = t->records[i];
    unsigned char *at = (unsigned char *)r + place->offset;
    size_t n = place->n;
    if (n == 0) {
        at = *(unsigned char **)at;
        n = at ? strlen((const char *)at) : 0;
    }
    for (size_t k = 0; is_there(r, place) && k < n; k++) {
        static const unsigned char flips[] = {0x01, 0x20, 0xff};
        at[k] ^= flips[k % ARRAY_SIZE(flips)];
        check(t, i, place);
        at[k] ^= flips[k % ARRAY_SIZE(flips)];
    }
}

static void each_byte_of_all(struct trail *t, change_fn *check)
{
    for (size_t i = 0; i < t->n; i++) {
        for (size_t p = 0; p < ARRAY_SIZE(places); p++)
            each_byte(t, i, &places[p], check);
        for (int e = 0; e < AUDIT_EVENT_COUNT; e += 5) {
            static const struct place event = {"event", 0, 1, false};
            enum audit_event before = t->records[i]->event;
            t->records[i]->event = (enum audit_event)e;
            if (before != t->records[i]->event)
                check(t, i, &event);
            t->records[i]->event = before;
        }
    }
}

static void assert_found(struct result result, const char *who, size_t i, const struct place *place)
{
    if (result.report.n_damage == 0)
        fail_msg("%s does not see a change of %s in record %zu", who, place->name, i + 1);
}

/* By one who can write, and computes nothing. */
static void is_found_as_it_is(struct trail *t, size_t i, const struct place *place)
{
    if (place->needs_key)
        assert_found(run_with(t, &t->first), "the secret", i, place);
    else
        assert_found(run_with(t, NULL), "one without a key", i, place);
}

static void every_changed_byte_is_found(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(64);
    each_byte_of_all(t, is_found_as_it_is);
    struct result result = run_with(t, &t->first);
    assert_intact(&result); /* all was put back */
}

/* By one who has the present epoch's key, and makes all hashes anew, in an epoch that is over. */
static void is_found_when_remade(struct trail *t, size_t i, const struct place *place)
{
    struct audit_record kept[64];
    if (t->records[i]->epoch >= t->present.epoch || place->needs_key || strcmp(place->name, "hash") == 0)
        return;
    for (size_t k = 0; k < t->n; k++)
        kept[k] = *t->records[k];
    trail_remake(t, i);
    assert_found(run_with(t, &t->first), "the secret", i, place);
    for (size_t k = 0; k < t->n; k++) {
        memcpy(t->records[k]->hash, kept[k].hash, AUDIT_HASH_BYTES);
        memcpy(t->records[k]->seal, kept[k].seal, AUDIT_SEAL_BYTES);
    }
}

static void every_changed_byte_of_the_past_is_found(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(64);
    each_byte_of_all(t, is_found_when_remade);
    struct result result = run_with(t, &t->first);
    assert_intact(&result);
}

/* --- who has the present key ------------------------------------------------------------------------- */

/* The last epoch but one loses its end, or all of it from a record on, or an epoch in the middle, and all
 * that is after is chained on with the present key: claiming to be of the present epoch, or of its own. */
static void cannot_cut_the_past(void **state _unused_)
{
    for (size_t from = 1; from < 56; from++) {
        for (size_t to = from + 1; to <= 56; to++) {
            _cleanup_(trail_freep) struct trail *t = trail_of(64);
            trail_remove(t, from, to);
            for (size_t i = from; i < t->n; i++)
                t->records[i]->sequence = (int64_t)i + 1;
            trail_remake(t, from);
            struct result result = run_with(t, &t->first);
            if (result.report.n_damage == 0)
                fail_msg("records %zu to %zu were cut out", from + 1, to);
        }
    }
}

static void cannot_write_the_past(void **state _unused_)
{
    for (size_t i = 1; i < 56; i++) {
        _cleanup_(trail_freep) struct trail *t = trail_of(64);
        /* All from here on is of the present epoch now, properly sealed with its key. */
        for (size_t k = i; k < t->n; k++) {
            t->records[k]->epoch = t->present.epoch;
            t->records[k]->repeats = t->records[k]->repeats_epoch = 0;
            if (t->records[k]->event == AUDIT_TRAIL_SEALED)
                t->records[k]->event = AUDIT_BROKER_STARTED;
        }
        trail_remake(t, i);
        struct result result = run_with(t, &t->first);
        if (t->records[i - 1]->epoch + 1 < t->present.epoch || t->records[i - 1]->event != AUDIT_TRAIL_SEALED)
            assert_true(n_of(&result, AUDIT_FINDING_EPOCH) == 1);
        else
            assert_intact(&result); /* the present epoch is theirs */
    }
}

/* Makes as if there had been a setup in the past, of which the old secret proves nothing. */
static void cannot_claim_a_setup_in_the_past(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(64), *forged = trail_of(16);
    struct audit_chain_key theirs;
    audit_chain_key_clear(&forged->first);
    audit_chain_key_clear(&forged->present);
    assert_int_equal(audit_chain_key_copy(&t->first, &forged->first), 0);
    for (size_t i = 0; i < 16; i++) { /* the true beginning */
        audit_record_free(forged->records[i]);
        forged->records[i] = trail_copy_record(t->records[i]);
    }
    assert_int_equal(audit_chain_key_new(3, &theirs), 0);
    forged->present = theirs;
    for (unsigned announced = 0; announced < 2; announced++) {
        char detail[40] = "setup 0123456789abcdef";
        forged->n = 16;
        if (announced) {
            trail_replace_text(&forged->records[15]->detail, detail);
            trail_remake(forged, 15);
        }
        (void)trail_add(forged, AUDIT_TRAIL_KEY_CREATED, detail);
        (void)trail_disclose(forged);
        struct result result = run_with(forged, &t->first);
        assert_only(&result, announced ? AUDIT_FINDING_SEAL : AUDIT_FINDING_KEY_LOST, announced ? 16 : 17);
        audit_record_free(forged->records[16]);
        audit_record_free(forged->records[17]);
        forged->n = 16;
    }
}

/* Takes the place of all that was, which is said to be removed by retention: only the seal of that is good,
 * and what follows claims to begin with a setup of long ago. The secret must not be said to fit. */
static void cannot_replace_the_past_by_a_removal(void **state _unused_)
{
    for (unsigned chained = 0; chained < 2; chained++) {
        _cleanup_(trail_freep) struct trail *t = trail_of(64), *forged = trail_of(64);
        struct audit_verify_options options = prune(forged, 8);
        memset(options.base.hash, 0, sizeof(options.base.hash));
        options.base.epoch = chained;
        audit_chain_seal_base(&t->present, &options.base, options.base.seal);
        options.key = &t->first;
        forged->records[0]->event = AUDIT_TRAIL_KEY_CREATED;
        trail_replace_text(&forged->records[0]->detail,
                           chained ? "setup 0123456789abcdef" : "first 0123456789abcdef");
        trail_remake(forged, 0);
        struct result result = run(forged, &options);
        assert_int_equal(result.report.n_proven, 0);
        assert_int_not_equal(result.report.key, AUDIT_VERIFY_KEY_FITS);
        assert_only(&result, AUDIT_FINDING_BASE, 8);
    }
}

/* --- keeping findings -------------------------------------------------------------------------------- */

static void keeps_damage_and_counts_all(void **state _unused_)
{
    _cleanup_(trail_freep) struct trail *t = trail_of(64);
    for (size_t i = 10; i < 30; i++) {
        t->records[i]->time_sec = i % 2 ? 10 : 1000000;
        trail_remake(t, i);
    }
    t->records[40]->grant++;
    t->records[50]->grant++;
    struct audit_verify_options options = options_of(NULL);
    options.findings_max = 3;
    struct result result = run(t, &options);
    assert_int_equal(result.report.n_findings, 3);
    assert_int_equal(result.report.n_damage, 2);
    assert_int_equal(result.findings[0].kind, AUDIT_FINDING_ALTERED);
    assert_int_equal(result.findings[0].sequence, 41);
    assert_int_equal(result.findings[1].sequence, 51);
    assert_int_equal(result.findings[2].kind, AUDIT_FINDING_CLOCK);
    options.findings_max = 1;
    result = run(t, &options);
    assert_int_equal(result.report.n_findings, 1);
    assert_int_equal(result.report.n_damage, 2);
    assert_int_equal(result.findings[0].sequence, 41);
    options.findings_max = 0;
    result = run(t, &options);
    assert_int_equal(result.report.n_findings, 0);
    assert_int_equal(result.report.n_damage, 2);
    assert_int_equal(result.report.first_damage, 41);
}

static void names_are_stable(void **state _unused_)
{
    static const char *const names[AUDIT_FINDING_KIND_COUNT] = {
        "altered", "seal",     "gap",      "order",    "epoch", "truncated", "repeats",
        "base",    "unsealed", "key-lost", "reported", "clock", "pruned",    "partial"};
    for (int i = 0; i < AUDIT_FINDING_KIND_COUNT; i++) {
        assert_string_equal(audit_finding_name((enum audit_finding_kind)i), names[i]);
        assert_int_equal(audit_finding_is_damage((enum audit_finding_kind)i), i < 11);
    }
}

/* Numbers as large as they get: found, and no endless computing. */
static void bears_any_numbers(void **state _unused_)
{
    static const int64_t numbers[] = {0, -1, INT64_MIN, INT64_MAX, 1};
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        _cleanup_(trail_freep) struct trail *t = trail_of(20);
        for (size_t k = 8; k < 16; k++) {
            struct audit_record *r = t->records[k];
            r->sequence = r->time_sec = r->expires_sec = numbers[i];
            r->boot_usec = r->epoch = r->repeats = r->repeats_epoch = (uint64_t)numbers[i];
        }
        struct audit_verify_options options = options_of(&t->first);
        options.head.sequence = numbers[i];
        options.base.sequence = options.base.removed = options.base.time_sec = numbers[i];
        options.base.epoch = options.base.seal_epoch = (uint64_t)numbers[i];
        struct result result = run(t, &options);
        assert_true(result.report.n_damage > 0);
        options.is_partial = true;
        options.from.sequence = numbers[i];
        result = run(t, &options);
        assert_true(result.report.n_damage > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_nothing_in_a_good_trail),
        cmocka_unit_test(may_end_anywhere),
        cmocka_unit_test(an_empty_trail_is_no_trail),
        cmocka_unit_test(old_records_come_first),
        cmocka_unit_test(finds_what_was_altered),
        cmocka_unit_test(finds_a_wrong_seal),
        cmocka_unit_test(finds_gaps),
        cmocka_unit_test(finds_records_out_of_order),
        cmocka_unit_test(finds_a_record_put_in_again),
        cmocka_unit_test(finds_epochs_that_are_not_right),
        cmocka_unit_test(pays_nothing_for_a_forged_epoch),
        cmocka_unit_test(pays_little_for_many_forged_epochs),
        cmocka_unit_test(goes_on_after_what_is_missing),
        cmocka_unit_test(finds_counters_that_do_not_fit),
        cmocka_unit_test(knows_counters_of_later_epochs),
        cmocka_unit_test(finds_a_record_without_hash),
        cmocka_unit_test(finds_what_the_broker_found),
        cmocka_unit_test(finds_what_cannot_be_read),
        cmocka_unit_test(finds_clocks_that_ran_backwards),
        cmocka_unit_test(follows_setups),
        cmocka_unit_test(finds_another_secret),
        cmocka_unit_test(finds_a_lost_key),
        cmocka_unit_test(finds_a_key_in_the_middle),
        cmocka_unit_test(finds_a_chain_that_is_not_the_keys),
        cmocka_unit_test(wants_a_key_first),
        cmocka_unit_test(compares_with_the_head),
        cmocka_unit_test(a_head_proves_what_is_before),
        cmocka_unit_test(misses_the_head_itself),
        cmocka_unit_test(knows_what_was_removed),
        cmocka_unit_test(finds_a_base_that_does_not_fit),
        cmocka_unit_test(a_base_outlives_a_setup),
        cmocka_unit_test(old_records_can_be_removed),
        cmocka_unit_test(reads_a_part),
        cmocka_unit_test(knows_that_a_part_does_not_follow),
        cmocka_unit_test(a_part_may_have_old_records),
        cmocka_unit_test(every_changed_byte_is_found),
        cmocka_unit_test(every_changed_byte_of_the_past_is_found),
        cmocka_unit_test(cannot_cut_the_past),
        cmocka_unit_test(cannot_write_the_past),
        cmocka_unit_test(cannot_claim_a_setup_in_the_past),
        cmocka_unit_test(cannot_replace_the_past_by_a_removal),
        cmocka_unit_test(keeps_damage_and_counts_all),
        cmocka_unit_test(names_are_stable),
        cmocka_unit_test(bears_any_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
