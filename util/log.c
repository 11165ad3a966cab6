/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static enum log_level max_level = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    max_level = level;
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
    /* Nothing can be done about a log that cannot be written. */
    if (write(STDERR_FILENO, line, length) < 0)
        return;
}
