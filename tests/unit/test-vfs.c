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
 * the first open counts as synced unless the file is empty.
 *
 * When writes are held, `now` is what the process sees, and the file itself what was synced: at a sync what
 * was written since the last one goes out, in the order in which it came. */

#define FILES_MAX 64

struct span {
    size_t offset, n;
};

struct image {
    dev_t device;
    ino_t inode;
    char name[512];
    unsigned char *bytes; /* as of the last sync; NULL: never synced */
    size_t n;
    unsigned n_open;
    bool used;

    unsigned char *now; /* NULL: not held */
    size_t n_now, n_allocated;
    size_t n_least; /* the shortest it was since the last sync */
    struct span *dirty;
    size_t n_dirty, n_dirty_allocated;
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
    struct test_vfs_control own;
    struct test_vfs_control *control;
    unsigned random;
} test = {.mutex = PTHREAD_MUTEX_INITIALIZER, .control = &test.own};

/* Counts one more of its kind, and tells whether it is to fail. */
static int next_fault(enum test_vfs_kind kind, uint32_t *counter)
{
    int code = SQLITE_OK;
    pthread_mutex_lock(&test.mutex);
    struct test_vfs_control *c = test.control;
    ++*counter;
    if (c->fail_at > 0 && (c->kinds & kind)) {
        if (c->fail_at == 1) {
            code = (int)c->code;
            c->n_failed++;
            c->fail_at = c->sticky ? 1 : 0;
        } else {
            c->fail_at--;
        }
    }
    pthread_mutex_unlock(&test.mutex);
    return code;
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

/* --- held writes -------------------------------------------------------------------------------------- */

/* All of these with the mutex held. */

static void reserve(struct image *image, size_t n)
{
    if (n > image->n_allocated) {
        image->n_allocated = 2 * n + 4096;
        image->now = realloc(image->now, image->n_allocated);
        assert(image->now);
    }
    if (image->now && n > image->n_now) {
        memset(image->now + image->n_now, 0, n - image->n_now);
        image->n_now = n;
    }
}

static int hold_begin(struct file *f)
{
    struct image *image = f->image;
    sqlite3_int64 size;
    int code = f->real->pMethods->xFileSize(f->real, &size);
    if (code != SQLITE_OK)
        return code;
    reserve(image, (size_t)size);
    if (!image->now)
        reserve(image, 1);
    image->n_now = image->n_least = (size_t)size;
    return size > 0 ? f->real->pMethods->xRead(f->real, image->now, (int)size, 0) : SQLITE_OK;
}

static void hold_end(struct image *image)
{
    free(image->now);
    free(image->dirty);
    image->now = NULL;
    image->dirty = NULL;
    image->n_now = image->n_allocated = image->n_dirty = image->n_dirty_allocated = 0;
}

static int hold_read(const struct image *image, void *buffer, size_t n, size_t offset)
{
    size_t there = offset < image->n_now ? image->n_now - offset : 0;
    if (there > n)
        there = n;
    if (there > 0)
        memcpy(buffer, image->now + offset, there);
    memset((unsigned char *)buffer + there, 0, n - there);
    return there == n ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

/* A disk may write at any time what it was not yet asked to. */
static bool leaks(void)
{
    test.random = test.random * 1103515245 + 12345;
    return (test.random >> 16) % 100 < test.control->leak_percent;
}

static int hold_write(struct file *f, const void *bytes, size_t n, size_t offset)
{
    struct image *image = f->image;
    if (image->n_dirty == image->n_dirty_allocated) {
        image->n_dirty_allocated = 2 * image->n_dirty_allocated + 64;
        image->dirty = realloc(image->dirty, image->n_dirty_allocated * sizeof(image->dirty[0]));
        assert(image->dirty);
    }
    reserve(image, offset + n);
    memcpy(image->now + offset, bytes, n);
    image->dirty[image->n_dirty++] = (struct span){offset, n};
    return leaks() ? f->real->pMethods->xWrite(f->real, bytes, (int)n, (sqlite3_int64)offset) : SQLITE_OK;
}

static int hold_truncate(struct image *image, size_t n)
{
    reserve(image, n);
    image->n_now = n;
    if (n < image->n_least)
        image->n_least = n;
    return SQLITE_OK;
}

/* The file becomes what the process sees. */
static int hold_flush(struct file *f)
{
    struct image *image = f->image;
    sqlite3_int64 size;
    int code = f->real->pMethods->xFileSize(f->real, &size);
    if (code == SQLITE_OK && (size_t)size > image->n_least)
        code = f->real->pMethods->xTruncate(f->real, (sqlite3_int64)image->n_least);
    for (size_t i = 0; code == SQLITE_OK && i < image->n_dirty; i++) {
        struct span s = image->dirty[i];
        if (s.offset >= image->n_now)
            continue;
        size_t n = s.n < image->n_now - s.offset ? s.n : image->n_now - s.offset;
        code = f->real->pMethods->xWrite(f->real, image->now + s.offset, (int)n, (sqlite3_int64)s.offset);
    }
    if (code == SQLITE_OK) {
        image->n_dirty = 0;
        image->n_least = image->n_now;
    }
    return code;
}

static bool is_held(const struct file *f)
{
    return f->image && f->image->now;
}

/* --- images ------------------------------------------------------------------------------------------- */

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
    struct file *f = (struct file *)base;
    pthread_mutex_lock(&test.mutex);
    if (f->image && --f->image->n_open == 0 && f->image->now) {
        (void)hold_flush(f); /* the system would write it some day; only a kill forgets it */
        hold_end(f->image);
    }
    pthread_mutex_unlock(&test.mutex);
    return CALL(base, xClose);
}

static int file_read(sqlite3_file *base, void *buffer, int n, sqlite3_int64 offset)
{
    struct file *f = (struct file *)base;
    int code = next_fault(TEST_VFS_READ, &test.control->n_reads);
    if (code != SQLITE_OK)
        return code;
    if (!is_held(f))
        return CALL(base, xRead, buffer, n, offset);
    pthread_mutex_lock(&test.mutex);
    code = hold_read(f->image, buffer, (size_t)n, (size_t)offset);
    pthread_mutex_unlock(&test.mutex);
    return code;
}

static int file_write(sqlite3_file *base, const void *bytes, int n, sqlite3_int64 offset)
{
    struct file *f = (struct file *)base;
    int code = next_fault(TEST_VFS_WRITE, &test.control->n_writes);
    if (code != SQLITE_OK)
        return code;
    if (!is_held(f))
        return CALL(base, xWrite, bytes, n, offset);
    pthread_mutex_lock(&test.mutex);
    code = hold_write(f, bytes, (size_t)n, (size_t)offset);
    pthread_mutex_unlock(&test.mutex);
    return code;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    struct file *f = (struct file *)base;
    int code = next_fault(TEST_VFS_WRITE, &test.control->n_writes);
    if (code != SQLITE_OK)
        return code;
    if (!is_held(f))
        return CALL(base, xTruncate, size);
    pthread_mutex_lock(&test.mutex);
    code = hold_truncate(f->image, (size_t)size);
    pthread_mutex_unlock(&test.mutex);
    return code;
}

static int file_sync(sqlite3_file *base, int flags)
{
    struct file *f = (struct file *)base;
    int code = next_fault(TEST_VFS_SYNC, &test.control->n_syncs);
    pthread_mutex_lock(&test.mutex);
    unsigned msec = test.control->sync_msec;
    if (code == SQLITE_OK && is_held(f))
        code = hold_flush(f);
    pthread_mutex_unlock(&test.mutex);
    struct timespec pause = {.tv_sec = msec / 1000, .tv_nsec = msec % 1000 * 1000000L};
    if (msec > 0)
        (void)nanosleep(&pause, NULL);
    if (code == SQLITE_OK)
        code = CALL(base, xSync, flags);
    return code == SQLITE_OK && f->image && !f->image->now ? take_image(f) : code;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *ret)
{
    struct file *f = (struct file *)base;
    if (!is_held(f))
        return CALL(base, xFileSize, ret);
    pthread_mutex_lock(&test.mutex);
    *ret = (sqlite3_int64)f->image->n_now;
    pthread_mutex_unlock(&test.mutex);
    return SQLITE_OK;
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
    int code = next_fault(TEST_VFS_OPEN, &test.control->n_opens);
    if (code == SQLITE_OK)
        code = test.real->xOpen(test.real, name, f->real, flags, ret_flags);
    if (code != SQLITE_OK)
        return code;
    f->base.pMethods = &methods;
    bool is_new = false;
    f->image = name ? find_image(name, &is_new) : NULL;
    if (!f->image)
        return SQLITE_OK;

    pthread_mutex_lock(&test.mutex);
    bool is_first = f->image->n_open++ == 0;
    bool holds = test.control->hold;
    if (holds && is_first)
        code = hold_begin(f);
    pthread_mutex_unlock(&test.mutex);
    sqlite3_int64 size = 0;
    if (!holds && is_new && f->real->pMethods->xFileSize(f->real, &size) == SQLITE_OK && size > 0)
        code = take_image(f);
    return code;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs;
    pthread_mutex_lock(&test.mutex);
    for (int i = 0; i < FILES_MAX; i++)
        if (test.images[i].used && strcmp(test.images[i].name, name) == 0) {
            free(test.images[i].bytes);
            hold_end(&test.images[i]);
            test.images[i] = (struct image){.used = false};
        }
    pthread_mutex_unlock(&test.mutex);
    return test.real->xDelete(test.real, name, sync);
}

static void make_vfs(bool is_default)
{
    test.real = sqlite3_vfs_find(NULL);
    assert(test.real);
    test.vfs = *test.real; /* what is not replaced works on the real one's data */
    test.vfs.pNext = NULL;
    test.vfs.zName = TEST_VFS;
    test.vfs.szOsFile = (int)sizeof(struct file) + test.real->szOsFile;
    test.vfs.xOpen = vfs_open;
    test.vfs.xDelete = vfs_delete;
    int code = sqlite3_vfs_register(&test.vfs, is_default);
    assert(code == SQLITE_OK);
    (void)code;
}

void test_vfs_register(void)
{
    if (!test.real)
        make_vfs(false);
}

void test_vfs_register_default(struct test_vfs_control *control)
{
    test.control = control;
    test.random = control->seed;
    make_vfs(true);
}

void test_vfs_reset(void)
{
    pthread_mutex_lock(&test.mutex);
    for (int i = 0; i < FILES_MAX; i++) {
        free(test.images[i].bytes);
        hold_end(&test.images[i]);
    }
    memset(test.images, 0, sizeof(test.images));
    *test.control = (struct test_vfs_control){.n_writes = 0};
    pthread_mutex_unlock(&test.mutex);
}

void test_vfs_fail_at(unsigned n, int code, bool sticky)
{
    pthread_mutex_lock(&test.mutex);
    test.control->fail_at = n;
    test.control->kinds = TEST_VFS_WRITE | TEST_VFS_SYNC;
    test.control->code = (uint32_t)code;
    test.control->sticky = sticky;
    pthread_mutex_unlock(&test.mutex);
}

void test_vfs_slow_sync(unsigned msec)
{
    pthread_mutex_lock(&test.mutex);
    test.control->sync_msec = msec;
    pthread_mutex_unlock(&test.mutex);
}

static unsigned get(const uint32_t *counter)
{
    pthread_mutex_lock(&test.mutex);
    unsigned n = *counter;
    pthread_mutex_unlock(&test.mutex);
    return n;
}

unsigned test_vfs_count_writes(void)
{
    return get(&test.control->n_writes);
}

unsigned test_vfs_count_syncs(void)
{
    return get(&test.control->n_syncs);
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
