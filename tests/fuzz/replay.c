/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs a fuzz entry over its corpus, CORPORA/NAME for a program fuzz-NAME, so that `make check` replays it
 * without a fuzzer: TAP on standard output. It fails on an empty folder: a corpus that got lost is not a
 * corpus that passes. */

#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <fcntl.h>

#define INPUT_BYTES_MAX (1 << 20)
#define PREFIX "fuzz-"

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

static DIR *open_corpus(void)
{
    const char *name = program_invocation_short_name;
    char path[512];
    if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
        return NULL;
    (void)snprintf(path, sizeof(path), "%s/%s", CORPORA, name + strlen(PREFIX));
    return opendir(path);
}

int main(void)
{
    _cleanup_(closedirp) DIR *folder = open_corpus();
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
