/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/keys.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char folder[64];
static char path[96];

static int set_up(void **state _unused_)
{
    memcpy(folder, "/tmp/test-keys.XXXXXX", sizeof("/tmp/test-keys.XXXXXX"));
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/master", folder);
    return 0;
}

static int tear_down(void **state _unused_)
{
    (void)rmdir(path);
    (void)unlink(path);
    return rmdir(folder);
}

static void put(size_t n, mode_t mode)
{
    unsigned char bytes[64] = {1, 2, 3};
    (void)unlink(path);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    assert_int_equal(fchmod(fd, mode), 0);
}

static int load(bool credential, bool may_create, struct secret **ret)
{
    struct key_source source = {NULL, NULL};
    if (credential)
        source.credential_path = path;
    else
        source.file = path;
    return keys_load(&source, may_create, ret);
}

static void accepts_only_private_keys_of_one_size(void **state _unused_)
{
    static const struct {
        size_t n;
        mode_t mode;
        bool credential;
        int r;
    } cases[] = {
        {32, 0400, false, 0},
        {32, 0600, false, 0},
        {32, 0440, false, KEYS_E_MALFORMED},
        {32, 0404, false, KEYS_E_MALFORMED},
        {32, 0420, false, KEYS_E_MALFORMED},
        {0, 0400, false, KEYS_E_MALFORMED},
        {31, 0400, false, KEYS_E_MALFORMED},
        {33, 0400, false, KEYS_E_MALFORMED},
        {32, 0440, true, 0}, /* the mask of systemd's access control list */
        {32, 0444, true, KEYS_E_MALFORMED},
        {32, 0460, true, KEYS_E_MALFORMED},
        {31, 0400, true, KEYS_E_MALFORMED},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        put(cases[i].n, cases[i].mode);
        _cleanup_(secret_freep) struct secret *key = NULL;
        assert_int_equal(load(cases[i].credential, true, &key), cases[i].r);
        assert_int_equal(key != NULL, cases[i].r == 0);
        struct stat st; /* whatever it was, it was not replaced */
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, cases[i].n);
        assert_int_equal(st.st_mode & 07777, cases[i].mode);
    }
}

static void refuses_what_is_no_file(void **state _unused_)
{
    struct secret *key = NULL;
    assert_int_equal(symlink("/dev/zero", path), 0);
    assert_int_equal(load(false, true, &key), KEYS_E_MALFORMED);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0400), 0);
    assert_int_equal(load(false, true, &key), KEYS_E_MALFORMED);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(load(false, true, &key), KEYS_E_MALFORMED);
    assert_int_equal(rmdir(path), 0);
    assert_null(key);
}

static void makes_one_only_when_told(void **state _unused_)
{
    _cleanup_(secret_freep) struct secret *key = NULL, *again = NULL;
    assert_int_equal(load(false, false, &key), KEYS_E_MISSING);
    assert_int_equal(load(true, true, &key), KEYS_E_MISSING);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(keys_load(&(struct key_source){NULL, NULL}, true, &key), KEYS_E_MISSING);

    assert_int_equal(load(false, true, &key), 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0400);
    assert_int_equal(load(false, true, &again), 0);
    assert_true(secret_equal(key, again));

    unsigned n = 0; /* no temporary file is left */
    DIR *d = opendir(folder);
    assert_non_null(d);
    while (readdir(d))
        n++;
    (void)closedir(d);
    assert_int_equal(n, 3);
}

/* A missing credential does not fall back to making a key file. */
static void credential_comes_first(void **state _unused_)
{
    struct key_source source = {.credential_path = "/nonexistent/key", .file = path};
    struct secret *key = NULL;
    assert_int_equal(keys_load(&source, true, &key), KEYS_E_MISSING);
    assert_int_equal(access(path, F_OK), -1);
}

static void fails_where_nothing_can_be_made(void **state _unused_)
{
    struct key_source source = {.file = "/proc/nowhere/key"};
    struct secret *key = NULL;
    assert_true(keys_load(&source, true, &key) < 0);
    assert_null(key);
}

/* Many at once: all end up with the one key that is there. */
static void race_has_one_winner(void **state _unused_)
{
    enum { RACERS = 8 };
    int fds[2];
    pid_t pids[RACERS];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    for (int i = 0; i < RACERS; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            struct secret *key = NULL;
            unsigned char id[KEYS_ID_BYTES];
            if (load(false, true, &key) != 0)
                _exit(1);
            keys_id(key, id);
            secret_free(key);
            _exit(write(fds[1], id, sizeof(id)) == sizeof(id) ? 0 : 1);
        }
    }
    unsigned char expected[KEYS_ID_BYTES], id[KEYS_ID_BYTES];
    for (int i = 0; i < RACERS; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    _cleanup_(secret_freep) struct secret *key = NULL;
    assert_int_equal(load(false, false, &key), 0);
    keys_id(key, expected);
    for (int i = 0; i < RACERS; i++) {
        assert_int_equal(read(fds[0], id, sizeof(id)), sizeof(id));
        assert_memory_equal(id, expected, sizeof(id));
    }
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void refuses_a_folder_that_others_can_write_to(void **state _unused_)
{
    static const mode_t modes[] = {0770, 0702, 01777};
    struct secret *key = NULL;
    put(KEYS_MASTER_BYTES, 0400);
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        assert_int_equal(chmod(folder, modes[i]), 0);
        assert_int_equal(load(false, false, &key), KEYS_E_MALFORMED);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(load(false, true, &key), KEYS_E_MALFORMED); /* nor is one made there */
        assert_int_equal(access(path, F_OK), -1);
        put(KEYS_MASTER_BYTES, 0400);
    }
    assert_int_equal(chmod(folder, 0755), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(folder, 12345, 0), 0);
        assert_int_equal(load(false, false, &key), KEYS_E_MALFORMED);
        assert_int_equal(chown(folder, 0, 0), 0);
    }
    assert_int_equal(load(false, false, &key), 0);
    secret_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(accepts_only_private_keys_of_one_size, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_what_is_no_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(makes_one_only_when_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(credential_comes_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fails_where_nothing_can_be_made, set_up, tear_down),
        cmocka_unit_test_setup_teardown(race_has_one_winner, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_a_folder_that_others_can_write_to, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
