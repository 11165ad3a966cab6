/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/keys.h"
#include "util/folder.h"

#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

/* A key is read only from a regular file of exactly its size that nobody else can read. Only "it is not
 * there" counts as missing: any other failure is handed up, so that a key that cannot be read just now is
 * never replaced by a new one.
 *
 * Making a key: random bytes in a temporary file beside it, mode 0400, fsync; rename that refuses to replace;
 * fsync of the folder. Whoever loses the race uses the winner's key. */

/* systemd lets a service user read a credential by an access control list, whose mask shows as the group's
 * read bit: others would need the last three bits, or one of the write bits. */
#define CREDENTIAL_FORBIDDEN 0037
#define FILE_FORBIDDEN 0077

static bool is_fit(const struct stat *st, mode_t forbidden)
{
    return S_ISREG(st->st_mode) && st->st_size == KEYS_MASTER_BYTES && !(st->st_mode & forbidden) &&
           (st->st_uid == 0 || st->st_uid == geteuid());
}

static int read_fully(int fd, unsigned char *buffer, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t got = read(fd, buffer + at, n - at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return KEYS_E_MALFORMED;
        at += (size_t)got;
    }
    return 0;
}

static int write_fully(int fd, const unsigned char *bytes, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t put = write(fd, bytes + at, n - at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        at += (size_t)put;
    }
    return 0;
}

static int load(const char *path, mode_t forbidden, struct secret **ret)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT                     ? KEYS_E_MISSING
               : errno == ELOOP || errno == EACCES ? KEYS_E_MALFORMED
                                                   : -errno;

    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!is_fit(&st, forbidden))
        return KEYS_E_MALFORMED;

    unsigned char bytes[KEYS_MASTER_BYTES];
    int r = read_fully(fd, bytes, sizeof(bytes));
    if (r == 0)
        r = secret_new(bytes, sizeof(bytes), ret);
    secret_wipe(bytes, sizeof(bytes));
    return r;
}

/* -EEXIST when there is one already. */
static int rename_new(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    /* Not every file system can refuse to replace; a hard link always does. */
    if (link(from, to) < 0 || unlink(from) < 0)
        return -errno;
    return 0;
}

static int write_key(int fd, const struct secret *key)
{
    if (fchmod(fd, 0400) < 0)
        return -errno;
    int r = write_fully(fd, secret_bytes(key), secret_size(key));
    if (r < 0)
        return r;
    return fsync(fd) < 0 ? -errno : 0;
}

static int create(const char *path, struct secret **ret)
{
    _cleanup_(secret_freep) struct secret *key = NULL;
    int r = secret_new_random(KEYS_MASTER_BYTES, &key);
    if (r < 0)
        return r;

    _cleanup_free_ char *temporary = NULL;
    if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
        temporary = NULL;
        return -ENOMEM;
    }
    _cleanup_close_ int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return -errno;

    r = write_key(fd, key);
    if (r == 0)
        r = rename_new(temporary, path);
    if (r < 0) {
        (void)unlink(temporary);
        return r;
    }
    r = folder_sync_of(path);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(key);
    return 0;
}

