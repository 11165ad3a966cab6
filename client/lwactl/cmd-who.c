/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl who: the apps that are connected now, and what they were seen as. */

#include "client/lwactl/grid.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/policy.h"

#include <inttypes.h>

static const struct grid_column columns[] = {
    {"APP", 12, NULL},   {"STRENGTH", 0, NULL}, {"PINNED", 0, NULL}, {"USER", 5, NULL},
    {"TOKENS", 0, NULL}, {"PID", 0, NULL},      {"UNIT", 6, NULL},   {"PROGRAM", 8, NULL},
};

static void add_number(struct grid *grid, int64_t number)
{
    char text[24] = "";
    if (number > 0)
        (void)snprintf(text, sizeof(text), "%" PRId64, number);
    grid_add(grid, text);
}

static void add_row(struct grid *grid, struct json_object *app)
{
    const char *user = values_text(app, "user");
    grid_add(grid, values_text(app, "app"));
    grid_add(grid, values_text(app, "strength"));
    grid_add(grid, values_flag(app, "pinned") ? "yes" : "no");
    if (*user)
        grid_add(grid, user);
    else
        add_number(grid, values_number(app, "uid"));
    add_number(grid, values_number(app, "tokens"));
    add_number(grid, values_number(app, "pid"));
    grid_add(grid, values_text(app, "unit"));
    grid_add(grid, values_text(app, "exe"));
}

static int print_table(struct json_object *apps)
{
    _cleanup_grid_ struct grid grid = {.columns = columns, .n_columns = ARRAY_SIZE(columns)};
    struct terminal terminal = terminal_get();
    for (size_t i = 0; i < values_count(apps); i++)
        add_row(&grid, values_item(apps, i));
    return grid_print(&grid, &terminal, true, stdout);
}

static int run(const struct command *command, const struct arguments *arguments)
{
    static const struct policy_call call = {
        .member = "ListApps", .takes_options = true, .signature = "aa{sv}"};
    _cleanup_json_ struct json_object *apps = NULL;

    if (arguments->n_operands > 0)
        return options_usage(command, "who takes no operand, not `%s`", arguments->operands[0]);
    int r = policy_call(&call, arguments, &apps);
    if (r != CTL_OK)
        return r;
    if (arguments->given[OPTION_JSON])
        r = values_print(apps, true, stdout);
    else if (values_count(apps) > 0)
        r = print_table(apps);
    else
        (void)printf("No app%s is connected.\n", arguments->given[OPTION_ALL] ? "" : " of yours");
    return r < 0 ? report(CTL_FAILED, "out of memory") : CTL_OK;
}

static const struct option_spec options[] = {
    {OPTION_ALL, "all", NULL, "show the apps of all users"},
    {OPTION_JSON, "json", NULL, "print the list as JSON"},
};

const struct command command_who = {
    .name = "who",
    .synopsis = "who [--all] [--json]",
    .summary = "List the apps that are connected, and who they were seen as",
    .details =
        "STRENGTH is what someone has to control to pass for the app, the weakest first: uid (the\n"
        "user), sandbox (any program of the user outside of sandboxes), unit (systemd), label\n"
        "(AppArmor). PINNED is whether the process that was looked at is surely the one that connected.\n"
        "TOKENS are those that the app holds.\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .run = run,
};
