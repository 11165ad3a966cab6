/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs a fuzz entry over each file of a folder, so that `make check` replays the corpus without a fuzzer:
 * TAP on standard output. It fails on an empty folder: a corpus that got lost is not a corpus that passes. */

#include "util/cleanup.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>

#define INPUT_BYTES_MAX (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void closedirp(DIR **d)
{
    if (*d)
        (void)closedir(*d);
}

static int replay_file(int folder, const char *name)
{
    static uint8_t input[INPUT_BYTES_MAX];
    _cleanup_close_ int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, input, sizeof(input));
    if (n < 0)
        return -errno;
    return LLVMFuzzerTestOneInput(input, (size_t)n);
}

int main(void)
{
    _cleanup_(closedirp) DIR *folder = opendir(CORPUS);
    unsigned n = 0, failed = 0;
    for (const struct dirent *entry; folder && (entry = readdir(folder));) {
        if (entry->d_name[0] == '.')
            continue;
        int r = replay_file(dirfd(folder), entry->d_name);
        (void)printf("%sok %u - %s\n", r == 0 ? "" : "not ", ++n, entry->d_name);
        failed += r == 0 ? 0 : 1;
    }
    (void)printf("1..%u\n", n);
    return n > 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
