/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/seal.h"

#include <string.h>

static const struct seal_context base = {.schema = 1,
                                         .table = "grant.token",
                                         .row = 7,
                                         .owner = "user:1000:alice",
                                         .generation = 3,
                                         .endpoint = "https://api.example/token",
                                         .client_id = "client-1"};

struct fixture {
    struct secret *key;
    struct secret *token;
    unsigned char *blob;
    size_t n;
};

static int set_up(void **state)
{
    static struct fixture f;
    if (secret_new_random(SEAL_KEY_BYTES, &f.key) < 0 || secret_new("Atzr|token", 10, &f.token) < 0 ||
        seal(f.key, &base, f.token, &f.blob, &f.n) < 0)
        return -1;
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    secret_free(f->key);
    secret_free(f->token);
    free(f->blob);
    return 0;
}

static void assert_broken(const struct secret *key, const struct seal_context *c, const unsigned char *blob,
                          size_t n)
{
    struct secret *out = NULL;
    assert_int_equal(unseal(key, c, blob, n, &out), SEAL_E_BROKEN);
    assert_null(out);
}

static void opens(void **state)
{
    const struct fixture *f = *state;
    _cleanup_(secret_freep) struct secret *out = NULL;
    assert_int_equal(f->n, 10 + SEAL_OVERHEAD_BYTES);
    assert_null(memmem(f->blob, f->n, "Atzr", 4));
    assert_int_equal(unseal(f->key, &base, f->blob, f->n, &out), 0);
    assert_true(secret_equal(out, f->token));
}

static void is_never_the_same_twice(void **state)
{
    const struct fixture *f = *state;
    _cleanup_free_ unsigned char *other = NULL;
    size_t n;
    assert_int_equal(seal(f->key, &base, f->token, &other, &n), 0);
    assert_memory_not_equal(other, f->blob, 24);
}

/* Moved anywhere else it does not open. */
static void is_bound_to_its_place(void **state)
{
    const struct fixture *f = *state;
    struct seal_context other[8];
    for (size_t i = 0; i < ARRAY_SIZE(other); i++)
        other[i] = base;
    other[0].schema = 2;
    other[1].table = "grant.previous";
    other[2].row = 8;
    other[3].owner = "user:1001:alice";
    other[4].generation = 2;
    other[5].endpoint = "https://evil.example/token";
    other[6].client_id = "client-2";
    /* The same bytes, cut elsewhere. */
    other[7].endpoint = "https://api.example/tokenc";
    other[7].client_id = "lient-1";
    for (size_t i = 0; i < ARRAY_SIZE(other); i++)
        assert_broken(f->key, &other[i], f->blob, f->n);
}

static void every_bit_counts(void **state)
{
    const struct fixture *f = *state;
    for (size_t i = 0; i < f->n * 8; i++) {
        f->blob[i / 8] ^= (unsigned char)(1u << i % 8);
        assert_broken(f->key, &base, f->blob, f->n);
        f->blob[i / 8] ^= (unsigned char)(1u << i % 8);
    }
    for (size_t n = 0; n < f->n; n++)
        assert_broken(f->key, &base, f->blob, n);
}

static void needs_its_key(void **state)
{
    const struct fixture *f = *state;
    _cleanup_(secret_freep) struct secret *other = NULL, *shorter = NULL, *out = NULL;
    assert_int_equal(secret_new_random(SEAL_KEY_BYTES, &other), 0);
    assert_int_equal(secret_new_random(SEAL_KEY_BYTES - 1, &shorter), 0);
    assert_broken(other, &base, f->blob, f->n);
    assert_int_equal(unseal(shorter, &base, f->blob, f->n, &out), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens),
        cmocka_unit_test(is_never_the_same_twice),
        cmocka_unit_test(is_bound_to_its_place),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(needs_its_key),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
