/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/options.h"

#include "client/lwactl/outcome.h"
#include "client/lwactl/terminal.h"
#include "client/lwactl/text.h"
#include "dbus/names.h"

#include <getopt.h>
#include <stdarg.h>
#include <string.h>

static const struct option_spec common[] = {
    {OPTION_INTERACTIVE, "interactive", NULL, "let polkit ask a person (default: when stdin is a terminal)"},
    {OPTION_NO_INTERACTIVE, "no-interactive", NULL, "never let polkit ask"},
    {OPTION_HELP, "help", NULL, "show this help"},
};

#define SPECS_MAX 32
#define OPTION_BASE 256 /* above every letter */

const struct option_spec *options_at(const struct command *command, size_t i)
{
    return i < command->n_options ? &command->options[i] : &common[i - command->n_options];
}

size_t options_count(const struct command *command)
{
    return command->n_options + ARRAY_SIZE(common);
}

int options_usage(const struct command *command, const char *format, ...)
{
    _cleanup_free_ char *sentence = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&sentence, format, args) < 0)
        sentence = NULL;
    va_end(args);

    (void)report(CTL_USAGE, "%s", sentence ? sentence : "wrong arguments");
    if (command)
        report_hint("`lwactl help %s` shows how it is used", command->name);
    else
        report_hint("`lwactl help` lists the commands");
    return CTL_USAGE;
}

int options_unknown(const struct command *command, const char *kind, const char *word,
                    const char *const *names, size_t n)
{
    const char *nearest = text_nearest(word, names, n);
    (void)report(CTL_USAGE, "unknown %s%s", kind, word);
    if (nearest)
        report_hint("did you mean `%s%s`?", strchr(kind, '-') ? "--" : "", nearest);
    else if (command)
        report_hint("`lwactl help %s` lists its options", command->name);
    else
        report_hint("`lwactl help` lists the commands");
    return CTL_USAGE;
}

static int unknown_option(const struct command *command, const char *argument)
{
    const char *names[SPECS_MAX];
    size_t n = options_count(command);
    for (size_t i = 0; i < n; i++)
        names[i] = options_at(command, i)->name;

    const char *name = argument + strspn(argument, "-");
    _cleanup_free_ char *word = strndup(name, strcspn(name, "="));
    return options_unknown(command, "option --", word ? word : "", names, n);
}

/* getopt_long() leaves in optopt the option that lacks its value or has one too many, the letter that is not
 * known, or 0 for a long name that is not known. */
static int bad_option(const struct command *command, int result, const char *argument)
{
    if (optopt >= OPTION_BASE) {
        const struct option_spec *spec = options_at(command, (size_t)(optopt - OPTION_BASE));
        return options_usage(command, "option --%s %s", spec->name,
                             result == ':' ? "needs a value" : "takes no value");
    }
    if (optopt > 0)
        return options_usage(command, "unknown option -%c", optopt);
    return unknown_option(command, argument);
}

static int take(const struct command *command, const struct option_spec *spec, struct arguments *a)
{
    if (a->given[spec->id])
        return options_usage(command, "option --%s is given twice", spec->name);
    a->given[spec->id] = true;
    a->values[spec->id] = spec->argument ? optarg : NULL;
    return CTL_OK;
}

int options_parse(const struct command *command, int argc, char **argv, struct arguments *ret)
{
    struct option longs[SPECS_MAX + 1] = {{0}};
    struct arguments found = {.n_operands = 0};
    size_t n = options_count(command);

    for (size_t i = 0; i < n; i++) {
        const struct option_spec *spec = options_at(command, i);
        longs[i] = (struct option){spec->name, spec->argument ? required_argument : no_argument, NULL,
                                   OPTION_BASE + (int)i};
    }
    opterr = 0;
    optind = 0; /* glibc: start afresh, argv is another one */
    for (int c; (c = getopt_long(argc, argv, ":h", longs, NULL)) != -1;) {
        if (c == 'h') {
            found.given[OPTION_HELP] = true;
            continue;
        }
        int r = c < OPTION_BASE ? bad_option(command, c, argv[optind - 1])
                                : take(command, options_at(command, (size_t)(c - OPTION_BASE)), &found);
        if (r != CTL_OK)
            return r;
    }
    if (found.given[OPTION_INTERACTIVE] && found.given[OPTION_NO_INTERACTIVE])
        return options_usage(command, "--interactive and --no-interactive exclude each other");
    found.operands = argv + optind;
    found.n_operands = argc - optind;
    *ret = found;
    return CTL_OK;
}

static void print_specs(const struct option_spec *specs, size_t n, FILE *out)
{
    for (size_t i = 0; i < n; i++) {
        char left[64];
        (void)snprintf(left, sizeof(left), "--%s%s%s", specs[i].name, specs[i].argument ? " " : "",
                       specs[i].argument ? specs[i].argument : "");
        (void)fprintf(out, "  %-24s %s\n", left, specs[i].help);
    }
}

void options_help(const struct command *command, FILE *out)
{
    const char *line = command->synopsis;
    for (bool first = true; *line; first = false) {
        int n = (int)strcspn(line, "\n");
        /* A line that begins with a space goes on with the one above. */
        (void)fprintf(out, "%s %s %.*s\n", first ? "Usage:" : "      ", *line == ' ' ? "      " : "lwactl", n,
                      line);
        line += n + (line[n] == '\n');
    }
    (void)fprintf(out, "\n%s.\n", command->summary);
    if (*command->details)
        (void)fprintf(out, "\n%s", command->details);
    (void)fputs("\nOptions:\n", out);
    print_specs(command->options, command->n_options, out);
    print_specs(common, ARRAY_SIZE(common), out);
    (void)fputs("\n`lwactl help` lists the exit codes.\n", out);
}

struct arguments options_without(const struct arguments *arguments, int n)
{
    struct arguments rest = *arguments;
    rest.operands += n;
    rest.n_operands -= n;
    return rest;
}

int options_scopes(const struct command *command, const struct arguments *arguments, struct strv *ret)
{
    static const enum ctl_option lists[] = {OPTION_SCOPES, OPTION_VOLUNTARY};
    _cleanup_strv_ struct strv scopes = STRV_EMPTY;
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(lists); i++)
        if (arguments->values[lists[i]])
            r = strv_split(&scopes, arguments->values[lists[i]], OPTIONS_SEPARATORS);
    for (int i = 0; r == 0 && i < arguments->n_operands; i++)
        r = strv_split(&scopes, arguments->operands[i], OPTIONS_SEPARATORS);
    if (r < 0)
        return report(CTL_FAILED, "out of memory");
    if (scopes.n == 0)
        return options_usage(command, "no scope is given");
    if (scopes.n > LWA_SCOPES_PER_CALL_MAX)
        return options_usage(command, "more than %d scopes are given", LWA_SCOPES_PER_CALL_MAX);
    *ret = scopes;
    scopes = STRV_EMPTY;
    return CTL_OK;
}

int options_number(const struct command *command, const char *name, const char *text, unsigned least,
                   unsigned most, unsigned *ret)
{
    size_t digits = strspn(text, "0123456789");
    bool is_number = digits > 0 && digits <= 10 && !text[digits];
    unsigned long long value = is_number ? strtoull(text, NULL, 10) : 0;
    if (!is_number || value < least || value > most)
        return options_usage(command, "--%s takes a whole number from %u to %u, not `%s`", name, least, most,
                             text);
    *ret = (unsigned)value;
    return CTL_OK;
}
