/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl accounts: list, rename, default, remove. */

#include "client/lwactl/bus.h"
#include "client/lwactl/confirm.h"
#include "client/lwactl/grid.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/policy.h"
#include "client/lwactl/text.h"
#include "client/lwactl/values.h"
#include "dbus/names.h"

#include <string.h>

static enum colour state_colour(const char *cell)
{
    if (strcmp(cell, "ok") == 0)
        return COLOUR_GREEN;
    return strcmp(cell, "locked") == 0 ? COLOUR_RED : COLOUR_YELLOW;
}

static const struct grid_column columns[] = {
    {"ID", 0, NULL},       {"LABEL", 8, NULL},         {"OWNER", 6, NULL},   {"DEFAULT", 0, NULL},
    {"CREATED", 10, NULL}, {"STATE", 0, state_colour}, {"SCOPES", 12, NULL},
};

static int add_row(struct grid *grid, struct json_object *account)
{
    char created[TEXT_TIME_SIZE];
    _cleanup_free_ char *scopes = values_join(values_list(account, "grants"), " + ");
    _cleanup_free_ char *marked = scopes ? text_claimed(scopes, values_flag(account, "claimed")) : NULL;
    if (!marked)
        return -ENOMEM;
    grid_add(grid, values_text(account, "id"));
    grid_add(grid, values_text(account, "label"));
    grid_add(grid, values_text(account, "owner"));
    grid_add(grid, values_flag(account, "default") ? "yes" : "");
    grid_add(grid, text_time(values_number(account, "created_at"), created));
    grid_add(grid, values_flag(account, "locked")        ? "locked"
                   : values_flag(account, "needs_login") ? "needs login"
                                                         : "ok");
    grid_add(grid, marked);
    return 0;
}

static int print_table(struct json_object *accounts)
{
    _cleanup_grid_ struct grid grid = {.columns = columns, .n_columns = ARRAY_SIZE(columns)};
    struct terminal terminal = terminal_get();
    for (size_t i = 0; i < values_count(accounts); i++) {
        int r = add_row(&grid, values_item(accounts, i));
        if (r < 0)
            return r;
    }
    return grid_print(&grid, &terminal, true, stdout);
}

static int run_list(const struct arguments *arguments)
{
    bool as_json = arguments->given[OPTION_JSON];
    _cleanup_bus_ struct bus bus = {NULL};
    _cleanup_message_ DBusMessage *call = NULL, *reply = NULL;
    _cleanup_json_ struct json_object *accounts = NULL;

    int r = bus_open(arguments, &bus);
    if (r == CTL_OK)
        r = bus_new_call(LWA_OBJECT_PATH, LWA_INTERFACE_ACCOUNTS, "List", &call);
    if (r != CTL_OK)
        return r;
    struct writer w;
    writer_begin(&w, call);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    writer_close(&w);
    r = bus_end_arguments(&w);
    if (r == CTL_OK)
        r = bus_call(&bus, call, "aa{sv}", NULL, &reply);
    if (r != CTL_OK)
        return r;

    r = values_from_message(reply, 0, as_json ? VALUES_EXACT : VALUES_SAFE, &accounts);
    if (r == 0 && as_json)
        r = values_print(accounts, true, stdout);
    else if (r == 0 && values_count(accounts) > 0)
        r = print_table(accounts);
    if (r < 0)
        return report(CTL_FAILED, "out of memory");
    if (!as_json && values_count(accounts) == 0) {
        (void)printf("There is no account yet.\n");
        bus_hint_login(NULL);
    }
    return CTL_OK;
}

/* A call whose arguments are all strings, with an empty answer. */
static int change(const struct arguments *arguments, const char *member, const char *account,
                  const char *label)
{
    _cleanup_bus_ struct bus bus = {NULL};
    _cleanup_message_ DBusMessage *call = NULL, *reply = NULL;
    struct bus_context context = {NULL, account};

    int r = bus_open(arguments, &bus);
    if (r == CTL_OK)
        r = bus_new_call(LWA_OBJECT_PATH, LWA_INTERFACE_ACCOUNTS, member, &call);
    if (r != CTL_OK)
        return r;
    struct writer w;
    writer_begin(&w, call);
    writer_string(&w, account);
    if (label)
        writer_string(&w, label);
    r = bus_end_arguments(&w);
    return r == CTL_OK ? bus_call(&bus, call, "", &context, &reply) : r;
}

/* Says with the account's name made safe; `format` has one %s. */
static int say(const char *before, const char *account, const char *after)
{
    _cleanup_free_ char *safe = text_safe(account);
    if (!safe)
        return report(CTL_FAILED, "out of memory");
    (void)printf("%s%s%s", before, safe, after);
    return CTL_OK;
}

static int run_rename(const struct command *command, const struct arguments *arguments)
{
    if (arguments->n_operands != 3)
        return options_usage(command, "accounts rename takes an ID and a LABEL");
    int r = change(arguments, "Rename", arguments->operands[1], arguments->operands[2]);
    return r == CTL_OK ? say("Renamed ", arguments->operands[1], ".\n") : r;
}

