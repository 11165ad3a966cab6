/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl check: what the caller would get, without asking anyone. */

#include "client/lwactl/advice.h"
#include "client/lwactl/app.h"
#include "client/lwactl/grid.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/text.h"
#include "client/lwactl/values.h"

#include <string.h>

/* From the worst to the best: the exit code is that of the first that occurs. A verdict that is not known
 * counts as the worst. */
static const struct {
    const char *name;
    int code;
    enum colour colour;
    const char *words;
} verdicts[] = {
    {"deny", CTL_DENIED, COLOUR_RED, "the policy does not allow it"},
    {"login-required", CTL_LOGIN, COLOUR_YELLOW, "allowed, and no login carries it"},
    {"ask", CTL_CONSENT, COLOUR_YELLOW, "someone has to consent"},
    {"allow", CTL_OK, COLOUR_GREEN, "allowed"},
};

static size_t find_verdict(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++)
        if (strcmp(verdicts[i].name, name) == 0)
            return i;
    return 0;
}

static enum colour verdict_colour(const char *cell)
{
    return verdicts[find_verdict(cell)].colour;
}

static const struct grid_column columns[] = {
    {"SCOPE", 12, NULL},
    {"VERDICT", 0, verdict_colour},
    {"MEANING", 8, NULL},
};

/* Returns the place in `verdicts` of the worst answer; an answer without any scope is the worst. */
static size_t worst_of(struct json_object *answer)
{
    size_t worst = ARRAY_SIZE(verdicts) - 1;
    json_object_object_foreach(answer, scope, verdict)
    {
        size_t i = find_verdict(json_object_get_string(verdict));
        (void)scope;
        if (i < worst)
            worst = i;
    }
    return json_object_object_length(answer) > 0 ? worst : 0;
}

static int print_table(struct json_object *answer)
{
    _cleanup_grid_ struct grid grid = {.columns = columns, .n_columns = ARRAY_SIZE(columns)};
    struct terminal terminal = terminal_get();
    json_object_object_foreach(answer, scope, verdict)
    {
        const char *name = json_object_get_string(verdict);
        grid_add(&grid, scope);
        grid_add(&grid, name);
        grid_add(&grid, verdicts[find_verdict(name)].words);
    }
    return grid_print(&grid, &terminal, true, stdout);
}

/* What to do about the worst verdict. */
static void print_hint(const struct arguments *arguments, int code, const struct bus_context *context)
{
    _cleanup_bus_ struct bus bus = {NULL};
    if (code == CTL_OK || !bus_try_open(arguments, &bus))
        return;
    if (code == CTL_LOGIN) {
        struct bus_context login = *context;
        login.login_options = advice_is_about_device(&bus, context) ? "--device " : "";
        bus_hint_login(&login);
    } else {
        (void)advice_print(&bus, code == CTL_CONSENT ? BUS_E_CONSENT_REQUIRED : BUS_E_ACCESS_DENIED, context);
    }
}

static int read_verdicts(const struct lwa_verdicts *found, bool is_exact, struct json_object **ret)
{
    _cleanup_json_ struct json_object *answer = json_object_new_object();
    int r = answer ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < lwa_verdicts_get_count(found); i++) {
        const char *scope = lwa_verdicts_get_scope(found, i), *verdict = lwa_verdicts_get_verdict(found, i);
        _cleanup_free_ char *name = is_exact ? strdup(scope) : text_safe(scope);
        _cleanup_free_ char *word = is_exact ? strdup(verdict) : text_safe(verdict);
        r = name && word ? values_add(answer, name, json_object_new_string(word)) : -ENOMEM;
    }
    if (r == 0)
        *ret = TAKE_PTR(answer);
    return r;
}

static int show(const struct arguments *arguments, const struct bus_context *context,
                const struct lwa_verdicts *found)
{
    bool as_json = arguments->given[OPTION_JSON];
    _cleanup_json_ struct json_object *answer = NULL;
    int r = read_verdicts(found, as_json, &answer);
    if (r == 0)
        r = as_json ? values_print(answer, true, stdout) : print_table(answer);
    if (r < 0)
        return report(CTL_FAILED, "out of memory");

    int code = verdicts[worst_of(answer)].code;
    if (!as_json)
        print_hint(arguments, code, context);
    return code;
}

static void lwa_verdicts_freep(struct lwa_verdicts **found)
{
    (void)lwa_verdicts_free(*found);
}

static int run(const struct command *command, const struct arguments *arguments)
{
    _cleanup_strv_ struct strv scopes = STRV_EMPTY;
    _cleanup_free_ char *joined = NULL;
    _cleanup_client_ struct lwa_client *client = NULL;
    _cleanup_(lwa_verdicts_freep) struct lwa_verdicts *found = NULL;
    const char *account = arguments->values[OPTION_ACCOUNT];

    int r = options_scopes(command, arguments, &scopes);
    if (r == CTL_OK)
        r = app_scopes(arguments, &scopes, &joined);
    if (r == CTL_OK)
        r = app_open(arguments, &client);
    if (r != CTL_OK)
        return r;

    struct bus_context context = {.scopes = &scopes, .account = account, .is_app = true};
    if (lwa_client_check_scopes(client, joined, account, &found) < 0)
        return app_report(lwa_client_get_error(client), arguments, &context);
    return show(arguments, &context, found);
}

static const struct option_spec options[] = {
    {OPTION_ACCOUNT, "account", "ID", "the account to check (default: the caller's default)"},
    {OPTION_JSON, "json", NULL, "print one JSON object: scope and verdict"},
};

const struct command command_check = {
    .name = "check",
    .synopsis = "check SCOPE... [--account ID] [--json]",
    .summary = "Tell which scopes the caller would get, without asking anyone",
    .details = "The exit code is 0 when all scopes are allowed, else that of the worst verdict:\n"
               "3 for deny, 5 for login-required, 4 for ask.\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .run = run,
};
