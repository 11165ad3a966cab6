/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/audit-chain.h"
#include "broker/audit-encode.h"

#include <sodium.h>
#include <string.h>

static const unsigned char zeros[AUDIT_HASH_BYTES];

static struct audit_record *full_record(void)
{
    struct audit_record *r = audit_record_new(AUDIT_TOKEN_DISCLOSED);
    assert_non_null(r);
    r->sequence = 1234567890123;
    r->epoch = 77;
    r->time_sec = 1764100000;
    r->boot_usec = 987654321;
    r->uid = 1001;
    r->grant = 5;
    r->expires_sec = 1764103600;
    r->has_fingerprint = true;
    for (unsigned i = 0; i < 16; i++) {
        r->boot_id[i] = (unsigned char)i;
        r->fingerprint[i] = (unsigned char)(0xf0 + i);
    }
    const struct {
        char **at;
        const char *text;
    } texts[] = {
        {&r->app, "user:musicd"},
        {&r->kind, "user"},
        {&r->strength, "uid"},
        {&r->unit, "musicd.service"},
        {&r->program, "/usr/bin/player"},
        {&r->account, "a1b2c3"},
        {&r->owner, "device"},
        {&r->asked, "profile"},
        {&r->carried, "profile alexa::health:read"},
        {&r->verdict, "allow"},
        {&r->decided_by, "table"},
        {&r->chain, "table allow; polkit yes"},
        {&r->detail, "first"},
        {&r->request, "r-1"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        *texts[i].at = strdup(texts[i].text);
        assert_non_null(*texts[i].at);
    }
    return r;
}

static struct audit_chain_key key_of_sevens(void)
{
    unsigned char bytes[AUDIT_CHAIN_KEY_BYTES];
    memset(bytes, 7, sizeof(bytes));
    struct audit_chain_key key = {.epoch = 9, .first_epoch = 9};
    assert_int_equal(secret_new(bytes, sizeof(bytes), &key.key), 0);
    return key;
}

static void assert_hex(const void *bytes, size_t n, const char *expected)
{
    char hex[2 * 64 + 1];
    sodium_bin2hex(hex, sizeof(hex), bytes, n);
    assert_string_equal(hex, expected);
}

/* --- the format -------------------------------------------------------------------------------------- */

/* These were computed by another implementation (Python's hashlib, from the comments of the headers). Trails
 * out there, and secrets on paper, depend on them. */
static void has_the_bytes_it_always_had(void **state _unused_)
{
    _cleanup_(audit_record_freep) struct audit_record *r = full_record();
    _cleanup_free_ unsigned char *bytes = NULL;
    unsigned char previous[AUDIT_HASH_BYTES], sum[32];
    size_t n;
    assert_int_equal(audit_encode(r, &bytes, &n), 0);
    assert_int_equal(n, 413);
    (void)crypto_generichash(sum, sizeof(sum), bytes, n, NULL, 0);
    assert_hex(sum, sizeof(sum), "8adb802b5ad7b44c3b933b39b6388d5a770a1b35e180b3fc7da398502cee994c");
    for (unsigned i = 0; i < sizeof(previous); i++)
        previous[i] = (unsigned char)i;
    assert_int_equal(audit_chain_hash(r, previous), 0);
    assert_true(r->has_hash);
    assert_hex(r->hash, sizeof(r->hash), "94c829fc16605f94d50b91eea40333489a4ad0c3eaf799f320b22714784e97f9");
}

static void has_the_bytes_of_an_empty_record(void **state _unused_)
{
    _cleanup_(audit_record_freep) struct audit_record *r = audit_record_new(AUDIT_BROKER_STARTED);
    assert_non_null(r);
    r->sequence = 1;
    r->epoch = 1;
    assert_int_equal(audit_chain_hash(r, zeros), 0);
    assert_hex(r->hash, sizeof(r->hash), "8e2b4564d9b1ea517799f5398d574545f44ad5a727b03fa4bedefae61bf1bbb3");
    r->app = strdup(""); /* as it comes back from the store */
    r->request = strdup("");
    assert_true(r->app && r->request);
    assert_int_equal(audit_chain_hash(r, zeros), 0);
    assert_hex(r->hash, sizeof(r->hash), "8e2b4564d9b1ea517799f5398d574545f44ad5a727b03fa4bedefae61bf1bbb3");
}

static void has_the_keys_it_always_had(void **state _unused_)
{
    struct audit_chain_key key = key_of_sevens();
    unsigned char id[AUDIT_CHAIN_KEY_ID_BYTES];
    audit_chain_key_id(&key, id);
    assert_hex(id, sizeof(id), "0dd76de26a9d28fa");
    assert_int_equal(audit_chain_key_evolve(&key), 0);
    assert_hex(secret_bytes(key.key), secret_size(key.key),
               "67810d84dcdc52e846c26483c3740eb2894e9fd4faedcf2bd7849b94b2c74691");
    audit_chain_key_clear(&key);
    assert_null(key.key);
}

static struct audit_base some_base(void)
{
    struct audit_base base = {.sequence = 42, .epoch = 9, .time_sec = 1764000000, .removed = 40};
    memset(base.hash, 3, sizeof(base.hash));
    return base;
}

static void has_the_seals_it_always_had(void **state _unused_)
{
    struct audit_chain_key key = key_of_sevens();
    struct audit_base base = some_base();
    struct audit_head head = {.sequence = 42};
    memset(head.hash, 3, sizeof(head.hash));
    unsigned char seal[AUDIT_SEAL_BYTES];
    audit_chain_seal(&key, base.hash, seal);
    assert_hex(seal, sizeof(seal), "a9d15712bb5b600e15d3d014fbf02856");
    audit_chain_seal_repeats(&key, 42, 7, seal);
    assert_hex(seal, sizeof(seal), "1e1ba0590f1d6c9fe0a63924eb7f603e");
    audit_chain_seal_base(&key, &base, seal);
    assert_hex(seal, sizeof(seal), "4ba2d2205c8f2e0c46f9a67ba4f058a4");
    audit_chain_seal_head(&key, &head, seal);
    assert_hex(seal, sizeof(seal), "7fd5710c83cd98426a52ace5c9126b86");
    audit_chain_key_clear(&key);
}

/* --- every field counts ------------------------------------------------------------------------------ */

enum type { TEXT, I64, U64, ID, EVENT, BYTES, FLAG };

struct field {
    const char *name;
    size_t offset;
    enum type type;
    size_t n;        /* of BYTES */
    bool is_outside; /* has a seal of its own, or is what comes out */
};

#define FIELD(name, type)                                                                                    \
    {                                                                                                        \
#name, offsetof(struct audit_record, name), type, 0, false                                           \
    }
#define FIELD_BYTES(name)                                                                                    \
    {                                                                                                        \
#name, offsetof(struct audit_record, name), BYTES, sizeof(((struct audit_record *)NULL)->name),      \
            false                                                                                            \
    }
#define OUTSIDE(name, type)                                                                                  \
    {                                                                                                        \
#name, offsetof(struct audit_record, name), type, sizeof(((struct audit_record *)NULL)->name), true  \
    }

/* All members, in their order: a new one that is missing here fails the test below. */
static const struct field fields[] = {
    FIELD(sequence, I64),
    FIELD(time_sec, I64),
    FIELD(boot_usec, U64),
    FIELD_BYTES(boot_id),
    FIELD(event, EVENT),
    FIELD(uid, ID),
    FIELD(app, TEXT),
    FIELD(kind, TEXT),
    FIELD(strength, TEXT),
    FIELD(unit, TEXT),
    FIELD(program, TEXT),
    FIELD(account, TEXT),
    FIELD(owner, TEXT),
    FIELD(owner_uid, ID),
    FIELD(asked, TEXT),
    FIELD(carried, TEXT),
    FIELD(verdict, TEXT),
    FIELD(decided_by, TEXT),
    FIELD(chain, TEXT),
    FIELD(detail, TEXT),
    FIELD(request, TEXT),
    FIELD(grant, I64),
    FIELD(expires_sec, I64),
    OUTSIDE(repeats, U64),
    FIELD(has_fingerprint, FLAG),
    FIELD_BYTES(fingerprint),
    FIELD(epoch, U64),
    OUTSIDE(has_hash, FLAG),
    OUTSIDE(hash, BYTES),
    OUTSIDE(seal, BYTES),
    OUTSIDE(repeats_epoch, U64),
    OUTSIDE(repeats_seal, BYTES),
    OUTSIDE(is_unreadable, FLAG), /* of an answer, and in no database */
};

static size_t size_of(const struct field *f)
{
    static const size_t sizes[] = {sizeof(char *), sizeof(int64_t),          sizeof(uint64_t),
                                   sizeof(uid_t),  sizeof(enum audit_event), 0,
                                   sizeof(bool)};
    return f->type == BYTES ? f->n : sizes[f->type];
}

/* Between two of them there is at most what alignment leaves. */
static void knows_every_field(void **state _unused_)
{
    size_t at = 0;
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        assert_true(fields[i].offset >= at && fields[i].offset - at < sizeof(uint64_t));
        at = fields[i].offset + size_of(&fields[i]);
    }
    /* `next` is no field of the record: it holds lists together. */
    assert_true(offsetof(struct audit_record, next) - at < sizeof(uint64_t));
    at = offsetof(struct audit_record, next) + sizeof(struct audit_record *);
    assert_true(sizeof(struct audit_record) - at < sizeof(uint64_t));
}

