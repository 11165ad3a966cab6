/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/audit-keyfile.h"
#include "broker/limits.h"
#include "broker/seccomp.h"
#include "tests/unit/confined.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_BYTES 16384
#define BLOCK_BYTES 4096

static char folder[64];
static char path[96], staged[104], aside[104];

static int set_up(void **state _unused_)
{
    memcpy(folder, "/tmp/test-keyfile.XXXXXX", sizeof("/tmp/test-keyfile.XXXXXX"));
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/audit.key", folder);
    (void)snprintf(staged, sizeof(staged), "%s.new", path);
    (void)snprintf(aside, sizeof(aside), "%s.broken", path);
    return 0;
}

static int tear_down(void **state _unused_)
{
    const char *const names[] = {path, staged, aside};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        (void)rmdir(names[i]);
        (void)unlink(names[i]);
    }
    return rmdir(folder);
}

/* --- keys and files ---------------------------------------------------------------------------------- */

/* C(epoch) of a chain of keys that began in epoch 1. */
static struct audit_chain_key key_of(uint64_t epoch)
{
    unsigned char bytes[AUDIT_CHAIN_KEY_BYTES];
    memset(bytes, 7, sizeof(bytes));
    struct audit_chain_key key = {.epoch = 1, .first_epoch = 1};
    assert_int_equal(secret_new(bytes, sizeof(bytes), &key.key), 0);
    while (key.epoch < epoch)
        assert_int_equal(audit_chain_key_evolve(&key), 0);
    return key;
}

static void assert_key(const struct audit_chain_key *key, uint64_t epoch)
{
    struct audit_chain_key expected = key_of(epoch);
    assert_int_equal(key->epoch, epoch);
    assert_int_equal(key->first_epoch, 1);
    assert_true(secret_equal(key->key, expected.key));
    audit_chain_key_clear(&expected);
}

static struct audit_keyfile *make(uint64_t epoch)
{
    struct audit_chain_key key = key_of(epoch);
    struct audit_keyfile *f;
    assert_int_equal(audit_keyfile_make(path, &key, &f), 0);
    audit_chain_key_clear(&key);
    return f;
}

static int begin(struct audit_keyfile *f, uint64_t epoch)
{
    struct audit_chain_key key = key_of(epoch);
    int r = audit_keyfile_begin_epoch(f, &key);
    audit_chain_key_clear(&key);
    return r;
}

static void get(unsigned char bytes[FILE_BYTES])
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, bytes, FILE_BYTES), FILE_BYTES);
}

static void put(const unsigned char *bytes, size_t n)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
}

static int try_open(void)
{
    struct audit_keyfile *f = NULL;
    int r = audit_keyfile_open(path, &f);
    assert_int_equal(f != NULL, r == 0);
    audit_keyfile_free(f);
    return r;
}

/* The epoch of the key that is found in the file; 0 when it is broken. The key is the right one. */
static uint64_t epoch_in_file(void)
{
    _cleanup_(audit_keyfile_freep) struct audit_keyfile *f = NULL;
    int r = audit_keyfile_open(path, &f);
    if (r == AUDIT_KEYFILE_E_BROKEN)
        return 0;
    assert_int_equal(r, 0);
    struct audit_chain_key key;
    assert_int_equal(audit_keyfile_read(f, &key), 0);
    uint64_t epoch = key.epoch;
    assert_key(&key, epoch);
    audit_chain_key_clear(&key);
    return epoch;
}

static bool holds_key(const char *name, uint64_t epoch)
{
    unsigned char bytes[FILE_BYTES];
    struct audit_chain_key key = key_of(epoch);
    _cleanup_close_ int fd = open(name, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = read(fd, bytes, sizeof(bytes));
    assert_true(n >= 0);
    bool holds = memmem(bytes, (size_t)n, secret_bytes(key.key), AUDIT_CHAIN_KEY_BYTES) != NULL;
    audit_chain_key_clear(&key);
    return holds;
}

/* --- what is accepted -------------------------------------------------------------------------------- */

static void keeps_a_key(void **state _unused_)
{
    assert_int_equal(try_open(), AUDIT_KEYFILE_E_MISSING);
    _cleanup_(audit_keyfile_freep) struct audit_keyfile *f = make(5);
    assert_int_equal(epoch_in_file(), 5);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, FILE_BYTES);
    assert_int_equal(lstat(staged, &st), -1);
    assert_int_equal(lstat(aside, &st), -1);

    struct audit_chain_key key;
    assert_int_equal(audit_keyfile_read(f, &key), 0);
    assert_key(&key, 5);
    audit_chain_key_clear(&key);
}

