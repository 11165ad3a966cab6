/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* lwa-audit-verify: verifies an export of the audit trail, on any machine, without the broker. It reads what
 * others wrote, so it bounds each line and prints nothing of it. */

#include "broker/audit-offline.h"
#include "autoconf.h"
#include "broker/audit-line.h"
#include "broker/audit-secret.h"
#include "broker/audit-text.h"
#include "broker/limits.h"
#include "util/file.h"
#include "util/utf8.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

enum { EXIT_INTACT = 0, EXIT_DAMAGED = 1, EXIT_USAGE = 2 };

static const char usage[] =
    "lwa-audit-verify [OPTION...] [FILE]\n"
    "\n"
    "Verifies what `lwactl audit export` wrote; FILE is standard input when it is left out.\n"
    "\n"
    "  --secret FILE      verification secret, as `lwactl audit setup` showed it; - for standard input\n"
    "  --head N:HASH      what the trail's record N has to be\n"
    "  --after N:HASH     the record that the export follows on: the last one of the export before\n"
    "  --help, --version\n"
    "\n"
    "Ends with 0 when the trail is intact, 1 when it is damaged, 2 when that could not be found out.\n";

enum { OPTION_SECRET = 256, OPTION_HEAD, OPTION_AFTER, OPTION_HELP, OPTION_VERSION };

static const struct option long_options[] = {
    {"secret", required_argument, NULL, OPTION_SECRET}, {"head", required_argument, NULL, OPTION_HEAD},
    {"after", required_argument, NULL, OPTION_AFTER},   {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},     {NULL, 0, NULL, 0},
};

struct command {
    const char *secret_path, *path;
    struct audit_verify_options verify;
    struct audit_chain_key key;
};

static void command_clear(struct command *c)
{
    audit_chain_key_clear(&c->key);
}

/* --- messages ---------------------------------------------------------------------------------------- */

static int fail(const char *what, const char *name, const char *why)
{
    _cleanup_free_ char *plain = strdup(name);
    if (plain)
        utf8_scrub(plain);
    (void)fprintf(stderr, "lwa-audit-verify: %s%s%s%s\n", what, plain ? plain : "", *why ? ": " : "", why);
    return EXIT_USAGE;
}

/* --- the command line -------------------------------------------------------------------------------- */

static int refuse(const char *why)
{
    (void)fprintf(stderr, "lwa-audit-verify: %s\nTry lwa-audit-verify --help.\n", why);
    return EXIT_USAGE;
}

/* -1: go on; else the exit code. */
static int read_option(int option, struct command *c)
{
    switch (option) {
    case OPTION_SECRET:
        c->secret_path = optarg;
        return -1;
    case OPTION_HEAD:
        return audit_head_parse(optarg, &c->verify.head)
                   ? -1
                   : refuse("--head takes N:HASH, a number and 64 hexadecimal digits");
    case OPTION_AFTER:
        return audit_head_parse(optarg, &c->verify.from)
                   ? -1
                   : refuse("--after takes N:HASH, a number and 64 hexadecimal digits");
    case OPTION_HELP:
        return fputs(usage, stdout) < 0 ? EXIT_USAGE : EXIT_INTACT;
    case OPTION_VERSION:
        return puts("lwa-audit-verify " PACKAGE_VERSION) < 0 ? EXIT_USAGE : EXIT_INTACT;
    default:
        (void)fputs("Try lwa-audit-verify --help.\n", stderr);
        return EXIT_USAGE;
    }
}

static int read_command_line(int argc, char **argv, struct command *c)
{
    for (int o = getopt_long(argc, argv, "", long_options, NULL); o >= 0;
         o = getopt_long(argc, argv, "", long_options, NULL)) {
        int code = read_option(o, c);
        if (code >= 0)
            return code;
    }
    if (argc - optind > 1)
        return refuse("it takes one FILE; `cat` puts several into one");
    c->path = optind < argc && strcmp(argv[optind], "-") != 0 ? argv[optind] : NULL;
    if (!c->path && c->secret_path && strcmp(c->secret_path, "-") == 0)
        return refuse("the secret and the export cannot both be standard input");
    return -1;
}

/* --- the secret -------------------------------------------------------------------------------------- */

