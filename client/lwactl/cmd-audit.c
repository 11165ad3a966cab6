/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl audit: who got what, from the broker's audit trail. What each verb does is in audit-VERB.c. */

#include "client/lwactl/audit-filter.h"
#include "client/lwactl/audit.h"
#include "client/lwactl/outcome.h"

#include <string.h>

#define TAKES_MAX 20

struct verb {
    const char *name;    /* "": none is given */
    const char *operand; /* what it needs, e.g. "a SCOPE"; NULL: it takes none */
    int (*run)(const struct command *command, const struct arguments *arguments);
    enum ctl_option takes[TAKES_MAX]; /* ends with OPTION_HELP, which all take */
};

static const struct verb verbs[] = {
    {"",
     NULL,
     audit_list,
     {AUDIT_FILTER_TAKES, OPTION_LAST, OPTION_ALL, OPTION_FOLLOW, OPTION_LONG, OPTION_JSON}},
    {"app", "an APP", audit_app, {AUDIT_STORY_TAKES, OPTION_LAST, OPTION_ALL, OPTION_JSON}},
    {"export", NULL, audit_export, {AUDIT_FILTER_TAKES, OPTION_AFTER, OPTION_CURSOR_FILE, OPTION_FOLLOW}},
    {"matrix", NULL, audit_matrix, {OPTION_SINCE, OPTION_OWN, OPTION_JSON}},
    {"report", NULL, audit_report, {OPTION_HTML, OPTION_SINCE, OPTION_OWN}},
    {"setup", NULL, audit_setup, {OPTION_OUTPUT, OPTION_YES}},
    {"token", NULL, audit_token, {OPTION_JSON}},
    {"verify", NULL, audit_verify, {OPTION_SECRET, OPTION_HEAD, OPTION_JSON}},
    {"who-has", "a SCOPE", audit_who_has, {OPTION_OWN, OPTION_JSON}},
};

static const struct option_spec options[] = {
    AUDIT_FILTER_SPECS,
    {OPTION_LAST, "last", "N", "show the newest N records (1 to 1000; default 50)"},
    {OPTION_ALL, "all", NULL, "show all records, oldest first"},
    {OPTION_AFTER, "after", "N", "export what came after record N"},
    {OPTION_CURSOR_FILE, "cursor-file", "FILE", "export what came after the last time, and note it there"},
    {OPTION_FOLLOW, "follow", NULL, "go on with what is recorded from now on"},
    {OPTION_LONG, "long", NULL, "print all of each record, a fact a line"},
    {OPTION_HTML, "html", "FILE", "write the report there, as a page of its own"},
    {OPTION_JSON, "json", NULL, "print one JSON object a line"},
    {OPTION_SECRET, "secret", "FILE", "verify with the secret of `audit setup`; - is standard input"},
    {OPTION_HEAD, "head", "N:HASH", "verify that record N is still there, with this hash"},
    {OPTION_OUTPUT, "output", "FILE", "write the new secret to FILE (0600) and do not show it"},
    {OPTION_YES, "yes", NULL, "make a new secret without asking"},
};

static bool takes(const struct verb *verb, enum ctl_option option)
{
    if (option == OPTION_HELP || option == OPTION_INTERACTIVE || option == OPTION_NO_INTERACTIVE)
        return true;
    for (size_t i = 0; i < TAKES_MAX && verb->takes[i] != OPTION_HELP; i++)
        if (verb->takes[i] == option)
            return true;
    return false;
}

/* An option that has no meaning here is no option: ignored, it would promise what is not done. */
static int check_options(const struct command *command, const struct verb *verb,
                         const struct arguments *arguments)
{
    for (size_t i = 0; i < command->n_options; i++) {
        const struct option_spec *option = &command->options[i];
        if (arguments->given[option->id] && !takes(verb, option->id))
            return options_usage(command, "audit%s%s takes no option --%s", *verb->name ? " " : "",
                                 verb->name, option->name);
    }
    return CTL_OK;
}

static int run_verb(const struct command *command, const struct verb *verb, const struct arguments *arguments)
{
    struct arguments rest = *verb->name ? options_without(arguments, 1) : *arguments;
    int r = check_options(command, verb, arguments);
    if (r != CTL_OK)
        return r;
    int n = verb->operand ? 1 : 0;
    if (rest.n_operands < n)
        return options_usage(command, "audit %s takes %s", verb->name, verb->operand ? verb->operand : "");
    if (rest.n_operands > n)
        return options_usage(command, "audit %s takes nothing more, not `%s`", verb->name, rest.operands[n]);
    return verb->run(command, &rest);
}

static int run(const struct command *command, const struct arguments *arguments)
{
    const char *word = arguments->n_operands > 0 ? arguments->operands[0] : "";
    const char *names[ARRAY_SIZE(verbs)] = {NULL};
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (strcmp(verbs[i].name, word) == 0)
            return run_verb(command, &verbs[i], arguments);
        if (*verbs[i].name)
            names[n++] = verbs[i].name;
    }
    return options_unknown(command, "audit command ", word, names, n);
}

const struct command command_audit = {
    .name = "audit",
    .synopsis = "audit [FILTER...] [--last N | --all] [--follow] [--long | --json]\n"
                "audit app APP [FILTER...] [--last N | --all] [--json]\n"
                "audit who-has SCOPE [--own] [--json]\n"
                "audit matrix [--since WHEN] [--own] [--json]\n"
                "audit token [--json] <FILE\n"
                "audit report --html FILE [--since WHEN] [--own]\n"
                "audit export [FILTER...] [--after N] [--cursor-file FILE] [--follow]\n"
                "audit verify [--secret FILE] [--head N:HASH] [--json]\n"
                "audit setup [--output FILE] [--yes]",
    .summary = "Show the audit trail: who got what, and why",
    .details =
        "FILTER is any of --app, --user, --account, --scope, --event, --verdict, --since, --until and\n"
        "--own; all that are given have to fit. WHEN is a time such as yesterday, monday 9:30, 2h,\n"
        "3 days, 14:00, 2026-11-20 or 2026-11-20 14:00.\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .run = run,
};