static void wants_a_private_file_of_its_size(void **state _unused_)
{
    audit_keyfile_free(make(1));
    static const mode_t wrong[] = {0640, 0604, 0620, 0602, 0660, 0644, 0700, 04600, 01600};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        assert_int_equal(chmod(path, wrong[i]), 0);
        assert_int_equal(try_open(), AUDIT_KEYFILE_E_BROKEN);
    }
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(try_open(), 0);

    unsigned char bytes[FILE_BYTES + 1] = {0};
    get(bytes);
    static const size_t sizes[] = {0, 1, 119, 120, BLOCK_BYTES, FILE_BYTES - 1, FILE_BYTES + 1};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        put(bytes, sizes[i]);
        assert_int_equal(try_open(), AUDIT_KEYFILE_E_BROKEN);
    }
    put(bytes, FILE_BYTES);
    assert_int_equal(try_open(), 0);
}

static void wants_a_file_of_its_own(void **state _unused_)
{
    struct stat st;
    audit_keyfile_free(make(1));
    assert_int_equal(link(path, aside), 0);
    assert_int_equal(try_open(), AUDIT_KEYFILE_E_BROKEN);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(aside, path), 0);
    assert_int_equal(try_open(), AUDIT_KEYFILE_E_BROKEN);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(try_open(), AUDIT_KEYFILE_E_BROKEN);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(try_open(), AUDIT_KEYFILE_E_BROKEN);
    assert_int_equal(lstat(path, &st), 0); /* and none of this was removed */
}

static void wants_no_file_of_another(void **state _unused_)
{
    if (geteuid() != 0) /* then the daemon is who cannot give a file away, and chown() says so */
        return assert_int_equal(chown("/", NOBODY, (gid_t)-1), -1);
    audit_keyfile_free(make(1));
    assert_int_equal(chown(path, NOBODY, (gid_t)-1), 0);
    assert_int_equal(try_open(), AUDIT_KEYFILE_E_BROKEN);
}

/* "Not now" must not lead to a new key. */
static void tells_failure_from_breakage(void **state _unused_)
{
    struct audit_keyfile *f = NULL;
    char name[160];
    audit_keyfile_free(make(1));
    (void)snprintf(name, sizeof(name), "%s/below", path);
    assert_int_equal(audit_keyfile_open(name, &f), -ENOTDIR);
    assert_null(f);
}

/* --- torn, crashed ----------------------------------------------------------------------------------- */

static const size_t key_bytes = 8 + 8 + 8 + 32 + 32;

static void put_byte(size_t at, unsigned char byte)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
}

static void knows_every_changed_byte(void **state _unused_)
{
    unsigned char good[FILE_BYTES];
    _cleanup_(audit_keyfile_freep) struct audit_keyfile *f = make(4);
    assert_int_equal(begin(f, 5), 0);
    get(good);
    for (size_t at = 0; at < FILE_BYTES; at++) {
        static const unsigned char flips[] = {0xff, 0x01, 0x80};
        bool is_latest = at >= BLOCK_BYTES && at < BLOCK_BYTES + key_bytes;
        for (size_t i = 0; i < (is_latest ? ARRAY_SIZE(flips) : 1); i++) {
            put_byte(at, good[at] ^ flips[i]);
            assert_int_equal(epoch_in_file(), is_latest ? 4 : 5);
            put_byte(at, good[at]);
        }
    }
    for (size_t at = 0; at < key_bytes; at++)
        put_byte(at, 0);
    for (size_t at = BLOCK_BYTES; at < BLOCK_BYTES + key_bytes; at++) { /* it is the only one */
        put_byte(at, good[at] ^ 0x10);
        assert_int_equal(epoch_in_file(), 0);
        put_byte(at, good[at]);
    }
    assert_int_equal(epoch_in_file(), 5);
}

