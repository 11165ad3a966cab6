/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl reload: what the files say now counts for every call from here on. */

#include "client/lwactl/outcome.h"
#include "client/lwactl/policy.h"

static int run(const struct command *command, const struct arguments *arguments)
{
    static const struct policy_call call = {.member = "Reload", .signature = "aa{sv}"};
    _cleanup_json_ struct json_object *problems = NULL;

    if (arguments->n_operands > 0)
        return options_usage(command, "reload takes no operand, not `%s`", arguments->operands[0]);
    int r = policy_call(&call, arguments, &problems);
    return r != CTL_OK
               ? r
               : policy_show_problems(problems, arguments->given[OPTION_JSON],
                                      "Reloaded: every call from now on is decided by the new files.");
}

static const struct option_spec options[] = {
    {OPTION_JSON, "json", NULL, "print the mistakes as JSON"},
};

const struct command command_reload = {
    .name = "reload",
    .synopsis = "reload [--json]",
    .summary = "Take up the changed policy, and wait until it counts",
    .details =
        "For administrators. Waits until grants.d, the catalogue and polkit's rules are read again: every\n"
        "call that is made afterwards is decided by them. Names mistakes with file and line; the exit\n"
        "code is then 7.\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .run = run,
};
