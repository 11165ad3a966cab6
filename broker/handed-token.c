/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/handed-token.h"

#include <fcntl.h>
#include <sys/stat.h>

#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK)

static bool is_token(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text[i] <= 0x20 || text[i] > 0x7e)
            return false;
    return n > 0;
}

int handed_token_read(int fd, struct secret **ret)
{
    char text[HANDED_TOKEN_BYTES_MAX];
    struct stat st;
    /* Only a memfd can have seals, so that neither of these nor the read reaches a foreign file system. */
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0 || st.st_size < 1 ||
        st.st_size > (off_t)sizeof(text))
        return -EINVAL;
    size_t n = (size_t)st.st_size;
    int r = -EINVAL;
    if (pread(fd, text, n, 0) == (ssize_t)n) {
        if (text[n - 1] == '\n')
            n--;
        if (is_token(text, n))
            r = secret_new(text, n, ret);
    }
    secret_wipe(text, sizeof(text));
    return r;
}