static void assert_changed(struct audit_record *r, const struct field *f, const unsigned char *before)
{
    assert_int_equal(audit_chain_hash(r, zeros), 0);
    bool same = memcmp(r->hash, before, AUDIT_HASH_BYTES) == 0;
    if (same != f->is_outside)
        fail_msg("%s: its change %s the hash", f->name, same ? "does not change" : "changes");
}

/* One bit after the other. */
static void change_bits(struct audit_record *r, const struct field *f, const unsigned char *before)
{
    unsigned char *at = (unsigned char *)r + f->offset;
    for (size_t bit = 0; bit < 8 * size_of(f); bit++) {
        at[bit / 8] ^= (unsigned char)(1u << (bit % 8));
        assert_changed(r, f, before);
        at[bit / 8] ^= (unsigned char)(1u << (bit % 8));
    }
}

static void change_text(struct audit_record *r, const struct field *f, const unsigned char *before)
{
    char **at = (char **)((char *)r + f->offset);
    size_t n = strlen(*at);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        (*at)[bit / 8] ^= (char)(1u << (bit % 8));
        assert_changed(r, f, before);
        (*at)[bit / 8] ^= (char)(1u << (bit % 8));
    }
    for (; n > 0; n--) { /* shorter and shorter */
        (*at)[n - 1] = '\0';
        assert_changed(r, f, before);
    }
}

