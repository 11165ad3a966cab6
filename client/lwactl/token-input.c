/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/token-input.h"

#include "client/lwactl/outcome.h"
#include "client/lwactl/savefile.h"
#include "client/lwactl/terminal.h"

#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <termios.h>

/* What is read holds more than the token: the line's end and some blanks, or what it was found in. */
#define INPUT_BYTES_MAX (8 * TOKEN_INPUT_BYTES_MAX)

/* What differs. */
static const struct words {
    const char *prompt;
    const char *nothing; /* what was not done when it fails */
    const char *noun;
} kinds[] = {
    [TOKEN_INPUT_REFRESH] = {"Refresh token (it is not shown): ", "Nothing was linked.", "refresh token"},
    [TOKEN_INPUT_BEARER] = {"Token that was found (it is not shown): ", "Nothing was looked up.",
                            "access token"},
    [TOKEN_INPUT_SECRET] = {"Verification secret (it is not shown): ", "Nothing was verified.",
                            "verification secret"},
};

struct input {
    const struct words *words;
    const char *source; /* in words */
    int from;
    char bytes[INPUT_BYTES_MAX + 1];
    size_t n;
};

static void wipe(struct input *in)
{
    explicit_bzero(in, sizeof(*in));
}

/* --- the terminal ------------------------------------------------------------------------------------- */

/* While echo is off the signals that would end us are held back, so that the terminal is always put right. */
struct silence {
    bool is_terminal;
    struct termios before;
    sigset_t mask;
    int signal_fd;
};

static int silence_begin(struct silence *s, int from, const char *prompt)
{
    sigset_t ending;
    (void)sigemptyset(&ending);
    (void)sigaddset(&ending, SIGINT);
    (void)sigaddset(&ending, SIGTERM);
    (void)sigaddset(&ending, SIGHUP);
    (void)sigaddset(&ending, SIGQUIT);
    s->is_terminal = from == STDIN_FILENO && tcgetattr(from, &s->before) == 0;
    s->signal_fd = signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->signal_fd < 0)
        return -errno;
    (void)sigprocmask(SIG_BLOCK, &ending, &s->mask);
    if (!s->is_terminal)
        return 0;
    struct termios silent = s->before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) < 0)
        return -errno;
    (void)fputs(prompt, stderr);
    return 0;
}

static void silence_end(struct silence *s)
{
    if (s->signal_fd < 0)
        return;
    if (s->is_terminal) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &s->before);
        (void)fputc('\n', stderr);
    }
    /* The one that ended it must not arrive now, when it has been answered. */
    struct signalfd_siginfo info;
    while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        continue;
    s->signal_fd = close_fd(s->signal_fd);
    (void)sigprocmask(SIG_SETMASK, &s->mask, NULL);
}

/* --- reading ------------------------------------------------------------------------------------------ */

/* What was found may be several lines of a log; at a terminal one line is all. */
static bool is_whole(const struct input *in, const struct silence *s)
{
    bool is_line = s->is_terminal || in->words != &kinds[TOKEN_INPUT_BEARER];
    return is_line && memchr(in->bytes, '\n', in->n);
}

/* Up to the end of a line, of the file, or of the room. -EINTR when a signal came. */
static int read_some(struct input *in, const struct silence *s)
{
    struct pollfd fds[] = {{.fd = in->from, .events = POLLIN}, {.fd = s->signal_fd, .events = POLLIN}};
    while (in->n < INPUT_BYTES_MAX && !is_whole(in, s)) {
        if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
            return -errno;
        if (fds[1].revents)
            return -EINTR;
        ssize_t r = read(in->from, in->bytes + in->n, INPUT_BYTES_MAX - in->n);
        if (r < 0 && errno != EINTR && errno != EAGAIN)
            return -errno;
        if (r == 0)
            break;
        if (r > 0)
            in->n += (size_t)r;
    }
    return 0;
}

static int read_silently(struct input *in)
{
    _cleanup_(silence_end) struct silence s = {.signal_fd = -1};
    int r = silence_begin(&s, in->from, in->words->prompt);
    if (r == 0)
        r = read_some(in, &s);
    if (r == -EINTR)
        return CTL_CANCELLED;
    return r < 0 ? report(CTL_FAILED, "cannot read the %s from %s: %s", in->words->noun, in->source,
                          strerror(-r))
                 : CTL_OK;
}

static bool is_secret(const struct input *in)
{
    return in->words == &kinds[TOKEN_INPUT_SECRET];
}

static int refuse(const struct input *in, const char *sentence)
{
    (void)report(CTL_USAGE, "%s %s", sentence, in->words->nothing);
    report_hint("give the %s alone, %s%s: a line of up to %d characters", in->words->noun,
                in->from == STDIN_FILENO ? "on " : "in ", in->source, TOKEN_INPUT_BYTES_MAX);
    return CTL_USAGE;
}

static bool starts_with(const char *bytes, size_t n, const char *prefix)
{
    return n > strlen(prefix) && strncasecmp(bytes, prefix, strlen(prefix)) == 0;
}

/* Where a bearer token begins that was copied together with its header. */
static size_t skip_header(const char *bytes, size_t n)
{
    static const char *const parts[] = {"Authorization:", " ", "Bearer ", " "};
    size_t skipped = 0;
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        if (starts_with(bytes + skipped, n - skipped, parts[i]))
            skipped += strlen(parts[i]);
    return skipped;
}

