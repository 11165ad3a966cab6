/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static enum log_level max_level = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    max_level = level;
}

/* Never waits for who reads the log: what it does not take at once is dropped, as nothing else can be done
 * about it. The journal's socket and a file say so themselves; a pipe with room for one atomic write, which a
 * line is, takes it. */
static void write_line(const char *line, size_t n)
{
    if (send(STDERR_FILENO, line, n, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno != ENOTSOCK)
        return;
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&out, 1, 0) == 1 && write(STDERR_FILENO, line, n) < 0)
        return;
}

void log_line(enum log_level level, const char *format, ...)
{
    if (level > max_level)
        return;

    char line[1024];
    int n = 0;
    if (!isatty(STDERR_FILENO))
        n = snprintf(line, sizeof(line), "<%d>", (int)level);

    va_list args;
    va_start(args, format);
    int m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, format, args);
    va_end(args);
    if (m < 0)
        return;

    size_t length = (size_t)n + (size_t)m;
    if (length > sizeof(line) - 2)
        length = sizeof(line) - 2;
    for (size_t i = (size_t)n; i < length; i++)
        if ((unsigned char)line[i] < 0x20)
            line[i] = '?'; /* one call is one line, whatever is in it */
    line[length++] = '\n';
    write_line(line, length);
}
