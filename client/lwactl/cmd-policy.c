/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl policy check: what is wrong with the files as they are now, without taking them up. */

#include "client/lwactl/outcome.h"
#include "client/lwactl/policy.h"

#include <string.h>

static int run(const struct command *command, const struct arguments *arguments)
{
    static const char *const names[] = {"check"};
    static const struct policy_call call = {.member = "Check", .takes_options = true, .signature = "aa{sv}"};
    _cleanup_json_ struct json_object *problems = NULL;

    if (arguments->n_operands == 0)
        return options_usage(command, "policy needs to be told what to do: `lwactl policy check`");
    if (strcmp(arguments->operands[0], "check") != 0)
        return options_unknown(command, "policy command ", arguments->operands[0], names, ARRAY_SIZE(names));
    if (arguments->n_operands > 1)
        return options_usage(command, "policy check takes no operand, not `%s`", arguments->operands[1]);
    int r = policy_call(&call, arguments, &problems);
    return r != CTL_OK ? r
                       : policy_show_problems(problems, arguments->given[OPTION_JSON],
                                              "The files have no mistake. `lwactl reload` takes them up.");
}

static const struct option_spec options[] = {
    {OPTION_JSON, "json", NULL, "print the mistakes as JSON"},
};

const struct command command_policy = {
    .name = "policy",
    .synopsis = "policy check [--json]",
    .summary = "Look for mistakes in the policy's files, without taking them up",
    .details = "For administrators. Names mistakes with file and line; the exit code is then 7.\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .run = run,
};
