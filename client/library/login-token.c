/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/library/login.h"

#include <fcntl.h>
#include <sys/mman.h>

bool login_token_is_valid(const char *bytes, size_t n_bytes)
{
    if (!bytes || n_bytes == 0 || n_bytes > LOGIN_TOKEN_BYTES_MAX)
        return false;
    for (size_t i = 0; i < n_bytes; i++)
        if (bytes[i] < 0x21 || bytes[i] > 0x7e)
            return false;
    return true;
}

static int write_all(int fd, const char *bytes, size_t n_bytes)
{
    while (n_bytes > 0) {
        ssize_t n = write(fd, bytes, n_bytes);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            bytes += n;
            n_bytes -= (size_t)n;
        }
    }
    return 0;
}

int login_token_seal(const char *bytes, size_t n_bytes, int *ret_fd)
{
    _cleanup_close_ int fd = memfd_create("lwa-token", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    int r = write_all(fd, bytes, n_bytes);
    if (r < 0)
        return r;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return -errno;
    *ret_fd = TAKE_FD(fd);
    return 0;
}
