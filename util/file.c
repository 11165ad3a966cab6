/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Two kinds of files: those of the machine, which count for who owns and may write them, and small memory
 * files, which count for being sealed. A descriptor that came from elsewhere is never read before it is known
 * that a read cannot block. */

#include "util/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define SEALS_AGAINST_CHANGE (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW)

int file_read_some(int fd, char *buffer, size_t size, size_t *ret_n)
{
    size_t n = 0;
    while (n < size) {
        ssize_t got = read(fd, buffer + n, size - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    *ret_n = n;
    return 0;
}

static int write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t put = write(fd, bytes, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        bytes += put;
        n -= (size_t)put;
    }
    return 0;
}

static int open_regular(const char *path, int *ret_fd, struct stat *ret_stat)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    if (fstat(fd, ret_stat) < 0)
        return -errno;
    if (!S_ISREG(ret_stat->st_mode))
        return -EPERM;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int read_text(int fd, size_t max, char **ret_text, size_t *ret_n)
{
    if (max > SIZE_MAX - 2)
        return -EINVAL;
    /* One buffer of the full size: growing one would leave copies of what may be a secret behind. */
    char *text = malloc(max + 2);
    if (!text)
        return -ENOMEM;

    size_t n = 0;
    int r = file_read_some(fd, text, max + 1, &n);
    if (r == 0 && n > max)
        r = -EFBIG;
    if (r < 0) {
        explicit_bzero(text, max + 2);
        free(text);
        return r;
    }
    text[n] = '\0';
    *ret_text = text;
    *ret_n = n;
    return 0;
}

int file_read(const char *path, size_t max, char **ret_text, size_t *ret_n)
{
    _cleanup_close_ int fd = -1;
    struct stat st;
    int r = open_regular(path, &fd, &st);
    if (r < 0)
        return r;
    return read_text(fd, max, ret_text, ret_n);
}

static bool is_trusted(const struct stat *st)
{
    return st->st_uid == 0 && (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

int file_read_trusted(const char *path, size_t max, char **ret_text, size_t *ret_n)
{
    _cleanup_close_ int fd = -1;
    struct stat st = {0};
    int r = open_regular(path, &fd, &st);
    if (r < 0)
        return r;
    if (!is_trusted(&st))
        return -EPERM;
    return read_text(fd, max, ret_text, ret_n);
}

static void closedirp(DIR **d)
{
    if (*d)
        (void)closedir(*d);
}

bool file_is_listed(const char *name, const char *suffix)
{
    size_t n = strlen(name);
    size_t m = strlen(suffix);
    return name[0] != '.' && n >= m && strcmp(name + n - m, suffix) == 0;
}

static int add_path(struct strv *paths, const char *dir, const char *name)
{
    _cleanup_free_ char *path = NULL;
    if (asprintf(&path, "%s/%s", dir, name) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    return strv_add(paths, path);
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_names(DIR *d, const char *dir, const char *suffix, size_t max, struct strv *paths)
{
    for (size_t n = 0;;) {
        errno = 0;
        const struct dirent *entry = readdir(d);
        if (!entry)
            return -errno;
        if (!file_is_listed(entry->d_name, suffix))
            continue;
        if (n++ >= max)
            return -E2BIG;
        int r = add_path(paths, dir, entry->d_name);
        if (r < 0)
            return r;
    }
}

int file_list(const char *dir, const char *suffix, size_t max, struct strv *paths)
{
    _cleanup_(closedirp) DIR *d = opendir(dir);
    struct stat st;
    if (!d)
        return errno == ENOENT ? 0 : -errno;
    if (fstat(dirfd(d), &st) < 0)
        return -errno;
    if (!is_trusted(&st))
        return -EPERM;

    size_t before = paths->n;
    int r = read_names(d, dir, suffix, max, paths);
    if (r < 0) {
        while (paths->n > before) {
            free(paths->items[--paths->n]);
            paths->items[paths->n] = NULL;
        }
        return r;
    }
    if (paths->n > before)
        qsort(paths->items + before, paths->n - before, sizeof(*paths->items), compare_strings);
    return 0;
}

int file_new_sealed(const char *name, const void *bytes, size_t n, int *ret_fd)
{
    _cleanup_close_ int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    int r = write_all(fd, bytes, n);
    if (r < 0)
        return r;
    /* Readable by whoever was handed a descriptor, also through /proc/self/fd; executable by nobody. */
    if (fchmod(fd, S_IRUSR | S_IRGRP | S_IROTH) < 0)
        return -errno;
    if (fcntl(fd, F_ADD_SEALS, SEALS_AGAINST_CHANGE | F_SEAL_SEAL) < 0)
        return -errno;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int file_reopen(int fd, int *ret_fd)
{
    char path[sizeof("/proc/self/fd/") + 3 * sizeof(fd)];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int again = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (again < 0)
        return -errno;
    *ret_fd = again;
    return 0;
}

int file_read_sealed(int fd, void *buffer, size_t max, size_t *ret_n)
{
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS_AGAINST_CHANGE) != SEALS_AGAINST_CHANGE)
        return -EBADF;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size <= 0)
        return -EBADF;
    if ((uintmax_t)st.st_size > max)
        return -EFBIG;

    size_t size = (size_t)st.st_size;
    for (size_t n = 0; n < size;) {
        /* The offset is shared with the peer, who may move it at any time. */
        ssize_t got = pread(fd, (char *)buffer + n, size - n, (off_t)n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return -EBADF;
        n += (size_t)got;
    }
    *ret_n = size;
    return 0;
}