static void change_event(struct audit_record *r, const struct field *f, const unsigned char *before)
{
    for (int i = 0; i < AUDIT_EVENT_COUNT; i++) {
        r->event = (enum audit_event)i;
        if (r->event != AUDIT_TOKEN_DISCLOSED)
            assert_changed(r, f, before);
    }
}

static void every_field_changes_the_hash(void **state _unused_)
{
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        const struct field *f = &fields[i];
        _cleanup_(audit_record_freep) struct audit_record *r = full_record();
        unsigned char before[AUDIT_HASH_BYTES];
        assert_int_equal(audit_chain_hash(r, zeros), 0);
        memcpy(before, r->hash, sizeof(before));
        if (f->type == TEXT) {
            change_text(r, f, before);
        } else if (f->type == EVENT) {
            change_event(r, f, before);
        } else if (f->type == FLAG) {
            *(bool *)((char *)r + f->offset) ^= true;
            assert_changed(r, f, before);
        } else if (!f->is_outside || f->type != BYTES || strcmp(f->name, "hash") != 0) {
            change_bits(r, f, before);
        }
    }
}

/* "a" and "bc" is not "ab" and "c", for every two neighbours. */
static void no_boundary_can_be_moved(void **state _unused_)
{
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        for (size_t k = 0; k < ARRAY_SIZE(fields); k++) {
            if (i == k || fields[i].type != TEXT || fields[k].type != TEXT)
                continue;
            static char left[] = "abc", right[] = "abc";
            static const struct {
                size_t left, right;
            } cuts[] = {{0, 3}, {1, 2}, {2, 1}, {3, 0}};
            unsigned char hashes[ARRAY_SIZE(cuts)][AUDIT_HASH_BYTES];
            for (size_t cut = 0; cut < ARRAY_SIZE(cuts); cut++) {
                struct audit_record r = {.event = AUDIT_TOKEN_DENIED};
                char head[4] = "", tail[4] = "";
                memcpy(head, left, cuts[cut].left);
                memcpy(tail, right + cuts[cut].left, cuts[cut].right);
                *(char **)((char *)&r + fields[i].offset) = head;
                *(char **)((char *)&r + fields[k].offset) = tail;
                assert_int_equal(audit_chain_hash(&r, zeros), 0);
                memcpy(hashes[cut], r.hash, AUDIT_HASH_BYTES);
                for (size_t other = 0; other < cut; other++)
                    assert_memory_not_equal(hashes[other], hashes[cut], AUDIT_HASH_BYTES);
            }
        }
    }
}

