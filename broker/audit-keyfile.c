/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/audit-keyfile.h"
#include "broker/limits.h"
#include "util/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

/* Blocks 0 and 1 hold a key or zeros, 2 and 3 a head or zeros; the rest of a block is zeros. Numbers are 8
 * bytes, least significant first:
 *
 *   key   "lwakey 1", epoch, first epoch, the key (32), BLAKE2b-256 of all that is before
 *   head  epoch whose key sealed it, sequence, hash (32), seal (16) */

#define BLOCK_BYTES 4096 /* what a disk writes as a whole, or more */
#define N_KEYS 2
#define N_HEADS 2
#define FILE_BYTES ((N_KEYS + N_HEADS) * BLOCK_BYTES)

#define MAGIC_BYTES 8
static const unsigned char magic[MAGIC_BYTES] = {'l', 'w', 'a', 'k', 'e', 'y', ' ', '1'};
#define PERSONAL "lwa audit keyfil"
#define NUMBER_BYTES 8
#define CHECKED_BYTES (MAGIC_BYTES + 2 * NUMBER_BYTES + AUDIT_CHAIN_KEY_BYTES)
#define CHECKSUM_BYTES 32
#define KEY_BYTES (CHECKED_BYTES + CHECKSUM_BYTES)
#define HEAD_BYTES (2 * NUMBER_BYTES + AUDIT_HASH_BYTES + AUDIT_SEAL_BYTES)

struct audit_keyfile {
    char *path;
    int fd;
    unsigned key;  /* the block of the latest one */
    unsigned head; /* which of the heads was written last */
};

/* --- bytes ------------------------------------------------------------------------------------------- */

static unsigned char *put_number(unsigned char *at, uint64_t value)
{
    for (size_t i = 0; i < NUMBER_BYTES; i++)
        at[i] = (unsigned char)(value >> (8 * i));
    return at + NUMBER_BYTES;
}

static uint64_t get_number(const unsigned char *at)
{
    uint64_t value = 0;
    for (size_t i = 0; i < NUMBER_BYTES; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static int read_at(int fd, size_t offset, void *buffer, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t got = pread(fd, (char *)buffer + at, n - at, (off_t)(offset + at));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return AUDIT_KEYFILE_E_BROKEN;
        at += (size_t)got;
    }
    return 0;
}

static int write_at(int fd, size_t offset, const void *bytes, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t put = pwrite(fd, (const char *)bytes + at, n - at, (off_t)(offset + at));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        at += (size_t)put;
    }
    return 0;
}

static void checksum(const unsigned char *bytes, unsigned char ret[CHECKSUM_BYTES])
{
    (void)crypto_generichash_blake2b_salt_personal(ret, CHECKSUM_BYTES, bytes, CHECKED_BYTES, NULL, 0, NULL,
                                                   (const unsigned char *)PERSONAL);
}

/* --- keys -------------------------------------------------------------------------------------------- */

static void encode_key(const struct audit_chain_key *key, unsigned char ret[KEY_BYTES])
{
    memcpy(ret, magic, MAGIC_BYTES);
    unsigned char *at = put_number(ret + MAGIC_BYTES, key->epoch);
    at = put_number(at, key->first_epoch);
    memcpy(at, secret_bytes(key->key), AUDIT_CHAIN_KEY_BYTES);
    checksum(ret, ret + CHECKED_BYTES);
}

/* Its epoch; 0 when it is no key. */
static uint64_t key_epoch(const unsigned char bytes[KEY_BYTES])
{
    unsigned char sum[CHECKSUM_BYTES];
    checksum(bytes, sum);
    uint64_t epoch = get_number(bytes + MAGIC_BYTES);
    uint64_t first = get_number(bytes + MAGIC_BYTES + NUMBER_BYTES);
    if (memcmp(bytes, magic, MAGIC_BYTES) != 0 || memcmp(bytes + CHECKED_BYTES, sum, CHECKSUM_BYTES) != 0)
        return 0;
    return epoch <= INT64_MAX && first >= 1 && first <= epoch ? epoch : 0;
}