/* Which of Amazon's tokens it is tells its prefix. */
static int check_kind(const struct input *in, const char *token, size_t n)
{
    bool wants_refresh = in->words == &kinds[TOKEN_INPUT_REFRESH];
    if (is_secret(in))
        return starts_with(token, n, "lwa-audit:")
                   ? CTL_OK
                   : refuse(in, "This is no verification secret: one begins with lwa-audit: and was shown by "
                                "`lwactl audit setup`.");
    if (wants_refresh && starts_with(token, n, "Atza|"))
        return refuse(
            in, "This is an access token (Atza|...), which ends within the hour; a refresh token begins "
                "with Atzr|.");
    if (!wants_refresh && starts_with(token, n, "Atzr|"))
        return refuse(
            in, "This is a refresh token (Atzr|...), which this broker never hands to anyone, so no app "
                "had it from here. It can get tokens until its login is ended: the customer removes the "
                "app on https://amazon.com/ap/adam.");
    return CTL_OK;
}

/* --- a token in what it was found in ------------------------------------------------------------------- */

/* In an address `|` is %7C. No token has a percent sign of its own. */
static void decode_percent(struct input *in)
{
    size_t n = 0;
    for (size_t i = 0; i < in->n; i++) {
        const char *at = in->bytes + i;
        char hex[3] = "";
        if (*at == '%' && i + 2 < in->n && isxdigit((unsigned char)at[1]) && isxdigit((unsigned char)at[2])) {
            (void)memcpy(hex, at + 1, 2);
            i += 2;
        }
        in->bytes[n++] = *hex ? (char)strtoul(hex, NULL, 16) : *at;
    }
    in->n = n;
}

static bool is_token_byte(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("-_.~+/=", c)); /* RFC 6750, b64token */
}

/* The first one from there on, and its length; NULL: there is none. */
static const char *next_token(const struct input *in, const char *from, const char *prefix, size_t *ret_n)
{
    const char *end = in->bytes + in->n;
    const char *at = memmem(from, (size_t)(end - from), prefix, strlen(prefix));
    if (!at)
        return NULL;
    size_t n = strlen(prefix);
    while (at + n < end && is_token_byte(at[n]))
        n++;
    while (at[n - 1] == '.') /* of a sentence */
        n--;
    *ret_n = n;
    return at;
}

/* Leaves the access token alone that stands in a line of a log, a command, an address, JSON. Else whoever
 * pastes the whole line would be told that no app had it. */
static int extract(struct input *in)
{
    size_t n = 0, n_other = 0;
    decode_percent(in);
    const char *token = next_token(in, in->bytes, "Atza|", &n);
    if (!token)
        token = next_token(in, in->bytes, "Atzr|", &n);
    if (!token)
        return CTL_OK;
    const char *other = token + n;
    while ((other = next_token(in, other, "Atza|", &n_other))) {
        if (n_other != n || memcmp(other, token, n) != 0)
            return refuse(in, "There are several tokens in what came on standard input.");
        other += n;
    }
    (void)memmove(in->bytes, token, n);
    in->n = n;
    return CTL_OK;
}

/* ------------------------------------------------------------------------------------------------------ */

/* Leaves the token alone in the input, at its start. */
static int check(struct input *in)
{
    static const char blanks[] = " \t\r\n";
    size_t first = 0, end = in->n;
    while (first < end && in->bytes[first] && strchr(blanks, in->bytes[first]))
        first++;
    while (end > first && in->bytes[end - 1] && strchr(blanks, in->bytes[end - 1]))
        end--;
    if (in->words == &kinds[TOKEN_INPUT_BEARER])
        first += skip_header(in->bytes + first, end - first);
    size_t n = end - first;
    if (n == 0)
        return refuse(in, is_secret(in) ? "There is no secret in it." : "No token came on standard input.");
    if (n > TOKEN_INPUT_BYTES_MAX || in->n == INPUT_BYTES_MAX)
        return refuse(in, is_secret(in) ? "What is in it is longer than a verification secret."
                                        : "What came on standard input is longer than a token can be.");
    for (size_t i = first; i < end; i++)
        if (in->bytes[i] <= 0x20 || in->bytes[i] > 0x7e)
            return refuse(in, is_secret(in)
                                  ? "What is in it is no verification secret: it holds blanks or other "
                                    "characters that none has."
                                  : "What came on standard input is no token: it holds blanks or "
                                    "other characters that no token has.");
    int r = check_kind(in, in->bytes + first, n);
    (void)memmove(in->bytes, in->bytes + first, n);
    in->n = n;
    return r;
}

static int seal(const struct input *in, int *ret_fd)
{
    _cleanup_close_ int fd = memfd_create("lwa-token", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    int r = savefile_write_all(fd, in->bytes, in->n);
    if (r < 0)
        return r;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return -errno;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int take(struct input *in, int *ret_fd)
{
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}); /* no dump that holds the token */
    int r = read_silently(in);
    if (r == CTL_CANCELLED)
        return report(CTL_CANCELLED, "Cancelled. %s", in->words->nothing);
    if (r == CTL_OK && in->words == &kinds[TOKEN_INPUT_BEARER] && in->n < INPUT_BYTES_MAX)
        r = extract(in);
    if (r == CTL_OK)
        r = check(in);
    if (r != CTL_OK)
        return r;
    r = seal(in, ret_fd);
    return r < 0 ? report(CTL_FAILED, "cannot hand over the %s: %s", in->words->noun, strerror(-r)) : CTL_OK;
}

int token_input_read(enum token_input_kind kind, int *ret_fd)
{
    _cleanup_(wipe) struct input in = {
        .words = &kinds[kind], .source = "standard input", .from = STDIN_FILENO};
    return take(&in, ret_fd);
}

int token_input_read_file(enum token_input_kind kind, const char *path, int *ret_fd)
{
    if (strcmp(path, "-") == 0)
        return token_input_read(kind, ret_fd);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return report(CTL_USAGE, "cannot open %s: %s", path, strerror(errno));
    _cleanup_(wipe) struct input in = {.words = &kinds[kind], .source = path, .from = fd};
    return take(&in, ret_fd);
}