/* Who can write to the folder can put another key in place, or take this one away. */
static int check_folder(const char *file)
{
    const char *slash = strrchr(file, '/');
    _cleanup_free_ char *folder = slash ? strndup(file, (size_t)(slash - file) + 1) : strdup(".");
    struct stat st;
    if (!folder)
        return -ENOMEM;
    if (stat(folder, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : -errno; /* the file is not there either */
    bool is_own = st.st_uid == 0 || st.st_uid == geteuid();
    return is_own && !(st.st_mode & (S_IWGRP | S_IWOTH)) ? 0 : KEYS_E_MALFORMED;
}

int keys_load(const struct key_source *source, bool may_create, struct secret **ret)
{
    /* A credential that is configured and not there must not turn into a key file that nobody asked for. */
    if (source->credential_path)
        return load(source->credential_path, CREDENTIAL_FORBIDDEN, ret);
    if (!source->file)
        return KEYS_E_MISSING;

    int r = check_folder(source->file);
    if (r == 0)
        r = load(source->file, FILE_FORBIDDEN, ret);
    if (r != KEYS_E_MISSING || !may_create)
        return r;
    r = create(source->file, ret);
    return r == -EEXIST ? load(source->file, FILE_FORBIDDEN, ret) : r;
}

/* --- a new key --------------------------------------------------------------------------------------- */

static char *name_beside(const char *file, const char *tail)
{
    char *name;
    return asprintf(&name, "%s%s", file, tail) < 0 ? NULL : name;
}

/* Whole under another name first: what is called FILE.new is a whole key. */
static int write_staged(const char *temporary, const char *staged, const struct secret *key)
{
    (void)unlink(temporary); /* of a try that was cut short: nothing was sealed with it */
    _cleanup_close_ int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int r = write_key(fd, key);
    if (r == 0)
        r = rename_new(temporary, staged);
    if (r < 0) {
        (void)unlink(temporary);
        return r;
    }
    return folder_sync_of(staged);
}

static int stage(const char *file, const struct secret *key)
{
    _cleanup_free_ char *staged = name_beside(file, ".new"), *temporary = name_beside(file, ".new.part");
    return staged && temporary ? write_staged(temporary, staged, key) : -ENOMEM;
}

int keys_load_staged(const char *file, struct secret **ret)
{
    _cleanup_free_ char *staged = name_beside(file, ".new");
    return staged ? load(staged, FILE_FORBIDDEN, ret) : -ENOMEM;
}

bool keys_is_staged(const char *file)
{
    _cleanup_free_ char *staged = name_beside(file, ".new"), *temporary = name_beside(file, ".new.part");
    struct stat st;
    return (staged && lstat(staged, &st) == 0) || (temporary && lstat(temporary, &st) == 0);
}

int keys_stage(const char *file, const struct secret *current, struct secret **ret)
{
    _cleanup_(secret_freep) struct secret *key = NULL;
    int r = keys_load_staged(file, &key);
    if (r == 0 && secret_equal(key, current)) {
        r = keys_put_in_place(file, current);
        if (r < 0)
            return r;
        secret_free(TAKE_PTR(key));
        r = KEYS_E_MISSING;
    }
    if (r == KEYS_E_MISSING) {
        r = secret_new_random(KEYS_MASTER_BYTES, &key);
        if (r == 0)
            r = stage(file, key);
    }
    if (r == 0)
        *ret = TAKE_PTR(key);
    return r;
}

/* For writing. The file is of mode 0400; its owner may change that, and nobody else can overwrite it. */
static int open_for_overwriting(const char *file)
{
    _cleanup_close_ int fd = open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1 || fchmod(fd, 0600) < 0)
        return -1;
    return open(file, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* Best effort: a file system or a disk that writes elsewhere keeps the old bytes (SECURITY.md). */
static void overwrite(int fd)
{
    static const unsigned char nothing[KEYS_MASTER_BYTES];
    if (fd >= 0 && write_fully(fd, nothing, sizeof(nothing)) == 0)
        (void)fsync(fd);
}

int keys_put_in_place(const char *file, const struct secret *key)
{
    _cleanup_free_ char *staged = name_beside(file, ".new");
    if (!staged)
        return -ENOMEM;
    _cleanup_close_ int old = open_for_overwriting(file);
    int r = rename(staged, file) < 0 ? -errno : 0;
    if (r == -ENOENT) {
        r = stage(file, key);
        if (r == 0 && rename(staged, file) < 0)
            r = -errno;
    }
    if (r == 0)
        r = folder_sync_of(file);
    if (r == 0)
        overwrite(old); /* only now: until then it may be needed */
    return r;
}

int keys_discard_staged(const char *file)
{
    static const char *const tails[] = {".new", ".new.part"};
    for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
        _cleanup_free_ char *name = name_beside(file, tails[i]);
        if (name)
            (void)unlink(name);
    }
    return folder_sync_of(file);
}

void keys_id(const struct secret *key, unsigned char ret_id[KEYS_ID_BYTES])
{
    static const unsigned char personal[crypto_generichash_blake2b_PERSONALBYTES] = "lwa-broker keyid";
    (void)crypto_generichash_blake2b_salt_personal(ret_id, KEYS_ID_BYTES, NULL, 0, secret_bytes(key),
                                                   secret_size(key), NULL, personal);
}