/* Nobody is not root, nor any user that there is. */
static void nobody_is_no_user(void **state _unused_)
{
    static const uid_t uids[] = {(uid_t)-1, 0, 1, 65534, (uid_t)-2};
    unsigned char hashes[ARRAY_SIZE(uids)][AUDIT_HASH_BYTES];
    for (size_t i = 0; i < ARRAY_SIZE(uids); i++) {
        struct audit_record r = {.event = AUDIT_TOKEN_DENIED, .uid = uids[i], .owner_uid = 0};
        assert_int_equal(audit_chain_hash(&r, zeros), 0);
        memcpy(hashes[i], r.hash, AUDIT_HASH_BYTES);
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(hashes[i], hashes[k], AUDIT_HASH_BYTES);
    }
    struct audit_record swapped = {.event = AUDIT_TOKEN_DENIED, .uid = 0, .owner_uid = (uid_t)-1};
    assert_int_equal(audit_chain_hash(&swapped, zeros), 0);
    assert_memory_not_equal(swapped.hash, hashes[0], AUDIT_HASH_BYTES);
}

/* No fingerprint is not one of zeros; and what is in the place of one that is not there does not count. */
static void no_fingerprint_is_not_zeros(void **state _unused_)
{
    struct audit_record with = {.event = AUDIT_TOKEN_DENIED, .has_fingerprint = true};
    struct audit_record without = {.event = AUDIT_TOKEN_DENIED}, other = {.event = AUDIT_TOKEN_DENIED};
    other.fingerprint[3] = 1;
    assert_int_equal(audit_chain_hash(&with, zeros), 0);
    assert_int_equal(audit_chain_hash(&without, zeros), 0);
    assert_int_equal(audit_chain_hash(&other, zeros), 0);
    assert_memory_not_equal(with.hash, without.hash, AUDIT_HASH_BYTES);
    assert_memory_equal(other.hash, without.hash, AUDIT_HASH_BYTES);
}

static void every_bit_of_the_record_before_counts(void **state _unused_)
{
    struct audit_record r = {.event = AUDIT_TOKEN_DENIED};
    unsigned char before[AUDIT_HASH_BYTES], previous[AUDIT_HASH_BYTES] = {0};
    assert_int_equal(audit_chain_hash(&r, zeros), 0);
    memcpy(before, r.hash, sizeof(before));
    for (size_t bit = 0; bit < 8 * sizeof(previous); bit++) {
        previous[bit / 8] ^= (unsigned char)(1u << (bit % 8));
        assert_int_equal(audit_chain_hash(&r, previous), 0);
        assert_memory_not_equal(r.hash, before, sizeof(before));
        previous[bit / 8] ^= (unsigned char)(1u << (bit % 8));
    }
}

/* --- keys -------------------------------------------------------------------------------------------- */

/* A thousand epochs: none comes back, each is had from any before it, and counts where it is. */
static void keys_only_go_forward(void **state _unused_)
{
    enum { N = 1000 };
    static unsigned char seen[N][AUDIT_CHAIN_KEY_BYTES];
    struct audit_chain_key key, half = {.key = NULL};
    assert_int_equal(audit_chain_key_new(4, &key), 0);
    for (unsigned i = 0; i < N; i++) {
        memcpy(seen[i], secret_bytes(key.key), sizeof(seen[i]));
        for (unsigned k = 0; k < i; k++)
            assert_memory_not_equal(seen[k], seen[i], sizeof(seen[i]));
        assert_int_equal(key.epoch, 4 + i);
        assert_int_equal(key.first_epoch, 4);
        if (i == N / 2)
            assert_int_equal(audit_chain_key_copy(&key, &half), 0);
        assert_int_equal(audit_chain_key_evolve(&key), 0);
    }
    assert_int_equal(audit_chain_key_evolve_to(&half, key.epoch), 0);
    assert_int_equal(half.epoch, 4 + N);
    assert_true(secret_equal(half.key, key.key));
    assert_int_equal(audit_chain_key_evolve_to(&half, key.epoch), 0); /* it is there */
    assert_true(secret_equal(half.key, key.key));
    assert_int_equal(half.first_epoch, 4);
    audit_chain_key_clear(&half);
    audit_chain_key_clear(&key);
}

static void new_keys_are_random(void **state _unused_)
{
    struct audit_chain_key a, b;
    unsigned char id_a[AUDIT_CHAIN_KEY_ID_BYTES], id_b[AUDIT_CHAIN_KEY_ID_BYTES];
    assert_int_equal(audit_chain_key_new(1, &a), 0);
    assert_int_equal(audit_chain_key_new(1, &b), 0);
    assert_int_equal(secret_size(a.key), AUDIT_CHAIN_KEY_BYTES);
    assert_false(secret_equal(a.key, b.key));
    audit_chain_key_id(&a, id_a);
    audit_chain_key_id(&b, id_b);
    assert_memory_not_equal(id_a, id_b, sizeof(id_a));
    assert_int_equal(audit_chain_key_evolve(&b), 0);
    audit_chain_key_clear(&a);
    audit_chain_key_clear(&b);
}

