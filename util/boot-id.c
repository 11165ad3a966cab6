/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/boot-id.h"

#include "util/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define TEXT_SIZE 48 /* 32 digits, 4 dashes, a newline, and some to tell a longer one by */

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool decode(const char *text, size_t n, unsigned char id[BOOT_ID_BYTES])
{
    size_t n_digits = 0;
    for (size_t i = 0; i < n && text[i] != '\n'; i++) {
        int value = digit(text[i]);
        if (text[i] == '-')
            continue;
        if (value < 0 || n_digits == 2 * BOOT_ID_BYTES)
            return false;
        id[n_digits / 2] = (unsigned char)(n_digits % 2 ? id[n_digits / 2] | value : value << 4);
        n_digits++;
    }
    return n_digits == 2 * BOOT_ID_BYTES;
}

void boot_id_read(const char *path, unsigned char ret[BOOT_ID_BYTES])
{
    char text[TEXT_SIZE];
    unsigned char id[BOOT_ID_BYTES] = {0};
    memset(ret, 0, BOOT_ID_BYTES);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text)) : -1;
    if (n > 0 && decode(text, (size_t)n, id))
        memcpy(ret, id, BOOT_ID_BYTES);
}
