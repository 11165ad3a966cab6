/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl status: what the broker has loaded, and how each login is doing. */

#include "client/lwactl/bus.h"
#include "client/lwactl/grid.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/text.h"
#include "client/lwactl/values.h"
#include "dbus/names.h"
#include "util/clock.h"

#include <inttypes.h>
#include <string.h>

static enum colour state_colour(const char *cell)
{
    if (strcmp(cell, "fresh") == 0)
        return COLOUR_GREEN;
    if (strcmp(cell, "dead") == 0 || strcmp(cell, "foreign") == 0)
        return COLOUR_RED;
    bool is_pending =
        strcmp(cell, "waiting") == 0 || strcmp(cell, "clock") == 0 || strcmp(cell, "unproven") == 0;
    return is_pending ? COLOUR_YELLOW : COLOUR_PLAIN;
}

static const struct grid_column columns[] = {
    {"ACCOUNT", 6, NULL}, {"OWNER", 6, NULL},    {"STATE", 0, state_colour}, {"SINCE", 0, NULL},
    {"EXPIRES", 0, NULL}, {"NEXT TRY", 0, NULL}, {"BECAUSE", 8, NULL},       {"SCOPES", 12, NULL},
};

static int add_row(struct grid *grid, struct json_object *grant, int64_t now)
{
    char since[TEXT_TIME_SIZE], expires[TEXT_TIME_SIZE], next[TEXT_TIME_SIZE];
    _cleanup_free_ char *scopes = values_join(values_list(grant, "scopes"), " ");
    _cleanup_free_ char *marked = scopes ? text_claimed(scopes, values_flag(grant, "claimed")) : NULL;
    if (!marked)
        return -ENOMEM;
    grid_add(grid, values_text(grant, "account"));
    grid_add(grid, values_text(grant, "owner"));
    grid_add(grid, values_text(grant, "state"));
    grid_add(grid, text_relative_time(values_number(grant, "since"), now, since));
    grid_add(grid, text_relative_time(values_number(grant, "expires_at"), now, expires));
    grid_add(grid, text_relative_time(values_number(grant, "next_try_at"), now, next));
    grid_add(grid, values_text(grant, "because"));
    grid_add(grid, marked);
    return 0;
}

static int print_grants(struct json_object *grants)
{
    _cleanup_grid_ struct grid grid = {.columns = columns, .n_columns = ARRAY_SIZE(columns)};
    struct terminal terminal = terminal_get();
    for (size_t i = 0; i < values_count(grants); i++) {
        int r = add_row(&grid, values_item(grants, i), wall_sec());
        if (r < 0)
            return r;
    }
    return grid_print(&grid, &terminal, true, stdout);
}

static void print_line(const char *title, const char *value)
{
    (void)printf("%-10s %s\n", title, *value ? value : "-");
}

/* "ok", or what is wrong in red. */
static void print_health(const struct terminal *t, const char *title, const char *value)
{
    bool is_ok = strcmp(value, "ok") == 0;
    (void)printf("%-10s %s%s%s\n", title, terminal_colour(t, is_ok ? COLOUR_GREEN : COLOUR_RED),
                 *value ? value : "-", terminal_colour(t, COLOUR_PLAIN));
}

static const char *plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

static void print_forward(struct json_object *status)
{
    const char *forward = values_text(status, "forward");
    int64_t unsent = values_number(status, "unsent");
    if (!*forward)
        return; /* an earlier broker */
    bool is_none = strcmp(forward, "none") == 0;
    (void)printf("%-10s %s%s", "trail to", is_none ? "" : "the ", is_none ? "nowhere else" : forward);
    if (unsent > 0 && !is_none)
        (void)printf(", which did not take %" PRId64 " record%s", unsent, plural(unsent));
    (void)printf("\n");
}

static void print_broker(struct json_object *status)
{
    struct terminal t = terminal_get();
    char since[TEXT_TIME_SIZE];
    int64_t now = wall_sec(), uptime = values_number(status, "uptime");
    struct json_object *problems = values_list(status, "problems");

    print_line("broker", values_text(status, "version"));
    print_line("started", text_relative_time(uptime > 0 && uptime < now ? now - uptime : now, now, since));
    print_line("provider", values_text(status, "provider"));
    print_line("client id", values_text(status, "client_id"));
    print_health(&t, "store", values_text(status, "store"));
    print_health(&t, "audit", values_text(status, "audit"));
    print_forward(status);
    print_health(&t, "polkit", values_text(status, "polkit"));
    int64_t sections = values_number(status, "table_sections"), consents = values_number(status, "consents");
    (void)printf("%-10s %" PRId64 " section%s, %zu problem%s, %" PRId64 " consent%s\n", "policy", sections,
                 plural(sections), values_count(problems), plural((int64_t)values_count(problems)), consents,
                 plural(consents));
    for (size_t i = 0; i < values_count(problems); i++)
        (void)printf("  %s%s%s\n", terminal_colour(&t, COLOUR_RED),
                     json_object_get_string(values_item(problems, i)), terminal_colour(&t, COLOUR_PLAIN));
    int64_t connections = values_number(status, "connections"), calls = values_number(status, "calls");
    int64_t logins = values_number(status, "logins");
    (void)printf("%-10s %" PRId64 " connection%s, %" PRId64 " call%s, %" PRId64 " login%s under way\n\n",
                 "now", connections, plural(connections), calls, plural(calls), logins, plural(logins));
}

