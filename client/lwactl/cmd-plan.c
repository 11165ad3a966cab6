/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl plan: the fewest logins that serve every app of the table. */

#include "client/lwactl/grid.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/policy.h"

#include <inttypes.h>
#include <string.h>

static enum colour login_colour(const char *cell)
{
    if (strcmp(cell, "missing") == 0)
        return COLOUR_RED;
    return strcmp(cell, "not needed") == 0 ? COLOUR_YELLOW : COLOUR_PLAIN;
}

static const struct grid_column columns[] = {
    {"LOGIN", 0, login_colour},
    {"SCOPES", 12, NULL},
    {"SERVES", 12, NULL},
    {"ASKS", 0, NULL},
};

static bool is_missing(struct json_object *login)
{
    return values_number(login, "grant") == 0 && !values_flag(login, "unneeded");
}

static int add_row(struct grid *grid, struct json_object *login)
{
    char name[32];
    _cleanup_free_ char *scopes = values_join(values_list(login, "scopes"), " ");
    _cleanup_free_ char *serves = values_join(values_list(login, "serves"), " ");
    if (!scopes || !serves)
        return -ENOMEM;
    (void)snprintf(name, sizeof(name), "%" PRId64, values_number(login, "grant"));
    grid_add(grid, values_flag(login, "unneeded") ? "not needed" : is_missing(login) ? "missing" : name);
    grid_add(grid, scopes);
    grid_add(grid, serves);
    grid_add(grid, values_flag(login, "consent") ? "consent" : "");
    return 0;
}

static int print_table(struct json_object *logins)
{
    _cleanup_grid_ struct grid grid = {.columns = columns, .n_columns = ARRAY_SIZE(columns)};
    struct terminal terminal = terminal_get();
    for (size_t i = 0; i < values_count(logins); i++) {
        int r = add_row(&grid, values_item(logins, i));
        if (r < 0)
            return r;
    }
    return grid_print(&grid, &terminal, true, stdout);
}

static size_t count(struct json_object *logins, bool (*is)(struct json_object *))
{
    size_t n = 0;
    for (size_t i = 0; i < values_count(logins); i++)
        n += is(values_item(logins, i)) ? 1 : 0;
    return n;
}

static bool is_unneeded(struct json_object *login)
{
    return values_flag(login, "unneeded");
}

static bool is_greedy(struct json_object *login)
{
    return !values_flag(login, "unneeded") && !values_flag(login, "exact");
}

/* The commands stand alone on their lines, whole, to be copied. */
static void print_missing(struct json_object *logins)
{
    size_t n = count(logins, is_missing);
    if (n == 0) {
        (void)printf("No login is missing.\n");
        return;
    }
    (void)printf(n == 1 ? "One login is missing:\n" : "%zu logins are missing:\n", n);
    for (size_t i = 0; i < values_count(logins); i++)
        if (is_missing(values_item(logins, i)))
            (void)printf("  %s\n", values_text(values_item(logins, i), "command"));
}

static int show(struct json_object *logins)
{
    size_t n = values_count(logins), n_unneeded = count(logins, is_unneeded);
    if (n == 0) {
        (void)printf("No app of the table may hold anything, so no login is needed.\n");
        return 0;
    }
    int r = print_table(logins);
    if (r < 0)
        return r;
    (void)putchar('\n');
    print_missing(logins);
    if (n_unneeded > 0)
        (void)printf(n_unneeded == 1 ? "One login is not needed%s; `lwactl status` shows it.\n"
                                     : "%2$zu logins are not needed%1$s; `lwactl status` shows them.\n",
                     count(logins, is_missing) > 0 ? " once these are there" : "", n_unneeded);
    if (n > n_unneeded)
        (void)printf(count(logins, is_greedy) == 0
                         ? "Fewer logins cannot serve these apps (exact).\n"
                         : "Fewer logins may do: there are too many ways to try them all (greedy).\n");
    return 0;
}

static int run(const struct command *command, const struct arguments *arguments)
{
    static const struct policy_call call = {.member = "Plan", .takes_options = true, .signature = "aa{sv}"};
    _cleanup_json_ struct json_object *logins = NULL;

    if (arguments->n_operands > 0)
        return options_usage(command, "plan takes no operand, not `%s`", arguments->operands[0]);
    int r = policy_call(&call, arguments, &logins);
    if (r != CTL_OK)
        return r;
    r = arguments->given[OPTION_JSON] ? values_print(logins, true, stdout) : show(logins);
    return r < 0 ? report(CTL_FAILED, "out of memory") : CTL_OK;
}

static const struct option_spec options[] = {
    {OPTION_ACCOUNT, "account", "ID", "plan the logins of this account (default: the caller's default)"},
    {OPTION_DEVICE, "device", NULL, "plan the logins of the device"},
    {OPTION_JSON, "json", NULL, "print the logins as JSON"},
};

const struct command command_plan = {
    .name = "plan",
    .synopsis = "plan [--account ID] [--device] [--json]",
    .summary = "Show the fewest logins that serve every app of the table",
    .details = "A token is as wide as its login, so apps that may hold different scopes may need logins of\n"
               "their own. Shows which logins there are, which are missing, with the command for each, and\n"
               "which serve nobody. ASKS: someone has to consent before the app gets its token.\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .run = run,
};
