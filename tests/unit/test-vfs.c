/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/test-vfs.h"

#include <assert.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* Files are known by device and inode, since the store makes its database under another name. The content at
 * the first open counts as synced unless the file is empty. */

#define FILES_MAX 64

struct image {
    dev_t device;
    ino_t inode;
    char name[512];
    unsigned char *bytes; /* as of the last sync; NULL: never synced */
    size_t n;
    bool used;
};

struct file {
    sqlite3_file base;
    struct image *image; /* NULL for temporary files */
    sqlite3_file *real;  /* behind this struct */
};

static struct {
    pthread_mutex_t mutex;
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    struct image images[FILES_MAX];
    unsigned n_writes, n_syncs;
    unsigned fail_at; /* counts down to 1, which is now; 0: off */
    int code;
    bool sticky;
    unsigned sync_msec;
} test = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static int next_fault(void)
{
    int code = SQLITE_OK;
    pthread_mutex_lock(&test.mutex);
    if (test.fail_at == 1) {
        code = test.code;
        test.fail_at = test.sticky ? 1 : 0;
    } else if (test.fail_at > 1) {
        test.fail_at--;
    }
    pthread_mutex_unlock(&test.mutex);
    return code;
}

static void count(unsigned *counter)
{
    pthread_mutex_lock(&test.mutex);
    ++*counter;
    pthread_mutex_unlock(&test.mutex);
}

/* Remembers the file's present content as synced. */
static int take_image(struct file *f)
{
    sqlite3_int64 size;
    int code = f->real->pMethods->xFileSize(f->real, &size);
    if (code != SQLITE_OK)
        return code;
    unsigned char *bytes = malloc((size_t)size + 1);
    assert(bytes);
    if (size > 0)
        code = f->real->pMethods->xRead(f->real, bytes, (int)size, 0);
    if (code != SQLITE_OK) {
        free(bytes);
        return code;
    }
    pthread_mutex_lock(&test.mutex);
    free(f->image->bytes);
    f->image->bytes = bytes;
    f->image->n = (size_t)size;
    pthread_mutex_unlock(&test.mutex);
    return SQLITE_OK;
}

static struct image *find_image(const char *name, bool *ret_new)
{
    struct stat st;
    if (stat(name, &st) < 0)
        return NULL;
    struct image *found = NULL;
    pthread_mutex_lock(&test.mutex);
    for (int i = 0; i < FILES_MAX && !found; i++)
        if (test.images[i].used && test.images[i].device == st.st_dev && test.images[i].inode == st.st_ino)
            found = &test.images[i];
    *ret_new = !found;
    for (int i = 0; i < FILES_MAX && !found; i++)
        if (!test.images[i].used)
            found = &test.images[i];
    assert(found);
    if (*ret_new)
        *found = (struct image){.device = st.st_dev, .inode = st.st_ino, .used = true};
    (void)snprintf(found->name, sizeof(found->name), "%s", name);
    pthread_mutex_unlock(&test.mutex);
    return found;
}

/* --- file methods --------------------------------------------------------------------------------------- */

#define REAL(base) (((struct file *)(base))->real)
#define CALL(base, method, ...) REAL(base)->pMethods->method(REAL(base), ##__VA_ARGS__)

static int file_close(sqlite3_file *base)
{
    return CALL(base, xClose);
}

static int file_read(sqlite3_file *base, void *buffer, int n, sqlite3_int64 offset)
{
    return CALL(base, xRead, buffer, n, offset);
}

static int file_write(sqlite3_file *base, const void *bytes, int n, sqlite3_int64 offset)
{
    count(&test.n_writes);
    int code = next_fault();
    return code != SQLITE_OK ? code : CALL(base, xWrite, bytes, n, offset);
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    count(&test.n_writes);
    int code = next_fault();
    return code != SQLITE_OK ? code : CALL(base, xTruncate, size);
}

static int file_sync(sqlite3_file *base, int flags)
{
    struct file *f = (struct file *)base;
    count(&test.n_syncs);
    pthread_mutex_lock(&test.mutex);
    struct timespec pause = {.tv_sec = test.sync_msec / 1000, .tv_nsec = test.sync_msec % 1000 * 1000000L};
    pthread_mutex_unlock(&test.mutex);
    if (pause.tv_sec > 0 || pause.tv_nsec > 0)
        (void)nanosleep(&pause, NULL);
    int code = next_fault();
    if (code == SQLITE_OK)
        code = CALL(base, xSync, flags);
    return code == SQLITE_OK && f->image ? take_image(f) : code;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *ret)
{
    return CALL(base, xFileSize, ret);
}

static int file_lock(sqlite3_file *base, int level)
{
    return CALL(base, xLock, level);
}

