/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"

#include <string.h>
#include <sys/stat.h>

/* SQLite does not look at the names of files that it has open. It goes on writing, and reports commits as
 * durable, when someone has removed the WAL ("it was so large") or put another database in place: after a
 * restart all of that is gone (I3, I4). So the worker looks, after each commit: three stat(). */

#define PATH_BYTES_MAX 4096

/* STORE_FILES_E_WAL: there is none; its size otherwise in *ret_size. */
static int look(const char *path, const char *tail, struct store_file *ret, off_t *ret_size)
{
    char name[PATH_BYTES_MAX];
    int n = snprintf(name, sizeof(name), "%s%s", path, tail);
    if (n < 0 || (size_t)n >= sizeof(name))
        return -ENAMETOOLONG;
    struct stat st;
    if (stat(name, &st) < 0)
        return errno == ENOENT ? STORE_FILES_E_WAL : -errno;
    *ret = (struct store_file){st.st_dev, st.st_ino};
    *ret_size = st.st_size;
    return 0;
}

int store_files_note(struct store_files *ret, const char *path)
{
    off_t size;
    int r = look(path, "", &ret->database, &size);
    if (r == 0)
        r = look(path, "-wal", &ret->wal, &size);
    if (r == 0)
        r = look(path, "-shm", &ret->shm, &size);
    return r > 0 ? -ESTALE : r;
}

static bool is_same(const struct store_file *a, const struct store_file *b)
{
    return a->device == b->device && a->inode == b->inode;
}

int store_files_check(const struct store_files *files, const char *path)
{
    struct store_file found = {0};
    off_t size = 0;
    int r = look(path, "", &found, &size);
    if (r != 0 || !is_same(&found, &files->database))
        return r < 0 ? r : -ESTALE;

    int wal = look(path, "-wal", &found, &size);
    if (wal < 0)
        return wal;
    if (wal == 0 && !is_same(&found, &files->wal)) {
        if (size > 0) /* not ours: it would be replayed into the database */
            return -ESTALE;
        wal = STORE_FILES_E_WAL;
    }
    r = look(path, "-shm", &found, &size);
    if (r == 0 && !is_same(&found, &files->shm))
        r = STORE_FILES_E_WAL;
    return r != 0 ? r : wal;
}
