/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The file of the chain key (broker/audit-keyfile.h), whatever is in it. The input is what stands at the
 * beginning of each of the four blocks, so that not all of them has to be guessed. */

#include "broker/audit-keyfile.h"
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <sys/stat.h>

#define BLOCK_BYTES 4096
#define N_BLOCKS 4
#define HEAD_BYTES 96 /* of a block, that the input is of */

static void fill(const char *path, const uint8_t *data, size_t n)
{
    static unsigned char bytes[N_BLOCKS * BLOCK_BYTES];
    memset(bytes, 0, sizeof(bytes));
    for (size_t i = 0; i < n && i < (size_t)N_BLOCKS * HEAD_BYTES; i++)
        bytes[i / HEAD_BYTES * BLOCK_BYTES + i % HEAD_BYTES] = data[i];
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    /* One byte more or less than it should have, now and then. */
    size_t size = sizeof(bytes) - (n % 97 == 96);
    require(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
}

/* What it took, it can be worked with. */
static void use(struct audit_keyfile *f, const char *path)
{
    struct audit_chain_key key, next;
    struct audit_head head;
    require(audit_keyfile_read(f, &key) == 0);
    require(key.epoch >= 1 && key.first_epoch >= 1 && key.first_epoch <= key.epoch);
    require(audit_keyfile_head(f, &key, &head) == 0 && head.sequence >= 0);
    require(audit_chain_key_copy(&key, &next) == 0 && audit_chain_key_evolve(&next) == 0);
    require(audit_keyfile_begin_epoch(f, &next) == 0);
    head.sequence = 77;
    require(audit_keyfile_set_head(f, &next, &head) == 0);
    require(audit_keyfile_end_epochs(f) == 0);

    struct audit_keyfile *again = NULL;
    struct audit_chain_key back;
    int r = audit_keyfile_open(path, &again);
    if (next.epoch <= INT64_MAX) {
        require(r == 0 && audit_keyfile_read(again, &back) == 0);
        require(back.epoch == next.epoch && secret_equal(back.key, next.key));
        require(audit_keyfile_head(again, &back, &head) == 0 && head.sequence >= 77);
        audit_chain_key_clear(&back);
    }
    audit_keyfile_free(again);
    audit_chain_key_clear(&key);
    audit_chain_key_clear(&next);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char path[] = "/dev/shm/fuzz-audit-keyfile.XXXXXX";
    struct audit_keyfile *f = NULL;
    int fd = mkostemp(path, O_CLOEXEC);
    require(fd >= 0);
    (void)close(fd);
    fill(path, data, n);
    int r = audit_keyfile_open(path, &f);
    require(r == 0 || r == AUDIT_KEYFILE_E_BROKEN);
    require((r == 0) == (f != NULL));
    if (f)
        use(f, path);
    audit_keyfile_free(f);
    (void)unlink(path);
    return 0;
}
