/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/limits.h"
#include "broker/reserve.h"
#include "broker/secret.h"
#include "tests/unit/memory-limit.h"

#include "autoconf.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void empty(void)
{
    while (reserve_spend())
        ;
}

static void test_is_finite(void **state _unused_)
{
    assert_false(reserve_spend());
    assert_int_equal(reserve_fill(), 0);
    assert_int_equal(reserve_fill(), 0); /* nothing is missing */
    for (int i = 0; i < LIMIT_RESERVE_BLOCKS; i++)
        assert_true(reserve_spend());
    assert_false(reserve_spend());
}

static void test_as_in_libc(void **state _unused_)
{
    assert_int_equal(reserve_fill(), 0);
    unsigned char *p = reserve_calloc(3, 5);
    assert_non_null(p);
    for (size_t i = 0; i < 15; i++)
        assert_int_equal(p[i], 0);
    free(p);
    char *text = reserve_strdup("text");
    assert_string_equal(text, "text");
    free(text);
    empty();
}

#if !LWA_SANITIZE

/* From here on the process gets no more address space, and what malloc() still has is used up. */
static void **exhaust(void)
{
    memory_limit(0);
    void **last = NULL;
    for (size_t size = 65536; size >= 2 * sizeof(void *); size /= 2)
        for (void **p = malloc(size); p; p = malloc(size)) {
            *p = (void *)last;
            last = p;
        }
    return last;
}

static void relieve(void **last)
{
    memory_unlimit();
    while (last) {
        void **before = *last;
        free((void *)last);
        last = before;
    }
}

/* What is found is looked at afterwards: cmocka wants memory, too. */
static void test_when_memory_has_ended(void **state _unused_)
{
    struct secret *secret = NULL;
    assert_int_equal(reserve_fill(), 0);
    void **last = exhaust();
    void *none = malloc(32768);
    char *plain = reserve_malloc(32768);
    char *zeroed = reserve_calloc(1, 32768);
    char *text = reserve_strdup("text");
    int made = secret_new("secret", 6, &secret);
    int filled = reserve_fill();
    relieve(last);

    assert_null(none);
    assert_non_null(plain);
    assert_non_null(zeroed);
    assert_non_null(text);
    assert_int_equal(made, 0);
    assert_int_equal(filled, -ENOMEM);
    free(plain);
    free(zeroed);
    free(text);
    secret_free(secret);
    assert_int_equal(reserve_fill(), 0);
    empty();
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_finite),
        cmocka_unit_test(test_as_in_libc),
#if !LWA_SANITIZE
        cmocka_unit_test(test_when_memory_has_ended),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