/* Before it, torn at each byte, after it: there is always the key of the record or of the one before. */
static void survives_a_crash_in_begin_epoch(void **state _unused_)
{
    unsigned char before[FILE_BYTES], after[FILE_BYTES], torn[FILE_BYTES];
    _cleanup_(audit_keyfile_freep) struct audit_keyfile *f = make(4);
    get(before);
    assert_int_equal(begin(f, 5), 0);
    get(after);
    assert_int_equal(epoch_in_file(), 5);
    assert_memory_equal(before, after, BLOCK_BYTES); /* the other one is not touched */
    assert_memory_equal(before + 2 * BLOCK_BYTES, after + 2 * BLOCK_BYTES, 2 * BLOCK_BYTES);
    for (size_t n = 0; n <= 2 * key_bytes; n++) {
        memcpy(torn, before, sizeof(torn));
        memcpy(torn + BLOCK_BYTES, after + BLOCK_BYTES, n);
        put(torn, sizeof(torn));
        /* The last byte of the checksum may happen to be zero already. */
        bool whole = memcmp(torn, after, sizeof(torn)) == 0;
        assert_int_equal(epoch_in_file(), whole ? 5 : 4);
    }
    for (size_t n = 0; n <= key_bytes; n++) { /* the end came first */
        memcpy(torn, before, sizeof(torn));
        memcpy(torn + 2 * BLOCK_BYTES - n, after + 2 * BLOCK_BYTES - n, n);
        memcpy(torn + BLOCK_BYTES + n, after + BLOCK_BYTES + n, key_bytes - n);
        put(torn, sizeof(torn));
        bool whole = memcmp(torn, after, sizeof(torn)) == 0;
        assert_int_equal(epoch_in_file(), whole ? 5 : 4);
    }
}

static void survives_a_crash_in_end_epochs(void **state _unused_)
{
    unsigned char before[FILE_BYTES], torn[FILE_BYTES];
    _cleanup_(audit_keyfile_freep) struct audit_keyfile *f = make(4);
    assert_int_equal(begin(f, 5), 0);
    get(before);
    for (size_t n = 0; n <= key_bytes; n++) {
        memcpy(torn, before, sizeof(torn));
        memset(torn, 0, n);
        put(torn, sizeof(torn));
        assert_int_equal(epoch_in_file(), 5);
        _cleanup_(audit_keyfile_freep) struct audit_keyfile *again = NULL; /* what the next start does */
        assert_int_equal(audit_keyfile_open(path, &again), 0);
        assert_int_equal(audit_keyfile_end_epochs(again), 0);
        assert_false(holds_key(path, 4));
        assert_int_equal(epoch_in_file(), 5);
    }
}

/* The other block was torn while a key was written that never came to count. */
static void overwrites_a_torn_key(void **state _unused_)
{
    unsigned char bytes[FILE_BYTES];
    _cleanup_(audit_keyfile_freep) struct audit_keyfile *f = make(4);
    assert_int_equal(begin(f, 5), 0);
    get(bytes);
    bytes[BLOCK_BYTES + key_bytes - 1] ^= 1;
    put(bytes, sizeof(bytes));
    assert_true(holds_key(path, 5));
    _cleanup_(audit_keyfile_freep) struct audit_keyfile *again = NULL;
    assert_int_equal(audit_keyfile_open(path, &again), 0);
    assert_int_equal(audit_keyfile_end_epochs(again), 0);
    assert_false(holds_key(path, 5));
    assert_int_equal(epoch_in_file(), 4);
}

static void moves_on_through_both_blocks(void **state _unused_)
{
    _cleanup_(audit_keyfile_freep) struct audit_keyfile *f = make(1);
    for (uint64_t epoch = 2; epoch < 9; epoch++) {
        assert_int_equal(begin(f, epoch), 0);
        assert_int_equal(epoch_in_file(), epoch);
        assert_true(holds_key(path, epoch - 1));
        assert_int_equal(audit_keyfile_end_epochs(f), 0);
        assert_int_equal(epoch_in_file(), epoch);
        assert_false(holds_key(path, epoch - 1));
        if (epoch % 3 == 0) { /* as after a restart */
            audit_keyfile_free(TAKE_PTR(f));
            assert_int_equal(audit_keyfile_open(path, &f), 0);
        }
    }
    assert_int_equal(begin(f, 20), 0); /* it could not be written for some epochs */
    assert_int_equal(epoch_in_file(), 20);
}