static int read_secret(struct command *c)
{
    bool is_input = strcmp(c->secret_path, "-") == 0;
    _cleanup_close_ int fd = is_input ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                                      : open(c->secret_path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
    char text[2 * AUDIT_SECRET_TEXT_SIZE];
    size_t n = 0;
    int r = fd < 0 ? -errno : file_read_some(fd, text, sizeof(text), &n);
    if (r < 0)
        return fail("the secret cannot be read from ", c->secret_path, strerror(-r));
    while (n > 0 && strchr(" \t\r\n", text[n - 1]) && text[n - 1])
        n--;
    r = audit_secret_parse(text, n, &c->key);
    secret_wipe(text, sizeof(text));
    if (r != 0)
        return fail("this is no verification secret, or it was mistyped: ", c->secret_path, "");
    c->verify.key = &c->key;
    return -1;
}

/* --- the export -------------------------------------------------------------------------------------- */

enum line { LINE_READ, LINE_TOO_LONG, LINE_NONE };

/* Without its end; what does not fit is passed over to there. */
static enum line read_line(FILE *in, char *buffer, size_t size, size_t *ret_n)
{
    size_t n = 0;
    int c;
    for (c = getc_unlocked(in); c != EOF && c != '\n'; c = getc_unlocked(in)) {
        if (n < size)
            buffer[n] = (char)c;
        n += n <= size;
    }
    *ret_n = n;
    if (n > size)
        return LINE_TOO_LONG;
    return c == EOF && n == 0 ? LINE_NONE : LINE_READ;
}

static int add_line(struct audit_verify *v, const char *line, size_t n)
{
    _cleanup_(audit_record_freep) struct audit_record *record = NULL;
    int r = audit_line_parse(line, n, &record);
    if (r == 0)
        return audit_verify_add(v, record);
    if (r > 0)
        audit_verify_add_unreadable(v, 0);
    return r > 0 ? 0 : r;
}

static int read_export(FILE *in, struct audit_verify *v)
{
    _cleanup_free_ char *buffer = malloc(LIMIT_AUDIT_LINE_BYTES);
    size_t n;
    int r = buffer ? 0 : -ENOMEM;
    while (r == 0) {
        enum line line = read_line(in, buffer, LIMIT_AUDIT_LINE_BYTES, &n);
        if (line == LINE_NONE)
            break;
        if (line == LINE_TOO_LONG)
            audit_verify_add_unreadable(v, 0);
        else if (n > 0)
            r = add_line(v, buffer, n);
    }
    return r == 0 && ferror(in) ? -EIO : r;
}

/* A trail that reaches to the secret's time, and has nothing of it: another chain of keys begins with its
 * first record, and whether that is one of a later setup nobody here knows. */
static bool is_foreign(const struct command *c, const struct audit_verify_report *report)
{
    return report->key == AUDIT_VERIFY_KEY_UNUSED && report->last_epoch >= c->key.epoch;
}

static int verify(struct command *c)
{
    _cleanup_fclose_ FILE *opened = c->path ? fopen(c->path, "re") : NULL;
    _cleanup_(audit_verify_freep) struct audit_verify *v = NULL;
    struct audit_verify_report report = {.n_records = 0};
    if (c->path && !opened)
        return fail("the export cannot be read from ", c->path, strerror(errno));
    int r = audit_verify_new(&c->verify, &v);
    if (r == 0)
        r = read_export(opened ? opened : stdin, v);
    if (r == 0)
        r = audit_verify_finish(v, &report);
    if (r < 0)
        return fail("the export cannot be read from ", c->path ? c->path : "standard input", strerror(-r));
    if (report.n_records == 0)
        return fail("there is no record in ", c->path ? c->path : "standard input", "");
    audit_offline_report(&report, &c->verify);
    if (fflush(stdout) != 0)
        return fail("the report cannot be written", "", "");
    if (report.n_damage == 0 && is_foreign(c, &report))
        return fail("nothing of this trail is proven by the secret, though it reaches to its time", "", "");
    return report.n_damage > 0 ? EXIT_DAMAGED : EXIT_INTACT;
}

int main(int argc, char **argv)
{
    __attribute__((cleanup(command_clear))) struct command c = {
        .verify = {.is_partial = true, .findings_max = AUDIT_OFFLINE_FINDINGS}};
    if (sodium_init() < 0)
        return fail("random numbers cannot be had", "", "");
    int code = read_command_line(argc, argv, &c);
    if (code < 0 && c.secret_path)
        code = read_secret(&c);
    return code < 0 ? verify(&c) : code;
}
