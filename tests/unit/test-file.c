/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "util/file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static char dir[64];

static int setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/lwa-test-file-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    struct strv paths = STRV_EMPTY;
    int r = file_list(dir, "", 1000, &paths);
    for (size_t i = 0; i < paths.n; i++)
        (void)unlink(paths.items[i]);
    strv_clear(&paths);
    char hidden[96];
    (void)snprintf(hidden, sizeof(hidden), "%s/.hidden.conf", dir);
    (void)unlink(hidden);
    return r == 0 && rmdir(dir) == 0 ? 0 : -1;
}

static const char *path_of(const char *name)
{
    static char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static const char *write_file(const char *name, const char *bytes, size_t n, mode_t mode)
{
    const char *path = path_of(name);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    assert_int_equal(fchmod(fd, mode), 0);
    return path;
}

static void test_read(void **state)
{
    (void)state;
    _cleanup_free_ char *text = NULL;
    size_t n = 99;
    const char *path = write_file("plain", "one\0two", 7, 0644);
    assert_int_equal(file_read(path, 6, &text, &n), -EFBIG);
    assert_null(text);
    assert_int_equal(n, 99);
    assert_int_equal(file_read(path, 7, &text, &n), 0);
    assert_int_equal(n, 7);
    assert_memory_equal(text, "one\0two", 8);

    _cleanup_free_ char *empty = NULL;
    assert_int_equal(file_read(write_file("empty", "", 0, 0644), 10, &empty, &n), 0);
    assert_int_equal(n, 0);
    assert_string_equal(empty, "");

    /* A size that the file system does not know beforehand. */
    _cleanup_free_ char *proc = NULL;
    assert_int_equal(file_read("/proc/self/status", 65536, &proc, &n), 0);
    assert_true(n > 0);
}

static void test_refuses_what_is_no_file(void **state)
{
    (void)state;
    char *text = NULL;
    size_t n;
    assert_int_equal(file_read(path_of("absent"), 10, &text, &n), -ENOENT);
    assert_int_equal(file_read(dir, 10, &text, &n), -EPERM);
    assert_int_equal(file_read("/dev/zero", 10, &text, &n), -EPERM);

    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    alarm(10); /* a reader that blocks must not hang the tests */
    assert_int_equal(file_read(path_of("fifo"), 10, &text, &n), -EPERM);
    assert_int_equal(file_read_trusted(path_of("fifo"), 10, &text, &n), -EPERM);
    alarm(0);

    (void)write_file("target", "x", 1, 0644);
    assert_int_equal(symlink("target", path_of("link")), 0);
    assert_int_equal(file_read(path_of("link"), 10, &text, &n), -ELOOP);
    assert_int_equal(file_read_trusted(path_of("link"), 10, &text, &n), -ELOOP);
    assert_null(text);
}

static void test_trust(void **state)
{
    (void)state;
    static const struct {
        mode_t mode;
        int result;
    } cases[] = {{0644, 0}, {0600, 0}, {0444, 0}, {0664, -EPERM}, {0646, -EPERM}, {0620, -EPERM}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *text = NULL;
        size_t n;
        const char *path = write_file("trust", "x", 1, cases[i].mode);
        assert_int_equal(file_read_trusted(path, 10, &text, &n), cases[i].result);
    }

    if (geteuid() != 0)
        return; /* only root can make a file that another user owns */
    _cleanup_free_ char *text = NULL;
    size_t n;
    const char *path = write_file("trust", "x", 1, 0644);
    assert_int_equal(chown(path, 12345, 0), 0);
    assert_int_equal(file_read_trusted(path, 10, &text, &n), -EPERM);
    assert_int_equal(file_read(path, 10, &text, &n), 0);
}

static void test_list(void **state)
{
    (void)state;
    (void)write_file("b.conf", "", 0, 0600);
    (void)write_file("B.conf", "", 0, 0600);
    (void)write_file("10.conf", "", 0, 0600);
    (void)write_file("9.conf", "", 0, 0600);
    (void)write_file("b.conf~", "", 0, 0600);
    (void)write_file(".hidden.conf", "", 0, 0600);

    _cleanup_strv_ struct strv paths = STRV_EMPTY;
    assert_int_equal(strv_add(&paths, "first"), 0);
    assert_int_equal(file_list(path_of("absent"), ".conf", 10, &paths), 0);
    assert_int_equal(file_list(dir, ".conf", 3, &paths), -E2BIG);
    assert_int_equal(paths.n, 1);
    assert_int_equal(file_list(dir, ".conf", 4, &paths), 0);
    static const char *const names[] = {"10.conf", "9.conf", "B.conf", "b.conf"};
    assert_int_equal(paths.n, 5);
    assert_string_equal(paths.items[0], "first");
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_string_equal(paths.items[i + 1], path_of(names[i]));
    assert_int_equal(file_list("/dev/null", ".conf", 4, &paths), -ENOTDIR);

    static const mode_t open_modes[] = {0770, 0707, 01777};
    for (size_t i = 0; i < ARRAY_SIZE(open_modes); i++) {
        assert_int_equal(chmod(dir, open_modes[i]), 0);
        assert_int_equal(file_list(dir, ".conf", 4, &paths), -EPERM);
    }
    assert_int_equal(chmod(dir, 0755), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(dir, 12345, 0), 0);
        assert_int_equal(file_list(dir, ".conf", 4, &paths), -EPERM);
        assert_int_equal(chown(dir, 0, 0), 0);
    }
    assert_int_equal(paths.n, 5);
}