static void ends_epochs_without_a_needless_write(void **state _unused_)
{
    _cleanup_(audit_keyfile_freep) struct audit_keyfile *f = make(3);
    struct timespec long_ago[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    struct stat st;
    assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
    assert_int_equal(audit_keyfile_end_epochs(f), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mtim.tv_sec, 1);
    assert_int_equal(epoch_in_file(), 3);
}

/* Written to a file that nobody finds any more, the key would be lost at the next start. */
static void notices_that_it_was_removed(void **state _unused_)
{
    _cleanup_(audit_keyfile_freep) struct audit_keyfile *f = make(3);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(begin(f, 4), AUDIT_KEYFILE_E_MISSING);
    _cleanup_(audit_keyfile_freep) struct audit_keyfile *other = make(9);
    assert_int_equal(begin(f, 4), AUDIT_KEYFILE_E_MISSING);
    assert_int_equal(epoch_in_file(), 9);
    _cleanup_(audit_keyfile_freep) struct audit_keyfile *again = make(4);
    assert_int_equal(begin(again, 5), 0);
    assert_int_equal(epoch_in_file(), 5);
}

static void notices_that_it_was_emptied(void **state _unused_)
{
    _cleanup_(audit_keyfile_freep) struct audit_keyfile *f = make(3);
    struct audit_chain_key key = {.key = NULL};
    unsigned char zeros[FILE_BYTES] = {0};
    put(zeros, sizeof(zeros));
    assert_int_equal(audit_keyfile_read(f, &key), AUDIT_KEYFILE_E_BROKEN);
    put(zeros, 0);
    assert_int_equal(audit_keyfile_read(f, &key), AUDIT_KEYFILE_E_BROKEN);
    assert_null(key.key);
}

/* --- making it --------------------------------------------------------------------------------------- */

static void makes_one_over_a_broken_one(void **state _unused_)
{
    unsigned char bytes[FILE_BYTES];
    audit_keyfile_free(make(3));
    get(bytes);
    bytes[0] ^= 1;
    put(bytes, sizeof(bytes));
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(try_open(), AUDIT_KEYFILE_E_BROKEN);
    audit_keyfile_free(make(7));
    assert_int_equal(epoch_in_file(), 7);
    struct stat st;
    assert_int_equal(stat(aside, &st), 0);
    assert_int_equal(st.st_size, FILE_BYTES);
    assert_false(holds_key(aside, 3)); /* with it the epochs from 3 on could be written anew */
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void makes_one_over_what_is_no_file(void **state _unused_)
{
    assert_int_equal(symlink("/nonexistent/elsewhere", path), 0);
    audit_keyfile_free(make(1));
    assert_int_equal(epoch_in_file(), 1);
    struct stat st;
    assert_int_equal(lstat(aside, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(unlink(aside), 0);

    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    audit_keyfile_free(make(2));
    assert_int_equal(epoch_in_file(), 2);
}

/* A crash leaves PATH.new, whole or not; or, between the two renames, nothing under the name. */
static void makes_one_after_a_crash(void **state _unused_)
{
    audit_keyfile_free(make(3));
    assert_int_equal(rename(path, staged), 0);
    assert_int_equal(try_open(), AUDIT_KEYFILE_E_MISSING);
    audit_keyfile_free(make(4));
    assert_int_equal(epoch_in_file(), 4);
    struct stat st;
    assert_int_equal(lstat(staged, &st), -1);

    assert_int_equal(rename(path, staged), 0);
    assert_int_equal(truncate(staged, 77), 0);
    audit_keyfile_free(make(5));
    assert_int_equal(epoch_in_file(), 5);

    assert_int_equal(symlink("/nonexistent/elsewhere", staged), 0); /* is not followed */
    audit_keyfile_free(make(6));
    assert_int_equal(epoch_in_file(), 6);
}

static void leaves_nothing_of_a_failure(void **state _unused_)
{
    struct audit_chain_key key = key_of(1);
    struct audit_keyfile *f = NULL;
    char name[160];
    (void)snprintf(name, sizeof(name), "%s/missing/audit.key", folder);
    assert_int_equal(audit_keyfile_make(name, &key, &f), -ENOENT);
    assert_int_equal(mkdir(staged, 0700), 0);
    assert_int_equal(audit_keyfile_make(path, &key, &f), -EEXIST);
    assert_null(f);
    assert_int_equal(rmdir(staged), 0);
    audit_chain_key_clear(&key);
}

/* --- the head ---------------------------------------------------------------------------------------- */

static struct audit_head head_of(int64_t sequence)
{
    struct audit_head head = {.sequence = sequence};
    memset(head.hash, (int)sequence, sizeof(head.hash));
    return head;
}

static void set_head(struct audit_keyfile *f, uint64_t epoch, int64_t sequence)
{
    struct audit_chain_key key = key_of(epoch);
    struct audit_head head = head_of(sequence);
    assert_int_equal(audit_keyfile_set_head(f, &key, &head), 0);
    audit_chain_key_clear(&key);
}

/* The sequence of the head that a key of this epoch finds. */
static int64_t head_for(uint64_t epoch)
{
    _cleanup_(audit_keyfile_freep) struct audit_keyfile *f = NULL;
    struct audit_chain_key key = key_of(epoch);
    struct audit_head head;
    assert_int_equal(audit_keyfile_open(path, &f), 0);
    assert_int_equal(audit_keyfile_head(f, &key, &head), 0);
    audit_chain_key_clear(&key);
    struct audit_head expected = head_of(head.sequence);
    assert_memory_equal(head.hash, expected.hash, sizeof(head.hash));
    return head.sequence;
}

static void keeps_the_latest_head(void **state _unused_)
{
    _cleanup_(audit_keyfile_freep) struct audit_keyfile *f = make(1);
    assert_int_equal(head_for(1), 0);
    for (int64_t n = 1; n < 12; n++) {
        set_head(f, 1, n);
        assert_int_equal(head_for(1), n);
        if (n % 5 == 0) {
            audit_keyfile_free(TAKE_PTR(f));
            assert_int_equal(audit_keyfile_open(path, &f), 0);
        }
    }
    assert_int_equal(epoch_in_file(), 1);
}

/* Each byte of either head: then the other one counts. */
static void knows_a_torn_head(void **state _unused_)
{
    unsigned char good[FILE_BYTES], bad[FILE_BYTES];
    _cleanup_(audit_keyfile_freep) struct audit_keyfile *f = make(1);
    set_head(f, 1, 10);
    set_head(f, 1, 11);
    get(good);
    unsigned n_of[2] = {0};
    for (size_t at = 2 * BLOCK_BYTES; at < FILE_BYTES; at++) {
        put_byte(at, good[at] ^ 0x40);
        int64_t found = head_for(1);
        assert_true(found == 10 || found == 11);
        n_of[found - 10]++;
        put_byte(at, good[at]);
    }
    assert_int_equal(n_of[0], 8 + 8 + 32 + 16);
    for (size_t n = 1; n <= 64; n++) {
        memcpy(bad, good, sizeof(bad));
        memset(bad + 2 * BLOCK_BYTES, 0, n);
        memset(bad + 3 * BLOCK_BYTES, 0, n);
        put(bad, sizeof(bad));
        /* Of the epoch's and the sequence's bytes all but the first are zero. */
        assert_int_equal(head_for(1), 0);
    }
}

static bool holds_head(int64_t sequence)
{
    unsigned char bytes[FILE_BYTES];
    struct audit_head head = head_of(sequence);
    get(bytes);
    return memmem(bytes, sizeof(bytes), head.hash, sizeof(head.hash)) != NULL;
}

/* After a start too, with the last one in either place: one that is torn leaves the one before. */
static void overwrites_the_older_head(void **state _unused_)
{
    _cleanup_(audit_keyfile_freep) struct audit_keyfile *f = make(1);
    set_head(f, 1, 10);
    set_head(f, 1, 11);
    for (int64_t n = 12; n < 20; n++) {
        audit_keyfile_free(TAKE_PTR(f));
        assert_int_equal(audit_keyfile_open(path, &f), 0);
        set_head(f, 1, n);
        assert_true(holds_head(n) && holds_head(n - 1));
        if (n % 3 == 0) {
            set_head(f, 1, ++n);
            assert_true(holds_head(n) && holds_head(n - 1));
        }
    }
}

static void finds_no_head_of_another_key(void **state _unused_)
{
    _cleanup_(audit_keyfile_freep) struct audit_keyfile *f = make(5);
    set_head(f, 5, 100);
    set_head(f, 6, 101);
    assert_int_equal(head_for(5), 101); /* 5 evolves to 6 */
    assert_int_equal(head_for(6), 101);
    assert_int_equal(head_for(7), 0); /* sealed by a key that is gone */
    assert_int_equal(head_for(4), 101);

    struct audit_chain_key other;
    assert_int_equal(audit_chain_key_new(5, &other), 0);
    struct audit_head head;
    assert_int_equal(audit_keyfile_head(f, &other, &head), 0);
    assert_int_equal(head.sequence, 0);
    audit_chain_key_clear(&other);
}

static void looks_ahead_only_so_far(void **state _unused_)
{
    _cleanup_(audit_keyfile_freep) struct audit_keyfile *f = make(1);
    set_head(f, 1 + LIMIT_AUDIT_HEAD_EPOCHS, 7);
    assert_int_equal(head_for(1), 7);
    audit_keyfile_free(TAKE_PTR(f));
    f = make(1);
    set_head(f, 2 + LIMIT_AUDIT_HEAD_EPOCHS, 7);
    assert_int_equal(head_for(1), 0);
    assert_int_equal(head_for(2), 7);
}

static void a_negative_head_is_none(void **state _unused_)
{
    _cleanup_(audit_keyfile_freep) struct audit_keyfile *f = make(1);
    set_head(f, 1, 0);
    set_head(f, 1, -5);
    set_head(f, 1, INT64_MIN);
    assert_int_equal(head_for(1), 0);
}

/* --- as the daemon ----------------------------------------------------------------------------------- */

/* All of it after seccomp_confine(), which is where the daemon opens it. */
static int live(void)
{
    struct audit_chain_key key = {.key = NULL};
    struct audit_keyfile *f = NULL;
    struct audit_head head = {.sequence = 3};
    if (audit_keyfile_open(path, &f) != AUDIT_KEYFILE_E_MISSING || audit_chain_key_new(1, &key) < 0 ||
        audit_keyfile_make(path, &key, &f) != 0)
        return FAILED;
    audit_keyfile_free(f);
    if (audit_keyfile_make(path, &key, &f) != 0) /* over one that is there */
        return FAILED;
    audit_keyfile_free(f);
    if (audit_keyfile_open(path, &f) != 0 || audit_chain_key_evolve(&key) < 0 ||
        audit_keyfile_begin_epoch(f, &key) != 0 || audit_keyfile_end_epochs(f) != 0 ||
        audit_keyfile_set_head(f, &key, &head) != 0 || audit_keyfile_head(f, &key, &head) != 0)
        return FAILED;
    audit_keyfile_free(f);
    audit_chain_key_clear(&key);
    return head.sequence == 3 ? WORKED : FAILED;
}

static void works_confined(void **state _unused_)
{
    if (geteuid() == 0)
        assert_int_equal(chown(folder, NOBODY, (gid_t)-1), 0);
    assert_int_equal(run_after(seccomp_confine, live), WORKED);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(keeps_a_key),
        CASE(wants_a_private_file_of_its_size),
        CASE(wants_a_file_of_its_own),
        CASE(wants_no_file_of_another),
        CASE(tells_failure_from_breakage),
        CASE(knows_every_changed_byte),
        CASE(survives_a_crash_in_begin_epoch),
        CASE(survives_a_crash_in_end_epochs),
        CASE(overwrites_a_torn_key),
        CASE(moves_on_through_both_blocks),
        CASE(ends_epochs_without_a_needless_write),
        CASE(notices_that_it_was_removed),
        CASE(notices_that_it_was_emptied),
        CASE(makes_one_over_a_broken_one),
        CASE(makes_one_over_what_is_no_file),
        CASE(makes_one_after_a_crash),
        CASE(leaves_nothing_of_a_failure),
        CASE(keeps_the_latest_head),
        CASE(knows_a_torn_head),
        CASE(overwrites_the_older_head),
        CASE(finds_no_head_of_another_key),
        CASE(looks_ahead_only_so_far),
        CASE(a_negative_head_is_none),
        CASE(works_confined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