static int decode_key(const unsigned char bytes[KEY_BYTES], struct audit_chain_key *ret)
{
    struct audit_chain_key key = {.epoch = key_epoch(bytes)};
    if (key.epoch == 0)
        return AUDIT_KEYFILE_E_BROKEN;
    key.first_epoch = get_number(bytes + MAGIC_BYTES + NUMBER_BYTES);
    int r = secret_new(bytes + MAGIC_BYTES + 2 * NUMBER_BYTES, AUDIT_CHAIN_KEY_BYTES, &key.key);
    if (r == 0)
        *ret = key;
    return r;
}

/* A whole block: nothing of what was there before is left. `key` NULL: nothing at all. */
static int write_key(int fd, unsigned block, const struct audit_chain_key *key)
{
    unsigned char bytes[BLOCK_BYTES] = {0};
    if (key)
        encode_key(key, bytes);
    int r = write_at(fd, (size_t)block * BLOCK_BYTES, bytes, sizeof(bytes));
    secret_wipe(bytes, sizeof(bytes));
    return r;
}

static int read_epoch(int fd, unsigned block, uint64_t *ret)
{
    unsigned char bytes[KEY_BYTES];
    int r = read_at(fd, (size_t)block * BLOCK_BYTES, bytes, sizeof(bytes));
    if (r == 0)
        *ret = key_epoch(bytes);
    secret_wipe(bytes, sizeof(bytes));
    return r;
}

static int find_latest_key(struct audit_keyfile *f)
{
    uint64_t latest = 0;
    for (unsigned i = 0; i < N_KEYS; i++) {
        uint64_t epoch;
        int r = read_epoch(f->fd, i, &epoch);
        if (r != 0)
            return r;
        if (epoch > latest) {
            latest = epoch;
            f->key = i;
        }
    }
    return latest > 0 ? 0 : AUDIT_KEYFILE_E_BROKEN;
}

/* --- heads ------------------------------------------------------------------------------------------- */

static size_t head_offset(unsigned i)
{
    return (size_t)(N_KEYS + i) * BLOCK_BYTES;
}

struct sealed_head {
    uint64_t epoch;
    struct audit_head head;
    unsigned char seal[AUDIT_SEAL_BYTES];
};

static int read_head(int fd, unsigned i, struct sealed_head *ret)
{
    unsigned char bytes[HEAD_BYTES];
    int r = read_at(fd, head_offset(i), bytes, sizeof(bytes));
    if (r != 0)
        return r;
    ret->epoch = get_number(bytes);
    ret->head.sequence = (int64_t)get_number(bytes + NUMBER_BYTES);
    memcpy(ret->head.hash, bytes + 2 * NUMBER_BYTES, AUDIT_HASH_BYTES);
    memcpy(ret->seal, bytes + 2 * NUMBER_BYTES + AUDIT_HASH_BYTES, AUDIT_SEAL_BYTES);
    return 0;
}

/* By what it says itself: a wrong one only has the other overwritten first. */
static int find_last_head(struct audit_keyfile *f)
{
    int64_t last = 0;
    for (unsigned i = 0; i < N_HEADS; i++) {
        struct sealed_head sealed;
        int r = read_head(f->fd, i, &sealed);
        if (r != 0)
            return r;
        if (sealed.head.sequence > last) {
            last = sealed.head.sequence;
            f->head = i;
        }
    }
    return 0;
}

/* Whether it is one of this key, or of a later one. */
static int check_head(const struct sealed_head *sealed, const struct audit_chain_key *key, bool *ret)
{
    *ret = false;
    if (sealed->epoch < key->epoch || sealed->epoch - key->epoch > LIMIT_AUDIT_HEAD_EPOCHS)
        return 0;
    struct audit_chain_key later = {.key = NULL};
    int r = audit_chain_key_copy(key, &later);
    if (r == 0)
        r = audit_chain_key_evolve_to(&later, sealed->epoch);
    if (r == 0) {
        unsigned char seal[AUDIT_SEAL_BYTES];
        audit_chain_seal_head(&later, &sealed->head, seal);
        *ret = sodium_memcmp(seal, sealed->seal, sizeof(seal)) == 0;
    }
    audit_chain_key_clear(&later);
    return r;
}

