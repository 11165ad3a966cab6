/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/audit-verify-internal.h"

#include <string.h>

#define SETUP "setup "
#define FIRST "first "

static bool is_one_of(const char *detail, const char *how)
{
    return strncmp(detail, how, strlen(how)) == 0;
}

static void check_step(struct audit_verify *v, const struct audit_record *record)
{
    int64_t n = record->sequence;
    if (record->epoch == v->epoch) {
        if (v->end == END_SEALED)
            FOUND(v, AUDIT_FINDING_EPOCH, n, "record %" PRId64 " follows the end of its epoch, %" PRIu64, n,
                  v->epoch);
        return;
    }
    if (record->epoch < v->epoch)
        FOUND(v, AUDIT_FINDING_EPOCH, n, "record %" PRId64 " goes back from epoch %" PRIu64 " to %" PRIu64, n,
              v->epoch, record->epoch);
    else if (record->epoch - v->epoch > 1)
        FOUND(v, AUDIT_FINDING_EPOCH, n,
              "before record %" PRId64 " epochs %" PRIu64 " to %" PRIu64 " are missing", n, v->epoch + 1,
              record->epoch - 1);
    else if (v->end == END_OPEN)
        FOUND(v, AUDIT_FINDING_EPOCH, n, "epoch %" PRIu64 " has no end before record %" PRId64, v->epoch, n);
}

/* Whether what is before vouches for the new key. */
static bool is_vouched_for(const struct audit_verify *v, const char *detail)
{
    if (is_one_of(detail, FIRST))
        return !v->is_chained || v->is_entry;
    if (!is_one_of(detail, SETUP))
        return false;
    return v->end == END_UNKNOWN || (v->end == END_SEALED && strcmp(v->announced, detail) == 0);
}

/* Our key, where it is the one that begins here; or another one begins, and ours is of no use after. */
static void change_key(struct audit_verify *v, const struct audit_record *record)
{
    struct verify_keys *keys = &v->keys;
    const char *id = strchr(verify_detail(record), ' ');
    if (!keys->key.key || record->epoch < v->key_first_epoch || v->key_is_other)
        return;
    if (record->epoch == v->key_first_epoch) {
        if (v->key_is_first && (!id || strcmp(id + 1, v->key_id) != 0)) {
            v->key_is_other = true;
            keys->end = keys->from;
            FOUND(v, AUDIT_FINDING_SEAL, record->sequence,
                  "the secret is of another trail, or this trail has taken the place of its own");
        }
    } else if (record->epoch <= keys->from) {
        FOUND(v, AUDIT_FINDING_KEY_LOST, record->sequence,
              "record %" PRId64 " begins another chain of keys than the present key is of", record->sequence);
    } else if (keys->end == 0 || record->epoch < keys->end) {
        keys->end = record->epoch;
    }
}

static void check_new_key(struct audit_verify *v, const struct audit_record *record)
{
    int64_t n = record->sequence;
    const char *detail = verify_detail(record);
    if (record->epoch == v->epoch && v->end != END_UNKNOWN) {
        FOUND(v, AUDIT_FINDING_EPOCH, n, "record %" PRId64 " brings a new key in the middle of an epoch", n);
        return;
    }
    change_key(v, record);
    if (!is_vouched_for(v, detail))
        FOUND(v, AUDIT_FINDING_KEY_LOST, n,
              "with record %" PRId64 " another chain of keys begins, which the one before does not vouch for",
              n);
}

void verify_epoch(struct audit_verify *v, const struct audit_record *record, bool follows)
{
    bool is_new_key = record->event == AUDIT_TRAIL_KEY_CREATED;
    bool is_lost = is_new_key && !is_vouched_for(v, verify_detail(record)); /* found below, once */
    if (!follows) {
        v->end = END_UNKNOWN;
        v->announced[0] = '\0';
    }
    if (record->epoch == 0)
        FOUND(v, AUDIT_FINDING_EPOCH, record->sequence, "record %" PRId64 " has no epoch", record->sequence);
    else if (v->epoch > 0 && follows && !(is_lost && record->epoch == v->epoch + 1))
        check_step(v, record);
    else if (!v->is_chained && !is_new_key)
        FOUND(v, AUDIT_FINDING_KEY_LOST, record->sequence,
              "record %" PRId64 " is the first with a hash, and no key was made before it", record->sequence);
    if (is_new_key)
        check_new_key(v, record);
}