static int run_default(const struct command *command, const struct arguments *arguments)
{
    if (arguments->n_operands != 2)
        return options_usage(command, "accounts default takes an ID");
    int r = change(arguments, "SetDefault", arguments->operands[1], NULL);
    return r == CTL_OK ? say("", arguments->operands[1], " is now the default account.\n") : r;
}

/* Of an account that the caller can remove. */
static bool is_devices(struct bus *bus, const char *account)
{
    _cleanup_message_ DBusMessage *call = NULL, *reply = NULL;
    _cleanup_json_ struct json_object *accounts = NULL;
    if (bus_new_call(LWA_OBJECT_PATH, LWA_INTERFACE_ACCOUNTS, "List", &call) != CTL_OK)
        return false;
    struct writer w;
    writer_begin(&w, call);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    writer_close(&w);
    if (writer_end(&w) == 0)
        reply = bus_try(bus, call, "aa{sv}");
    if (!reply || values_from_message(reply, 0, VALUES_EXACT, &accounts) != 0)
        return false;
    for (size_t i = 0; i < values_count(accounts); i++) {
        struct json_object *row = values_item(accounts, i);
        if (strcmp(values_text(row, "id"), account) == 0)
            return strcmp(values_text(row, "owner"), "device") == 0;
    }
    return false;
}

/* The tokens of the account that apps hold, if the caller may know all of them; else NULL. */
static struct json_object *exposure_of(const struct arguments *arguments, const char *account)
{
    _cleanup_bus_ struct bus bus = {NULL};
    _cleanup_message_ DBusMessage *call = NULL, *reply = NULL;
    struct json_object *exposure = NULL;
    if (bus_open(arguments, &bus) != CTL_OK ||
        bus_new_call(LWA_OBJECT_PATH, LWA_INTERFACE_POLICY, "ListExposure", &call) != CTL_OK)
        return NULL;
    struct writer w;
    writer_begin(&w, call);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_string(&w, "account", account);
    if (is_devices(&bus, account))
        writer_entry_string(&w, "owner", "device");
    writer_close(&w);
    if (writer_end(&w) == 0)
        reply = bus_try(&bus, call, "aa{sv}");
    return reply && values_from_message(reply, 0, VALUES_SAFE, &exposure) == 0 ? exposure : NULL;
}

static int ask_first(const struct arguments *arguments, const char *account)
{
    _cleanup_free_ char *question = NULL, *what = NULL;
    if (arguments->given[OPTION_YES])
        return CTL_OK;
    if (asprintf(&question,
                 "Remove account %s? Apps that use it lose it, and only a new login brings it back.",
                 account) < 0)
        question = NULL;
    if (asprintf(&what, "remove %s", account) < 0)
        what = NULL;
    return question && what ? confirm(question, what, "Nothing was removed.")
                            : report(CTL_FAILED, "out of memory");
}

static int run_remove(const struct command *command, const struct arguments *arguments)
{
    _cleanup_json_ struct json_object *exposure = NULL;
    if (arguments->n_operands != 2)
        return options_usage(command, "accounts remove takes an ID");
    const char *account = arguments->operands[1];
    int r = ask_first(arguments, account);
    if (r != CTL_OK)
        return r;
    exposure = exposure_of(arguments, account); /* after the removal there is no such account */
    if ((r = change(arguments, "Remove", account, NULL)) == CTL_OK)
        r = say("Removed ", account,
                ": this device has forgotten the login.\n"
                "Login with Amazon has no way for a device to revoke it. To end it at Amazon too, the\n"
                "customer removes the app on https://amazon.com/ap/adam\n");
    if (r == CTL_OK && exposure && policy_print_exposure(exposure, false) < 0)
        r = report(CTL_FAILED, "out of memory");
    return r;
}

static int run(const struct command *command, const struct arguments *arguments)
{
    static const char *const names[] = {"list", "rename", "default", "remove"};
    const char *verb = arguments->n_operands > 0 ? arguments->operands[0] : "list";
    bool is_list = strcmp(verb, "list") == 0;

    if (arguments->given[OPTION_JSON] && !is_list)
        return options_usage(command, "--json goes with the list only");
    if (arguments->given[OPTION_YES] && strcmp(verb, "remove") != 0)
        return options_usage(command, "--yes goes with remove only");
    if (is_list)
        return arguments->n_operands > 1 ? options_usage(command, "accounts list takes no operand")
                                         : run_list(arguments);
    if (strcmp(verb, "rename") == 0)
        return run_rename(command, arguments);
    if (strcmp(verb, "default") == 0)
        return run_default(command, arguments);
    if (strcmp(verb, "remove") == 0)
        return run_remove(command, arguments);
    return options_unknown(command, "accounts command ", verb, names, ARRAY_SIZE(names));
}

static const struct option_spec options[] = {
    {OPTION_JSON, "json", NULL, "print the list as JSON"},
    {OPTION_YES, "yes", NULL, "remove without asking"},
};

const struct command command_accounts = {
    .name = "accounts",
    .synopsis = "accounts [list] [--json]\n"
                "accounts rename ID LABEL\n"
                "accounts default ID\n"
                "accounts remove ID [--yes]",
    .summary = "List the accounts; rename, remove or choose the default one",
    .details = "To remove an account makes this device forget the login. Login with Amazon has no\n"
               "revocation: the customer ends it at Amazon on https://amazon.com/ap/adam\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .run = run,
};