int audit_keyfile_head(const struct audit_keyfile *f, const struct audit_chain_key *key,
                       struct audit_head *ret)
{
    struct audit_head latest = {.sequence = 0};
    for (unsigned i = 0; i < N_HEADS; i++) {
        struct sealed_head sealed;
        bool fits = false;
        int r = read_head(f->fd, i, &sealed);
        if (r == 0)
            r = check_head(&sealed, key, &fits);
        if (r != 0)
            return r;
        if (fits && sealed.head.sequence > latest.sequence)
            latest = sealed.head;
    }
    *ret = latest;
    return 0;
}

int audit_keyfile_set_head(struct audit_keyfile *f, const struct audit_chain_key *key,
                           const struct audit_head *head)
{
    unsigned char bytes[HEAD_BYTES];
    unsigned char *at = put_number(bytes, key->epoch);
    at = put_number(at, (uint64_t)head->sequence);
    memcpy(at, head->hash, AUDIT_HASH_BYTES);
    audit_chain_seal_head(key, head, at + AUDIT_HASH_BYTES);
    unsigned other = (f->head + 1) % N_HEADS;
    int r = write_at(f->fd, head_offset(other), bytes, sizeof(bytes));
    if (r == 0)
        f->head = other;
    return r;
}

/* --- the file ---------------------------------------------------------------------------------------- */

static int new_keyfile(const char *path, struct audit_keyfile **ret)
{
    _cleanup_(audit_keyfile_freep) struct audit_keyfile *f = calloc(1, sizeof(*f));
    if (!f)
        return -ENOMEM;
    f->fd = -1;
    f->path = strdup(path);
    if (!f->path)
        return -ENOMEM;
    *ret = TAKE_PTR(f);
    return 0;
}

void audit_keyfile_free(struct audit_keyfile *f)
{
    if (!f)
        return;
    close_fd(f->fd);
    free(f->path);
    free(f);
}

static bool is_ours(const struct stat *st)
{
    return S_ISREG(st->st_mode) && st->st_uid == geteuid() && st->st_nlink == 1;
}

/* What cannot be opened for what it is, or for its mode, is broken; all else may pass. */
static int open_error(int error)
{
    switch (error) {
    case ENOENT:
        return AUDIT_KEYFILE_E_MISSING;
    case ELOOP:
    case EACCES:
    case EISDIR:
    case ENXIO:
        return AUDIT_KEYFILE_E_BROKEN;
    default:
        return -error;
    }
}

int audit_keyfile_open(const char *path, struct audit_keyfile **ret)
{
    _cleanup_(audit_keyfile_freep) struct audit_keyfile *f = NULL;
    int r = new_keyfile(path, &f);
    if (r < 0)
        return r;
    f->fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (f->fd < 0)
        return open_error(errno);
    struct stat st;
    if (fstat(f->fd, &st) < 0)
        return -errno;
    if (!is_ours(&st) || (st.st_mode & 07777) != 0600 || st.st_size != FILE_BYTES)
        return AUDIT_KEYFILE_E_BROKEN;
    r = find_latest_key(f);
    if (r == 0)
        r = find_last_head(f);
    if (r == 0)
        *ret = TAKE_PTR(f);
    return r;
}

int audit_keyfile_read(const struct audit_keyfile *f, struct audit_chain_key *ret)
{
    unsigned char bytes[KEY_BYTES];
    int r = read_at(f->fd, (size_t)f->key * BLOCK_BYTES, bytes, sizeof(bytes));
    if (r == 0)
        r = decode_key(bytes, ret);
    secret_wipe(bytes, sizeof(bytes));
    return r;
}

