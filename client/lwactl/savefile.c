/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/savefile.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define TRIES 16

int savefile_write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t r = write(fd, bytes, n);
        if (r < 0 && errno != EINTR)
            return -errno;
        if (r > 0) {
            bytes += r;
            n -= (size_t)r;
        }
    }
    return 0;
}

/* Opens the folder of `path`; *ret_name points into `path`. */
static int open_folder(const char *path, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *folder =
        slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    if (!folder)
        return -ENOMEM;
    *ret_name = slash ? slash + 1 : path;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* A new file in the folder, under a name nobody can guess; *ret_name is to be freed. */
static int open_beside(int folder, char **ret_name)
{
    for (int i = 0; i < TRIES; i++) {
        _cleanup_free_ char *name = NULL;
        unsigned long long random;
        if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
            return -EIO;
        if (asprintf(&name, ".lwactl-%016llx", random) < 0) {
            name = NULL; /* asprintf() leaves it undefined */
            return -ENOMEM;
        }
        int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0) {
            *ret_name = TAKE_PTR(name);
            return fd;
        }
        if (errno != EEXIST)
            return -errno;
    }
    return -EEXIST;
}

static int fill(int fd, const char *bytes, size_t n)
{
    int r = savefile_write_all(fd, bytes, n);
    if (r == 0 && (fchmod(fd, 0600) < 0 || fsync(fd) < 0))
        r = -errno;
    return r;
}

static int replace(int folder, const char *name, const char *bytes, size_t n)
{
    struct stat st;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode))
        return SAVEFILE_E_OTHER;

    _cleanup_free_ char *beside = NULL;
    _cleanup_close_ int fd = open_beside(folder, &beside);
    if (fd < 0 || !beside)
        return fd;
    int r = fill(fd, bytes, n);
    if (r == 0 && renameat(folder, beside, folder, name) < 0)
        r = -errno;
    if (r < 0) {
        (void)unlinkat(folder, beside, 0);
        return r;
    }
    /* Some file systems cannot sync a folder, and say so with EINVAL. */
    return fsync(folder) < 0 && errno != EINVAL ? -errno : 0;
}

int savefile_replace(const char *path, const char *bytes, size_t n)
{
    const char *name;
    _cleanup_close_ int folder = open_folder(path, &name);
    if (folder < 0)
        return folder;
    if (!*name)
        return -EISDIR;

    sigset_t ending, before;
    (void)sigemptyset(&ending);
    (void)sigaddset(&ending, SIGINT);
    (void)sigaddset(&ending, SIGTERM);
    (void)sigaddset(&ending, SIGHUP);
    (void)sigaddset(&ending, SIGQUIT);
    (void)sigprocmask(SIG_BLOCK, &ending, &before);
    int r = replace(folder, name, bytes, n);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return r;
}
