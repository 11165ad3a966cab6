/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/audit-verify-internal.h"

static void finish_suspects(struct audit_verify *v)
{
    struct verify_keys *keys = &v->keys;
    for (size_t i = 0; i < keys->n_suspects; i++) {
        const struct verify_suspect *suspect = &keys->suspects[i];
        if (!verify_keys_cover(keys, suspect->epoch))
            keys->n_misfit--; /* another chain of keys had begun by then */
        else if (suspect->kind == AUDIT_FINDING_REPEATS)
            verify_found_repeats(v, suspect->sequence);
        else
            FOUND(v, AUDIT_FINDING_BASE, suspect->sequence,
                  "what is said of the removed records was not sealed in epoch %" PRIu64, suspect->epoch);
    }
}

/* A seal of an epoch that its chain of keys did not have, since another had begun: made by who had the key
 * of before, and no sign that the trail is that key's. */
static void finish_base_seal(struct audit_verify *v)
{
    const struct audit_base *base = &v->options.base;
    if (!v->is_base_sealed || verify_keys_cover(&v->keys, base->seal_epoch))
        return;
    if (v->keys.n_fit > 0)
        v->keys.n_fit--;
    FOUND(v, AUDIT_FINDING_BASE, base->sequence,
          "what is said of the removed records was sealed with a key that epoch %" PRIu64 " no longer had",
          base->seal_epoch);
}

static void finish_base(struct audit_verify *v)
{
    const struct audit_base *base = &v->options.base;
    int64_t n = base->sequence;
    if (v->options.is_partial || n <= 0)
        return;
    FOUND(v, AUDIT_FINDING_PRUNED, n,
          "records up to %" PRId64 " were removed by retention, %" PRId64 " in all", n, base->removed);
    if (base->seal_epoch < base->epoch || base->seal_epoch > v->epoch + 1)
        FOUND(v, AUDIT_FINDING_BASE, n,
              "records were removed in epoch %" PRIu64 ", which the trail does not have", base->seal_epoch);
    if (base->removed < 1 || base->removed > n)
        FOUND(v, AUDIT_FINDING_BASE, n, "up to record %" PRId64 " there cannot have been %" PRId64, n,
              base->removed);
    if (v->pruned_up_to < n)
        FOUND(v, AUDIT_FINDING_BASE, n, "no record says that records up to %" PRId64 " were removed", n);
}

static void finish_head(struct audit_verify *v)
{
    int64_t n = v->options.head.sequence;
    const struct audit_base *base = &v->options.base;
    if (n <= 0 || v->report.head_found || v->head_differs)
        return;
    if (n > v->sequence)
        FOUND(v, AUDIT_FINDING_TRUNCATED, n, "records %" PRId64 " to %" PRId64 " are missing at the end",
              v->sequence + 1, n);
    else if (n >= v->report.first && (v->options.is_partial || n > base->sequence))
        FOUND(v, AUDIT_FINDING_GAP, n, "record %" PRId64 ", which was noted elsewhere, is missing", n);
    else if (!v->options.is_partial && n == base->sequence)
        verify_compare_head(v, n, base->hash);
}

/* Nothing was sealed, and no key made, in an epoch that is yet to begin. */
static void finish_epochs(struct audit_verify *v)
{
    uint64_t last = v->options.is_partial || v->report.last_epoch > 0 ? v->report.last_epoch : v->epoch;
    uint64_t next = v->end == END_OPEN ? last : last + 1;
    if (v->keys.key.key && !v->options.is_partial && !v->key_is_other && v->keys.from > next)
        FOUND(v, AUDIT_FINDING_TRUNCATED, v->sequence,
              "the key is of epoch %" PRIu64 ", and the trail ends in epoch %" PRIu64, v->keys.from, last);
    if (v->repeats_epoch > last + 1)
        FOUND(v, AUDIT_FINDING_TRUNCATED, v->repeats_sequence,
              "a token was handed out again in epoch %" PRIu64 ", and the trail ends in epoch %" PRIu64,
              v->repeats_epoch, last);
}

static enum audit_verify_key judge_key(const struct audit_verify *v)
{
    if (!v->keys.key.key)
        return AUDIT_VERIFY_KEY_NONE;
    if (v->key_is_other)
        return AUDIT_VERIFY_KEY_OTHER;
    if (v->keys.n_fit > 0)
        return AUDIT_VERIFY_KEY_FITS;
    return v->keys.n_misfit > 0 ? AUDIT_VERIFY_KEY_OTHER : AUDIT_VERIFY_KEY_UNUSED;
}

int audit_verify_finish(struct audit_verify *v, struct audit_verify_report *ret)
{
    const struct audit_head *from = &v->options.from;
    if (v->options.is_partial && v->report.first > 0 && (from->sequence > 0 || v->report.first > 1))
        FOUND(v, AUDIT_FINDING_PARTIAL, v->report.first,
              "this is a part of a trail, from record %" PRId64 " on", v->report.first);
    finish_suspects(v);
    finish_base_seal(v);
    finish_base(v);
    finish_head(v);
    finish_epochs(v);
    verify_findings_sort(&v->findings);
    *ret = v->report;
    ret->key = judge_key(v);
    ret->n_damage = v->findings.n_damage;
    ret->first_damage = v->findings.first_damage;
    ret->n_findings = v->findings.n_kept;
    ret->findings = v->findings.kept;
    return 0;
}