static int file_unlock(sqlite3_file *base, int level)
{
    return CALL(base, xUnlock, level);
}

static int file_check_lock(sqlite3_file *base, int *ret)
{
    return CALL(base, xCheckReservedLock, ret);
}

static int file_control(sqlite3_file *base, int op, void *arg)
{
    return CALL(base, xFileControl, op, arg);
}

static int file_sector_size(sqlite3_file *base)
{
    return CALL(base, xSectorSize);
}

static int file_characteristics(sqlite3_file *base)
{
    return CALL(base, xDeviceCharacteristics);
}

static int file_shm_map(sqlite3_file *base, int page, int size, int extend, void volatile **ret)
{
    return CALL(base, xShmMap, page, size, extend, ret);
}

static int file_shm_lock(sqlite3_file *base, int offset, int n, int flags)
{
    return CALL(base, xShmLock, offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *base)
{
    CALL(base, xShmBarrier);
}

static int file_shm_unmap(sqlite3_file *base, int delete)
{
    return CALL(base, xShmUnmap, delete);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

/* --- VFS methods ---------------------------------------------------------------------------------------- */

static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *base, int flags, int *ret_flags)
{
    (void)vfs;
    struct file *f = (struct file *)base;
    *f = (struct file){.real = (sqlite3_file *)(f + 1)};
    int code = test.real->xOpen(test.real, name, f->real, flags, ret_flags);
    if (code != SQLITE_OK)
        return code;
    f->base.pMethods = &methods;

    bool is_new = false;
    f->image = name ? find_image(name, &is_new) : NULL;
    sqlite3_int64 size = 0;
    if (f->image && is_new && f->real->pMethods->xFileSize(f->real, &size) == SQLITE_OK && size > 0)
        return take_image(f);
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs;
    pthread_mutex_lock(&test.mutex);
    for (int i = 0; i < FILES_MAX; i++)
        if (test.images[i].used && strcmp(test.images[i].name, name) == 0) {
            free(test.images[i].bytes);
            test.images[i] = (struct image){.used = false};
        }
    pthread_mutex_unlock(&test.mutex);
    return test.real->xDelete(test.real, name, sync);
}

void test_vfs_register(void)
{
    if (test.real)
        return;
    test.real = sqlite3_vfs_find(NULL);
    assert(test.real);
    test.vfs = *test.real; /* what is not replaced works on the real one's data */
    test.vfs.pNext = NULL;
    test.vfs.zName = TEST_VFS;
    test.vfs.szOsFile = (int)sizeof(struct file) + test.real->szOsFile;
    test.vfs.xOpen = vfs_open;
    test.vfs.xDelete = vfs_delete;
    int code = sqlite3_vfs_register(&test.vfs, 0);
    assert(code == SQLITE_OK);
    (void)code;
}

void test_vfs_reset(void)
{
    pthread_mutex_lock(&test.mutex);
    for (int i = 0; i < FILES_MAX; i++)
        free(test.images[i].bytes);
    memset(test.images, 0, sizeof(test.images));
    test.n_writes = test.n_syncs = test.fail_at = test.sync_msec = 0;
    pthread_mutex_unlock(&test.mutex);
}

void test_vfs_fail_at(unsigned n, int code, bool sticky)
{
    pthread_mutex_lock(&test.mutex);
    test.fail_at = n;
    test.code = code;
    test.sticky = sticky;
    pthread_mutex_unlock(&test.mutex);
}

void test_vfs_slow_sync(unsigned msec)
{
    pthread_mutex_lock(&test.mutex);
    test.sync_msec = msec;
    pthread_mutex_unlock(&test.mutex);
}

static unsigned get(const unsigned *counter)
{
    pthread_mutex_lock(&test.mutex);
    unsigned n = *counter;
    pthread_mutex_unlock(&test.mutex);
    return n;
}

unsigned test_vfs_count_writes(void)
{
    return get(&test.n_writes);
}

unsigned test_vfs_count_syncs(void)
{
    return get(&test.n_syncs);
}

void test_vfs_save_durable(const char *path, const char *to)
{
    size_t n = strlen(path);
    pthread_mutex_lock(&test.mutex);
    for (int i = 0; i < FILES_MAX; i++) {
        const struct image *image = &test.images[i];
        if (!image->used || !image->bytes || strncmp(image->name, path, n) != 0)
            continue;
        char name[1024];
        (void)snprintf(name, sizeof(name), "%s%s", to, image->name + n);
        FILE *out = fopen(name, "we");
        assert(out);
        size_t written = fwrite(image->bytes, 1, image->n, out);
        assert(written == image->n);
        (void)written;
        (void)fclose(out);
    }
    pthread_mutex_unlock(&test.mutex);
}
