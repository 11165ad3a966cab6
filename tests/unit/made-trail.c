/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "tests/unit/made-trail.h"

#include <string.h>

static const unsigned char zeros[AUDIT_HASH_BYTES];

void trail_replace_text(char **text, const char *value)
{
    free(*text);
    *text = strdup(value);
    assert_non_null(*text);
}

struct audit_record *trail_copy_record(const struct audit_record *record)
{
    struct audit_record *copy = audit_record_new(record->event);
    assert_non_null(copy);
    *copy = *record;
    char **const texts[] = {&copy->app,        &copy->kind,  &copy->strength, &copy->unit,    &copy->program,
                            &copy->account,    &copy->owner, &copy->asked,    &copy->carried, &copy->verdict,
                            &copy->decided_by, &copy->chain, &copy->detail,   &copy->request};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (*texts[i]) {
            *texts[i] = strdup(*texts[i]);
            assert_non_null(*texts[i]);
        }
    return copy;
}

static void seal(struct trail *t, size_t i)
{
    struct audit_record *r = t->records[i];
    assert_int_equal(audit_chain_hash(r, i > 0 ? t->records[i - 1]->hash : zeros), 0);
    audit_chain_seal(&t->present, r->hash, r->seal);
}

static struct audit_record *append(struct trail *t, struct audit_record *r)
{
    assert_true(r && t->n < TRAIL_MAX);
    r->sequence = t->n > 0 ? t->records[t->n - 1]->sequence + 1 : 1;
    r->epoch = t->present.epoch;
    r->time_sec = t->time_sec += 3;
    r->boot_usec = t->boot_usec += 3000000;
    memset(r->boot_id, 0xb0, sizeof(r->boot_id));
    t->records[t->n] = r;
    seal(t, t->n++);
    return r;
}

struct audit_record *trail_add(struct trail *t, enum audit_event event, const char *detail)
{
    struct audit_record *r = audit_record_new(event);
    assert_non_null(r);
    trail_replace_text(&r->detail, detail);
    return append(t, r);
}

struct audit_record *trail_disclose(struct trail *t)
{
    struct audit_record *r = audit_record_new(AUDIT_TOKEN_DISCLOSED);
    assert_non_null(r);
    r->uid = 1001;
    r->grant = 3;
    r->expires_sec = t->time_sec + 3600;
    r->has_fingerprint = true;
    memset(r->fingerprint, (int)t->n, sizeof(r->fingerprint));
    char **const texts[] = {&r->app,        &r->kind,  &r->strength, &r->unit,    &r->program,
                            &r->account,    &r->owner, &r->asked,    &r->carried, &r->verdict,
                            &r->decided_by, &r->chain, &r->detail,   &r->request};
    static const char *const values[] = {"user:musicd",
                                         "user",
                                         "uid",
                                         "musicd.service",
                                         "/usr/bin/musicd",
                                         "acct1",
                                         "device",
                                         "profile",
                                         "profile postal_code",
                                         "allow",
                                         "table",
                                         "table allow",
                                         "first",
                                         "r7"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        trail_replace_text(texts[i], values[i]);
    return append(t, r);
}

static void describe(const char *how, const struct audit_chain_key *key, char ret[40])
{
    unsigned char id[AUDIT_CHAIN_KEY_ID_BYTES];
    audit_chain_key_id(key, id);
    int at = snprintf(ret, 40, "%s ", how);
    for (size_t i = 0; i < sizeof(id); i++)
        at += snprintf(ret + at, 40 - (size_t)at, "%02x", id[i]);
}

struct trail *trail_new(void)
{
    struct trail *t = calloc(1, sizeof(*t));
    char detail[40];
    assert_non_null(t);
    t->time_sec = 1764000000;
    t->boot_usec = 5000000;
    assert_int_equal(audit_chain_key_new(1, &t->first), 0);
    assert_int_equal(audit_chain_key_copy(&t->first, &t->present), 0);
    describe("first", &t->first, detail);
    (void)trail_add(t, AUDIT_TRAIL_KEY_CREATED, detail);
    return t;
}

void trail_free(struct trail *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n; i++)
        audit_record_free(t->records[i]);
    audit_chain_key_clear(&t->first);
    audit_chain_key_clear(&t->present);
    free(t);
}

void trail_end_epoch(struct trail *t)
{
    (void)trail_add(t, AUDIT_TRAIL_SEALED, "");
    assert_int_equal(audit_chain_key_evolve(&t->present), 0);
}

void trail_setup(struct trail *t, struct audit_chain_key *ret_secret)
{
    struct audit_chain_key key;
    char detail[40];
    assert_int_equal(audit_chain_key_new(t->present.epoch + 1, &key), 0);
    describe("setup", &key, detail);
    (void)trail_add(t, AUDIT_TRAIL_SEALED, detail);
    audit_chain_key_clear(&t->present);
    assert_int_equal(audit_chain_key_copy(&key, &t->present), 0);
    (void)trail_add(t, AUDIT_TRAIL_KEY_CREATED, detail);
    trail_end_epoch(t);
    *ret_secret = key;
}

void trail_repeat(struct trail *t, size_t i, uint64_t repeats)
{
    struct audit_record *r = t->records[i];
    r->repeats = repeats;
    r->repeats_epoch = t->present.epoch;
    audit_chain_seal_repeats(&t->present, r->sequence, repeats, r->repeats_seal);
}

struct trail *trail_of(size_t n)
{
    struct trail *t = trail_new();
    while (t->n < n) {
        if (t->n % 8 == 7 && t->n + 1 < n)
            trail_end_epoch(t);
        else
            (void)trail_disclose(t);
        if (t->n % 5 == 4 && t->records[t->n - 2]->event == AUDIT_TOKEN_DISCLOSED)
            trail_repeat(t, t->n - 2, t->n);
    }
    return t;
}

void trail_remove(struct trail *t, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        audit_record_free(t->records[i]);
    memmove(t->records + from, t->records + to, (t->n - to) * sizeof(t->records[0]));
    t->n -= to - from;
}

void trail_remake(struct trail *t, size_t i)
{
    for (; i < t->n; i++) {
        struct audit_record *r = t->records[i];
        assert_int_equal(audit_chain_hash(r, i > 0 ? t->records[i - 1]->hash : zeros), 0);
        if (r->epoch == t->present.epoch)
            audit_chain_seal(&t->present, r->hash, r->seal);
    }
}
