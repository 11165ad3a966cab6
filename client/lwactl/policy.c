/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/policy.h"

#include "client/lwactl/audit-show.h"
#include "client/lwactl/grid.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/paragraph.h"
#include "client/lwactl/text.h"
#include "dbus/names.h"
#include "util/clock.h"

#include <inttypes.h>

static void write_lasting(struct writer *w, const struct arguments *arguments)
{
    if (arguments->given[OPTION_ONCE])
        writer_entry_string(w, "lasts", "once");
    if (arguments->given[OPTION_UNTIL_LOGOUT])
        writer_entry_string(w, "lasts", "logout");
    if (arguments->values[OPTION_DAYS]) {
        writer_entry_string(w, "lasts", "days");
        writer_entry_uint32(w, "days", (uint32_t)strtoul(arguments->values[OPTION_DAYS], NULL, 10));
    }
}

/* An a{sv} of those that are given. */
static void write_options(struct writer *w, const struct arguments *arguments, const uint32_t *uid)
{
    static const struct {
        enum ctl_option id;
        const char *name;
    } texts[] = {{OPTION_APP, "app"}, {OPTION_ACCOUNT, "account"}, {OPTION_USER, "user"}};

    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (arguments->values[texts[i].id])
            writer_entry_string(w, texts[i].name, arguments->values[texts[i].id]);
    if (arguments->given[OPTION_DEVICE])
        writer_entry_string(w, "owner", "device");
    if (arguments->given[OPTION_ALL])
        writer_entry_bool(w, "all", true);
    if (uid)
        writer_entry_uint32(w, "uid", *uid);
    write_lasting(w, arguments);
    writer_close(w);
}

static int call_broker(const struct policy_call *p, const struct arguments *arguments, DBusMessage **ret)
{
    _cleanup_bus_ struct bus bus = {NULL};
    _cleanup_message_ DBusMessage *call = NULL;
    int r = bus_open(arguments, &bus);
    if (r == CTL_OK)
        r = bus_new_call(LWA_OBJECT_PATH, LWA_INTERFACE_POLICY, p->member, &call);
    if (r != CTL_OK)
        return r;
    struct writer w;
    writer_begin(&w, call);
    if (p->app)
        writer_string(&w, p->app);
    if (p->account)
        writer_string(&w, p->account);
    if (p->scopes)
        writer_strv(&w, p->scopes);
    if (p->answer)
        writer_string(&w, p->answer);
    if (p->takes_options)
        write_options(&w, arguments, p->uid);
    r = bus_end_arguments(&w);
    return r == CTL_OK ? bus_call(&bus, call, p->signature, NULL, ret) : r;
}

int policy_call(const struct policy_call *call, const struct arguments *arguments, struct json_object **ret)
{
    _cleanup_message_ DBusMessage *reply = NULL;
    int r = call_broker(call, arguments, &reply);
    if (r != CTL_OK)
        return r;
    r = values_from_message(reply, 0, arguments->given[OPTION_JSON] ? VALUES_EXACT : VALUES_SAFE, ret);
    return r < 0 ? report(CTL_FAILED, "out of memory") : CTL_OK;
}

/* --- tokens that are out ------------------------------------------------------------------------------ */

/* The last one only for what is over. */
static const struct grid_column exposure_columns[] = {
    {"APP", 10, audit_app_colour},
    {"USER", 5, NULL},
    {"ACCOUNT", 7, NULL},
    {"TOKEN", 6, NULL},
    {"ENDS", 0, NULL},
    {"MAY CARRY", 12, NULL},
    {"TOLD", 0, NULL},
};

static const char no_revocation[] =
    "TOLD: the app was told to stop. Login with Amazon has no revocation that the broker could call; to end "
    "a "
    "token sooner, end its login at Amazon: the customer removes the app on https://amazon.com/ap/adam";

static int add_exposure(struct grid *grid, struct json_object *token, bool is_over)
{
    char ends[TEXT_TIME_SIZE], app[AUDIT_APP_SIZE];
    _cleanup_free_ char *scopes = values_join(values_list(token, "scopes"), " ");
    if (!scopes)
        return -ENOMEM;
    grid_add(grid, audit_app_cell(token, app));
    grid_add(grid, values_text(token, "user"));
    grid_add(grid, values_text(token, "account"));
    grid_add(grid, values_text(token, "token_id"));
    grid_add(grid, text_relative_time(values_number(token, "expires_at"), wall_sec(), ends));
    grid_add(grid, scopes);
    if (is_over)
        grid_add(grid, values_flag(token, "told") ? "yes" : "no");
    return 0;
}

int policy_print_exposure(struct json_object *exposure, bool is_over)
{
    _cleanup_grid_ struct grid grid = {.columns = exposure_columns,
                                       .n_columns = ARRAY_SIZE(exposure_columns) - (is_over ? 0 : 1)};
    struct terminal t = terminal_get();
    size_t n = values_count(exposure);
    if (n == 0) {
        (void)printf("No app holds a token that this takes back.\n");
        return 0;
    }
    (void)printf("\nStill usable until %s:\n", n == 1 ? "it ends" : "they end");
    for (size_t i = 0; i < n; i++) {
        int r = add_exposure(&grid, values_item(exposure, i), is_over);
        if (r < 0)
            return r;
    }
    int r = grid_print(&grid, &t, true, stdout);
    if (is_over)
        paragraph_print(&t, "", no_revocation, stdout);
    return r;
}

/* --- mistakes ----------------------------------------------------------------------------------------- */

static void print_problem(const struct terminal *t, struct json_object *problem)
{
    int64_t line = values_number(problem, "line");
    const char *red = terminal_colour(t, COLOUR_RED), *plain = terminal_colour(t, COLOUR_PLAIN);
    if (line > 0)
        (void)printf("%s%s:%" PRId64 ":%s %s\n", red, values_text(problem, "file"), line, plain,
                     values_text(problem, "problem"));
    else
        (void)printf("%s%s:%s %s\n", red, values_text(problem, "file"), plain,
                     values_text(problem, "problem"));
}

int policy_show_problems(struct json_object *problems, bool as_json, const char *praise)
{
    struct terminal t = terminal_get();
    size_t n = values_count(problems);
    if (as_json) {
        if (values_print(problems, true, stdout) < 0)
            return report(CTL_FAILED, "out of memory");
    } else {
        for (size_t i = 0; i < n; i++)
            print_problem(&t, values_item(problems, i));
        if (n == 0)
            (void)printf("%s\n", praise);
        else
            (void)report(CTL_CONFIGURATION,
                         "%zu mistake%s. A file of grants.d with a mistake grants nothing; the configuration "
                         "and the catalogue stay as they were, both, until neither has one. Each file is "
                         "searched up to its first mistake.",
                         n, n == 1 ? "" : "s");
    }
    return n == 0 ? CTL_OK : CTL_CONFIGURATION;
}