/* Whether the path still leads to the file that is open. */
static int check_place(const struct audit_keyfile *f)
{
    struct stat opened, there;
    if (fstat(f->fd, &opened) < 0)
        return -errno;
    if (lstat(f->path, &there) < 0)
        return errno == ENOENT ? AUDIT_KEYFILE_E_MISSING : -errno;
    return opened.st_dev == there.st_dev && opened.st_ino == there.st_ino ? 0 : AUDIT_KEYFILE_E_MISSING;
}

int audit_keyfile_begin_epoch(struct audit_keyfile *f, const struct audit_chain_key *key)
{
    int r = check_place(f);
    if (r != 0)
        return r;
    unsigned other = (f->key + 1) % N_KEYS;
    r = write_key(f->fd, other, key);
    if (r < 0)
        return r;
    if (fdatasync(f->fd) < 0)
        return -errno;
    f->key = other; /* not before: after a failure nobody knows what is there */
    return 0;
}

static bool is_blank(const unsigned char *bytes, size_t n)
{
    unsigned char any = 0;
    for (size_t i = 0; i < n; i++)
        any |= bytes[i];
    return any == 0;
}

int audit_keyfile_end_epochs(struct audit_keyfile *f)
{
    unsigned char bytes[BLOCK_BYTES];
    unsigned other = (f->key + 1) % N_KEYS;
    int r = read_at(f->fd, (size_t)other * BLOCK_BYTES, bytes, sizeof(bytes));
    bool blank = r == 0 && is_blank(bytes, sizeof(bytes));
    secret_wipe(bytes, sizeof(bytes));
    if (r != 0 || blank)
        return r;
    r = write_key(f->fd, other, NULL);
    if (r == 0 && fdatasync(f->fd) < 0)
        r = -errno;
    return r;
}

/* --- a new one --------------------------------------------------------------------------------------- */

static char *name_beside(const char *path, const char *tail)
{
    char *name;
    return asprintf(&name, "%s%s", path, tail) < 0 ? NULL : name;
}

static int fill(int fd, const struct audit_chain_key *key)
{
    static const unsigned char nothing[FILE_BYTES];
    if (fchmod(fd, 0600) < 0)
        return -errno;
    int r = write_at(fd, 0, nothing, sizeof(nothing));
    if (r == 0)
        r = write_key(fd, 0, key);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    return r;
}

/* What is at `path`, if it is a file of ours, for writing; else -1. */
static int open_old(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || !is_ours(&st) || fchmod(fd, 0600) < 0)
        return -1;
    return open(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* Best effort: a disk that writes elsewhere keeps the old bytes. The file does not become longer by it. */
static void forget_keys(const char *path)
{
    static const unsigned char nothing[N_KEYS * BLOCK_BYTES];
    _cleanup_close_ int fd = open_old(path);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return;
    size_t n = (uintmax_t)st.st_size < sizeof(nothing) ? (size_t)st.st_size : sizeof(nothing);
    if (write_at(fd, 0, nothing, n) == 0)
        (void)fdatasync(fd);
}

static int put_in_place(const char *path, const char *staged)
{
    _cleanup_free_ char *aside = name_beside(path, ".broken");
    if (!aside)
        return -ENOMEM;
    forget_keys(path);
    if (rename(path, aside) < 0 && errno != ENOENT)
        return -errno;
    if (rename(staged, path) < 0)
        return -errno;
    return folder_sync_of(path);
}

int audit_keyfile_make(const char *path, const struct audit_chain_key *key, struct audit_keyfile **ret)
{
    _cleanup_(audit_keyfile_freep) struct audit_keyfile *f = NULL;
    _cleanup_free_ char *staged = name_beside(path, ".new");
    int r = staged ? new_keyfile(path, &f) : -ENOMEM;
    if (r < 0)
        return r;
    (void)unlink(staged); /* of a try that was cut short */
    f->fd = open(staged, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (f->fd < 0)
        return -errno;
    r = fill(f->fd, key);
    if (r == 0)
        r = put_in_place(path, staged);
    if (r < 0) {
        (void)unlink(staged);
        return r;
    }
    *ret = TAKE_PTR(f);
    return 0;
}
