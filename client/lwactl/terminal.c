/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/terminal.h"

#include "client/lwactl/outcome.h"
#include "client/lwactl/text.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>

#define WIDTH_UNKNOWN 80

static bool has_cursor(int fd)
{
    const char *kind = getenv("TERM");
    return isatty(fd) && kind && *kind && strcmp(kind, "dumb") != 0;
}

static bool wants_colours(int fd)
{
    const char *no = getenv("NO_COLOR");
    return has_cursor(fd) && !(no && *no);
}

struct terminal terminal_get(void)
{
    struct terminal t = {
        .is_terminal = has_cursor(STDOUT_FILENO),
        .has_colours = wants_colours(STDOUT_FILENO),
        .is_utf8 = text_locale_is_utf8(),
    };
    if (isatty(STDOUT_FILENO)) {
        struct winsize size = {0};
        bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
        t.width = known ? size.ws_col : WIDTH_UNKNOWN;
        t.height = known ? size.ws_row : 0;
    }
    return t;
}

const char *terminal_colour(const struct terminal *t, enum colour colour)
{
    static const char *const sequences[COLOUR_COUNT] = {
        [COLOUR_PLAIN] = "\033[0m",  [COLOUR_BOLD] = "\033[1m",    [COLOUR_RED] = "\033[31m",
        [COLOUR_GREEN] = "\033[32m", [COLOUR_YELLOW] = "\033[33m",
    };
    return t->has_colours ? sequences[colour] : "";
}

void terminal_prepare(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    /* The lowest free number is what open() gives; read-only, so that writes to it fail and are reported. */
    for (int fd = open("/dev/null", O_RDONLY); fd >= 0; fd = open("/dev/null", O_RDONLY))
        if (fd > STDERR_FILENO) {
            close_fd(fd);
            return;
        }
}

static void print_line(const char *prefix, enum colour colour, const char *format, va_list args)
{
    struct terminal t = {.has_colours = wants_colours(STDERR_FILENO)};
    _cleanup_free_ char *line = NULL;
    if (vasprintf(&line, format, args) < 0)
        line = NULL;
    _cleanup_free_ char *safe = line ? text_safe(line) : NULL;
    (void)fflush(stdout); /* what was said before stays before */
    (void)fprintf(stderr, "%s%s:%s %s\n", terminal_colour(&t, colour), prefix,
                  terminal_colour(&t, COLOUR_PLAIN), safe ? safe : "out of memory");
}

int report(int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_line("lwactl", COLOUR_RED, format, args);
    va_end(args);
    return code;
}

void report_hint(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_line("hint", COLOUR_BOLD, format, args);
    va_end(args);
}

int terminal_write_failed(int error)
{
    if (error == EPIPE)
        return CTL_FAILED;
    return report(CTL_FAILED, "cannot write the output: %s", strerror(error));
}

int terminal_flush(void)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    return terminal_write_failed(errno ? errno : EIO);
}

int terminal_finish(int code)
{
    int r = terminal_flush();
    /* A network file system may report only now what it could not write. */
    if (r == 0 && fclose(stdout) != 0)
        r = terminal_write_failed(errno);
    return code != CTL_OK ? code : r;
}