/* What the words of `because` mean, and what a person can do. */
static const struct {
    const char *because;
    const char *text;
} reasons[] = {
    {"offline", "Amazon cannot be reached; is the network up?"},
    {"dns", "the name of Amazon's server is not found; is the network up?"},
    {"tls", "no secure connection to Amazon comes about; does the network want a sign-in, is ca_file right?"},
    {"clock",
     "Amazon's certificate is not valid at this time; is the clock of this device right (see `date`)?"},
    {"throttled", "Amazon asks for a pause"},
    {"server-error", "Amazon answers with errors"},
    {"captive-portal", "a web page answers in Amazon's place; does the network want a sign-in?"},
    {"ambiguous", "an answer was lost, and to ask again soon could end the login"},
    {"misconfigured", "Amazon refuses the client id; look at client_id in broker.conf"},
    {"store", "the login store cannot be written; is the disk full?"},
    {"resources", "the broker is short of memory or descriptors"},
};

static const char *explain(const char *because)
{
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
        if (strcmp(reasons[i].because, because) == 0)
            return reasons[i].text;
    return "";
}

static void hint_login(struct json_object *grant)
{
    _cleanup_strv_ struct strv scopes = STRV_EMPTY;
    _cleanup_free_ char *joined = values_join(values_list(grant, "scopes"), " ");
    if (!joined || strv_split(&scopes, joined, " ") < 0)
        return;
    const char *account = values_text(grant, "account");
    bus_hint_login(&(struct bus_context){&scopes, *account ? account : NULL});
}

/* What waits for what, and what a person should do about a login, after the table. */
static void print_hints(struct json_object *grants)
{
    int64_t now = wall_sec();
    for (size_t i = 0; i < values_count(grants); i++) {
        struct json_object *grant = values_item(grants, i);
        const char *state = values_text(grant, "state"), *reason = explain(values_text(grant, "because"));
        char next[TEXT_TIME_SIZE];
        if (strcmp(state, "dead") == 0)
            hint_login(grant);
        else if (*reason && (strcmp(state, "waiting") == 0 || strcmp(state, "clock") == 0))
            (void)printf("\n%s waits: %s\nThe next try is due %s.\n", values_text(grant, "account"), reason,
                         text_relative_time(values_number(grant, "next_try_at"), now, next));
    }
}

static int show(struct json_object *status)
{
    struct json_object *grants = values_list(status, "grants");
    print_broker(status);
    if (values_count(grants) == 0) {
        (void)printf("There is no login.\n");
        return 0;
    }
    int r = print_grants(grants);
    print_hints(grants);
    return r;
}

static int run(const struct command *command, const struct arguments *arguments)
{
    bool as_json = arguments->given[OPTION_JSON];
    _cleanup_bus_ struct bus bus = {NULL};
    _cleanup_message_ DBusMessage *call = NULL, *reply = NULL;
    _cleanup_json_ struct json_object *status = NULL;

    if (arguments->n_operands > 0)
        return options_usage(command, "status takes no operand, not `%s`", arguments->operands[0]);
    int r = bus_open(arguments, &bus);
    if (r == CTL_OK)
        r = bus_new_call(LWA_OBJECT_PATH, LWA_INTERFACE_STATUS, "Get", &call);
    if (r == CTL_OK)
        r = bus_call(&bus, call, "a{sv}", NULL, &reply);
    if (r != CTL_OK)
        return r;

    r = values_from_message(reply, 0, as_json ? VALUES_EXACT : VALUES_SAFE, &status);
    if (r == 0)
        r = as_json ? values_print(status, true, stdout) : show(status);
    return r < 0 ? report(CTL_FAILED, "out of memory") : CTL_OK;
}

static const struct option_spec options[] = {
    {OPTION_JSON, "json", NULL, "print one JSON object"},
};

const struct command command_status = {
    .name = "status",
    .synopsis = "status [--json]",
    .summary = "Show what the broker has loaded, and how each login is doing",
    .details = "States of a login: fresh, renewing, waiting (for the next try), clock (waiting, and perhaps\n"
               "the clock of this device is wrong), idle (no token asked for lately), dead (log in again),\n"
               "unproven (just logged in), foreign (made with another client id).\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .run = run,
};