/* The id is public: it is neither the key, nor a part of the next, nor a seal of anything. */
static void an_id_is_no_key(void **state _unused_)
{
    struct audit_chain_key key = key_of_sevens(), next;
    unsigned char id[AUDIT_CHAIN_KEY_ID_BYTES], other[AUDIT_CHAIN_KEY_ID_BYTES];
    audit_chain_key_id(&key, id);
    assert_int_equal(audit_chain_key_copy(&key, &next), 0);
    assert_int_equal(audit_chain_key_evolve(&next), 0);
    assert_null(memmem(secret_bytes(next.key), AUDIT_CHAIN_KEY_BYTES, id, sizeof(id)));
    assert_null(memmem(secret_bytes(key.key), AUDIT_CHAIN_KEY_BYTES, id, sizeof(id)));
    audit_chain_key_id(&next, other);
    assert_memory_not_equal(id, other, sizeof(id));
    audit_chain_key_clear(&next);
    audit_chain_key_clear(&key);
}

/* --- seals ------------------------------------------------------------------------------------------- */

typedef void seal_fn(const struct audit_chain_key *key, unsigned variant, unsigned char *ret);

static void seal_record(const struct audit_chain_key *key, unsigned variant, unsigned char *ret)
{
    unsigned char hash[AUDIT_HASH_BYTES] = {0};
    if (variant > 0)
        hash[variant - 1] = 1;
    audit_chain_seal(key, hash, ret);
}

static void seal_repeats(const struct audit_chain_key *key, unsigned variant, unsigned char *ret)
{
    audit_chain_seal_repeats(key, variant == 1 ? 1 : 0, variant == 2 ? 1 : variant == 3 ? 256 : 0, ret);
}

static void seal_base(const struct audit_chain_key *key, unsigned variant, unsigned char *ret)
{
    struct audit_base base = {
        .sequence = variant == 1, .epoch = variant == 2, .time_sec = variant == 3, .removed = variant == 4};
    base.hash[0] = variant == 5;
    base.hash[31] = variant == 6;
    audit_chain_seal_base(key, &base, ret);
}

static void seal_head(const struct audit_chain_key *key, unsigned variant, unsigned char *ret)
{
    struct audit_head head = {.sequence = variant == 1};
    head.hash[0] = variant == 2;
    head.hash[31] = variant == 3;
    audit_chain_seal_head(key, &head, ret);
}

/* All that can be sealed, in all its variants, with two keys: no seal is another's. */
static void no_seal_serves_two_purposes(void **state _unused_)
{
    static const struct {
        seal_fn *seal;
        unsigned n;
    } purposes[] = {{seal_record, 33}, {seal_repeats, 4}, {seal_base, 7}, {seal_head, 4}};
    unsigned char seals[128][AUDIT_SEAL_BYTES];
    size_t n = 0;
    struct audit_chain_key key = key_of_sevens();
    for (unsigned keys = 0; keys < 2; keys++) {
        for (size_t i = 0; i < ARRAY_SIZE(purposes); i++)
            for (unsigned variant = 0; variant < purposes[i].n; variant++)
                purposes[i].seal(&key, variant, seals[n++]);
        assert_int_equal(audit_chain_key_evolve(&key), 0);
    }
    assert_int_equal(n, 2 * 48);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(seals[i], seals[k], AUDIT_SEAL_BYTES);
    audit_chain_key_clear(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_the_bytes_it_always_had),
        cmocka_unit_test(has_the_bytes_of_an_empty_record),
        cmocka_unit_test(has_the_keys_it_always_had),
        cmocka_unit_test(has_the_seals_it_always_had),
        cmocka_unit_test(knows_every_field),
        cmocka_unit_test(every_field_changes_the_hash),
        cmocka_unit_test(no_boundary_can_be_moved),
        cmocka_unit_test(nobody_is_no_user),
        cmocka_unit_test(no_fingerprint_is_not_zeros),
        cmocka_unit_test(every_bit_of_the_record_before_counts),
        cmocka_unit_test(keys_only_go_forward),
        cmocka_unit_test(new_keys_are_random),
        cmocka_unit_test(an_id_is_no_key),
        cmocka_unit_test(no_seal_serves_two_purposes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