static void test_sealed(void **state)
{
    (void)state;
    _cleanup_close_ int fd = -1;
    assert_int_equal(file_new_sealed("test", "token", 5, &fd), 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(pwrite(fd, "X", 1, 0), -1);
    assert_int_equal(ftruncate(fd, 1), -1);
    assert_int_equal(ftruncate(fd, 9), -1);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, 0), -1);

    /* Each opening starts at the beginning, whatever the others have read. */
    _cleanup_close_ int a = -1, b = -1;
    char bytes[16] = "";
    assert_int_equal(file_reopen(fd, &a), 0);
    assert_int_equal(read(a, bytes, sizeof(bytes)), 5);
    assert_int_equal(file_reopen(a, &b), 0);
    assert_int_equal(read(b, bytes, sizeof(bytes)), 5);
    assert_memory_equal(bytes, "token", 5);
    assert_int_equal(fcntl(b, F_GETFL) & O_ACCMODE, O_RDONLY);
    assert_true(fcntl(b, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(file_reopen(-1, &b), -ENOENT);
}

static int make_memfd(size_t n, int seals)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)n), 0);
    if (seals)
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static void test_read_sealed(void **state)
{
    (void)state;
    const int all = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
    const struct {
        size_t size;
        int seals;
        int result;
    } cases[] = {
        {16, all, 0},
        {1, all, 0},
        {17, all, -EFBIG},
        {0, all, -EBADF},
        {16, 0, -EBADF},
        {16, F_SEAL_SHRINK | F_SEAL_GROW, -EBADF},
        {16, F_SEAL_WRITE | F_SEAL_GROW, -EBADF},
        {16, F_SEAL_WRITE | F_SEAL_SHRINK, -EBADF},
        {16, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW, -EBADF},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char buffer[16];
        size_t n = 99;
        _cleanup_close_ int fd = make_memfd(cases[i].size, cases[i].seals);
        assert_int_equal(file_read_sealed(fd, buffer, sizeof(buffer), &n), cases[i].result);
        assert_int_equal(n, cases[i].result == 0 ? cases[i].size : 99);
    }
}

static void test_read_sealed_ignores_the_offset(void **state)
{
    (void)state;
    _cleanup_close_ int fd = -1;
    char buffer[16];
    size_t n;
    assert_int_equal(file_new_sealed("test", "refresh", 7, &fd), 0);
    assert_int_equal(lseek(fd, 5, SEEK_SET), 5);
    assert_int_equal(file_read_sealed(fd, buffer, sizeof(buffer), &n), 0);
    assert_int_equal(n, 7);
    assert_memory_equal(buffer, "refresh", 7);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 5);
}

static void test_read_sealed_refuses_others(void **state)
{
    (void)state;
    char buffer[16];
    size_t n;
    alarm(10);
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(file_read_sealed(ends[0], buffer, sizeof(buffer), &n), -EBADF);
    (void)close(ends[0]);
    (void)close(ends[1]);
    _cleanup_close_ int regular = open(write_file("regular", "x", 1, 0600), O_RDONLY | O_CLOEXEC);
    assert_int_equal(file_read_sealed(regular, buffer, sizeof(buffer), &n), -EBADF);
    _cleanup_close_ int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    assert_int_equal(file_read_sealed(zero, buffer, sizeof(buffer), &n), -EBADF);
    assert_int_equal(file_read_sealed(-1, buffer, sizeof(buffer), &n), -EBADF);
    alarm(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refuses_what_is_no_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trust, setup, teardown),
        cmocka_unit_test_setup_teardown(test_list, setup, teardown),
        cmocka_unit_test(test_sealed),
        cmocka_unit_test(test_read_sealed),
        cmocka_unit_test(test_read_sealed_ignores_the_offset),
        cmocka_unit_test_setup_teardown(test_read_sealed_refuses_others, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
