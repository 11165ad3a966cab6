/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/handed-token.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALL (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK)

static int memory_with(const void *bytes, size_t n, int seals)
{
    int fd = memfd_create("token", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static void assert_token(const void *bytes, size_t n, const char *expected)
{
    _cleanup_close_ int fd = memory_with(bytes, n, ALL);
    _cleanup_(secret_freep) struct secret *s = NULL;
    int r = handed_token_read(fd, &s);
    if (!expected) {
        assert_int_equal(r, -EINVAL);
        assert_null(s);
        return;
    }
    assert_int_equal(r, 0);
    assert_true(secret_is_text(s, expected));
}

static void test_contents(void **state _unused_)
{
    char big[HANDED_TOKEN_BYTES_MAX + 2];
    memset(big, 'x', sizeof(big));
    assert_token("Atzr|x", 6, "Atzr|x");
    assert_token("Atzr|x\n", 7, "Atzr|x");
    assert_token("!~", 2, "!~");
    assert_token("x\n\n", 3, NULL);
    assert_token("\n", 1, NULL);
    assert_token("", 0, NULL);
    assert_token("a b", 3, NULL);
    assert_token("a\0b", 3, NULL);
    assert_token("a\r\n", 3, NULL);
    assert_token("a\x7f", 2, NULL);
    assert_token("\xc3\xa4", 2, NULL);
    assert_token(big, HANDED_TOKEN_BYTES_MAX + 1, NULL);
    big[HANDED_TOKEN_BYTES_MAX] = '\0';
    assert_token(big, HANDED_TOKEN_BYTES_MAX, big);
}

/* The offset is the peer's, and is neither used nor moved. */
static void test_offset(void **state _unused_)
{
    _cleanup_close_ int fd = memory_with("token", 5, ALL);
    _cleanup_(secret_freep) struct secret *s = NULL;
    assert_int_equal(lseek(fd, 3, SEEK_SET), 3);
    assert_int_equal(handed_token_read(fd, &s), 0);
    assert_true(secret_is_text(s, "token"));
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 3);
}

static void test_seals(void **state _unused_)
{
    static const int too_few[] = {
        0,
        F_SEAL_SEAL,
        F_SEAL_WRITE,
        F_SEAL_WRITE | F_SEAL_GROW,
        F_SEAL_WRITE | F_SEAL_SHRINK,
        F_SEAL_GROW | F_SEAL_SHRINK,
        F_SEAL_GROW | F_SEAL_SHRINK | 0x10 /* F_SEAL_FUTURE_WRITE: a mapping from before can still write */,
    };
    for (size_t i = 0; i < ARRAY_SIZE(too_few); i++) {
        _cleanup_close_ int fd = memory_with("token", 5, too_few[i]);
        struct secret *s = NULL;
        if (handed_token_read(fd, &s) != -EINVAL)
            fail_msg("seals %#x were enough", (unsigned)too_few[i]);
    }
}

/* None of these may block, nor be read. */
static void test_other_descriptors(void **state _unused_)
{
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    _cleanup_close_ int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int folder = open("/", O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int memory = memory_with("token", 5, ALL);
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
    _cleanup_close_ int bare = open(path, O_PATH | O_CLOEXEC);
    const int all[] = {pipe_fds[0], pipe_fds[1], null, file, folder, bare, -1, 9999};
    struct secret *s = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        assert_int_equal(handed_token_read(all[i], &s), -EINVAL);
    assert_null(s);
    close_fd(pipe_fds[0]);
    close_fd(pipe_fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents),
        cmocka_unit_test(test_offset),
        cmocka_unit_test(test_seals),
        cmocka_unit_test(test_other_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
