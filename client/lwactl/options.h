/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Commands and their options as tables, from which parsing, --help and the suggestions are made. */

#include "util/strv.h"

enum ctl_option {
    OPTION_HELP,
    OPTION_INTERACTIVE,
    OPTION_NO_INTERACTIVE,
    OPTION_ACCOUNT,
    OPTION_AFTER,
    OPTION_ALL,
    OPTION_APP,
    OPTION_BROWSER,
    OPTION_CURSOR_FILE,
    OPTION_DAYS,
    OPTION_DEVICE,
    OPTION_EVENT,
    OPTION_FOLLOW,
    OPTION_HEAD,
    OPTION_HEADER,
    OPTION_HTML,
    OPTION_IMPORT,
    OPTION_JSON,
    OPTION_LABEL,
    OPTION_LAST,
    OPTION_LOCALE,
    OPTION_LONG,
    OPTION_MIN_VALID,
    OPTION_NO_OPEN,
    OPTION_NO_QR,
    OPTION_ONCE,
    OPTION_OUTPUT,
    OPTION_OWN,
    OPTION_PORT,
    OPTION_PROBE_NARROWING,
    OPTION_REDIRECT_URI,
    OPTION_SCOPE_DATA,
    OPTION_SCOPE,
    OPTION_SCOPES,
    OPTION_SECRET,
    OPTION_SINCE,
    OPTION_UNTIL,
    OPTION_UNTIL_LOGOUT,
    OPTION_USER,
    OPTION_VERDICT,
    OPTION_VOLUNTARY,
    OPTION_YES,
    OPTION_COUNT
};

struct option_spec {
    enum ctl_option id;
    const char *name;
    const char *argument; /* NULL: takes none */
    const char *help;
};

struct arguments {
    bool given[OPTION_COUNT];
    const char *values[OPTION_COUNT]; /* NULL when not given or without argument */
    char **operands;
    int n_operands;
};

struct command {
    const char *name;
    const char *synopsis; /* lines after `lwactl `, without the common options */
    const char *summary;
    const char *details; /* whole lines, or "" */
    const struct option_spec *options;
    size_t n_options;
    /* Returns the exit code; everything has been said. */
    int (*run)(const struct command *command, const struct arguments *arguments);
};

extern const struct command command_accounts;
extern const struct command command_audit;
extern const struct command command_check;
extern const struct command command_consent;
extern const struct command command_doctor;
extern const struct command command_explain;
extern const struct command command_login;
extern const struct command command_plan;
extern const struct command command_policy;
extern const struct command command_rekey;
extern const struct command command_reload;
extern const struct command command_revoke;
extern const struct command command_status;
extern const struct command command_token;
extern const struct command command_who;

/* Its options, and after them those that every command has. */
size_t options_count(const struct command *command);
const struct option_spec *options_at(const struct command *command, size_t i);

/* Parses what follows the command's name (argv[0]). CTL_OK, or CTL_USAGE, said on standard error. */
int options_parse(const struct command *command, int argc, char **argv, struct arguments *ret) _must_check_;
/* Prints the help of a command. */
void options_help(const struct command *command, FILE *out);

/* Says what is wrong with the arguments and where help is. Returns CTL_USAGE. `command` NULL: lwactl itself.
 */
int options_usage(const struct command *command, const char *format, ...) _printf_(2, 3);
/* Names what is not known, and the nearest of what is. `kind`: "option --", "command ". Returns CTL_USAGE. */
int options_unknown(const struct command *command, const char *kind, const char *word,
                    const char *const *names, size_t n);

/* What scopes are separated by. */
#define OPTIONS_SEPARATORS " \t\r\n,"
/* The arguments without their first `n` operands: a verb, an app. */
struct arguments options_without(const struct arguments *arguments, int n);
/* The scopes of --scopes, of --voluntary and of the operands, split at white space and commas. CTL_OK, or
 * said. */
int options_scopes(const struct command *command, const struct arguments *arguments,
                   struct strv *ret) _must_check_;
/* A decimal number from `least` to `most`. CTL_OK, or said. */
int options_number(const struct command *command, const char *name, const char *text, unsigned least,
                   unsigned most, unsigned *ret) _must_check_;
