/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/secret.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void holds_a_copy(void **state _unused_)
{
    char text[] = "Atzr|refresh";
    _cleanup_(secret_freep) struct secret *s = NULL;
    assert_int_equal(secret_new(text, strlen(text), &s), 0);
    memset(text, 'x', sizeof(text));
    assert_int_equal(secret_size(s), 12);
    assert_memory_equal(secret_bytes(s), "Atzr|refresh", 12);
}

static void compares(void **state _unused_)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {{"abc", "abc", true}, {"abc", "abd", false}, {"abc", "ab", false}, {"a", "b", false}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_(secret_freep) struct secret *a = NULL, *b = NULL;
        assert_int_equal(secret_new(cases[i].a, strlen(cases[i].a), &a), 0);
        assert_int_equal(secret_new(cases[i].b, strlen(cases[i].b), &b), 0);
        assert_int_equal(secret_equal(a, b), cases[i].equal);
    }
}

static void is_random(void **state _unused_)
{
    _cleanup_(secret_freep) struct secret *a = NULL, *b = NULL;
    assert_int_equal(secret_new_random(32, &a), 0);
    assert_int_equal(secret_new_random(32, &b), 0);
    assert_false(secret_equal(a, b));
}

static void refuses_nothing(void **state _unused_)
{
    struct secret *s = NULL;
    assert_int_equal(secret_new("", 0, &s), -ENOMEM);
    assert_null(s);
    secret_free(NULL);
    secret_free_string(NULL);
}

/* A write into a secret, or a read behind its end, kills the process. */
static void is_guarded(void **state _unused_)
{
    for (int i = 0; i < 2; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            (void)signal(SIGSEGV, SIG_DFL); /* cmocka and ASan catch it */
            struct secret *s;
            if (secret_new("0123456789", 10, &s) < 0)
                _exit(0);
            volatile unsigned char *bytes = (unsigned char *)secret_bytes(s);
            if (i == 0)
                bytes[0] = 'x';
            else
                _exit(bytes[10] & 0);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

static void wipes(void **state _unused_)
{
    char text[] = "secret";
    secret_wipe(text, sizeof(text));
    assert_memory_equal(text, "\0\0\0\0\0\0\0", sizeof(text));
}

/* Nothing of what it was is left, and it is still read-only. */
static void test_replace(void **state _unused_)
{
    struct secret *s, *other;
    assert_int_equal(secret_new("first", 5, &s), 0);
    assert_int_equal(secret_new("later", 5, &other), 0);
    const void *before = secret_bytes(s);
    assert_int_equal(secret_replace(s, "later"), 0);
    assert_true(secret_equal(s, other));
    assert_ptr_equal(secret_bytes(s), before);
    assert_int_equal(secret_size(s), 5);
    pid_t pid = fork();
    if (pid == 0) {
        const struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGSEGV, SIG_DFL);
        *(volatile char *)(uintptr_t)before = 'x';
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    secret_free(s);
    secret_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replace), cmocka_unit_test(holds_a_copy),    cmocka_unit_test(compares),
        cmocka_unit_test(is_random),    cmocka_unit_test(refuses_nothing), cmocka_unit_test(is_guarded),
        cmocka_unit_test(wipes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
