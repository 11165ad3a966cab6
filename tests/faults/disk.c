/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Linked to the daemon's own main(): before that runs, the test VFS becomes the one that SQLite uses, and is
 * told what to do through the file that LWA_TEST_DISK names. The daemon as it is installed has no such hook.
 */

#include "tests/unit/test-vfs.h"
#include "util/cleanup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static struct test_vfs_control *map_control(const char *path)
{
    _cleanup_close_ int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *map = MAP_FAILED;
    if (fd >= 0)
        map = mmap(NULL, sizeof(struct test_vfs_control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        (void)fputs("LWA_TEST_DISK must name the file that controls the disk\n", stderr);
        exit(EXIT_FAILURE);
    }
    return map;
}

__attribute__((constructor)) static void put_disk_in(void)
{
    test_vfs_register_default(map_control(getenv("LWA_TEST_DISK")));
}
