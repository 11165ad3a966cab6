/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl audit who-has: which app holds a token now that carries a scope, and how it is taken back. */

#include "client/lwactl/audit-call.h"
#include "client/lwactl/audit-show.h"
#include "client/lwactl/audit.h"
#include "client/lwactl/grid.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/paragraph.h"
#include "client/lwactl/shell-word.h"
#include "client/lwactl/text.h"
#include "util/clock.h"

#include <string.h>

#define ROWS_MAX 1000 /* what the broker tells at once */

static const struct grid_column columns[] = {
    {"APP", 12, audit_app_colour},
    {"USER", 5, NULL},
    {"ACCOUNT", 7, NULL},
    {"GIVEN", 0, NULL},
    {"ENDS", 0, NULL},
    {"AT", 0, NULL},
    {"CARRIES", 8, NULL},
};

static const char no_revocation[] =
    "An app that is revoked gets no further token. One that it has works until it ends: Login with Amazon "
    "has "
    "no revocation that the broker could call. To end it sooner the customer removes the app on "
    "https://amazon.com/ap/adam, which ends the login too.";

static int add_row(struct grid *grid, struct json_object *holder, int64_t now)
{
    char given[TEXT_TIME_SIZE], ends[TEXT_TIME_SIZE], at[TEXT_TIME_SIZE], app[AUDIT_APP_SIZE];
    int64_t expires_at = values_number(holder, "expires_at");
    _cleanup_free_ char *scopes = values_join(values_list(holder, "scopes"), " ");
    if (!scopes)
        return -ENOMEM;
    grid_add(grid, audit_app_cell(holder, app));
    grid_add(grid, values_text(holder, "user"));
    grid_add(grid, values_text(holder, "account"));
    grid_add(grid, text_relative_time(values_number(holder, "since"), now, given));
    grid_add(grid, text_relative_time(expires_at, now, ends));
    grid_add(grid, text_time(expires_at, at));
    grid_add(grid, scopes);
    return 0;
}

/* One command for each app and owner of an account. */
static int list_commands(struct json_object *holders, struct strv *ret)
{
    for (size_t i = 0; i < values_count(holders); i++) {
        struct json_object *holder = values_item(holders, i);
        if (audit_is_unreadable(holder))
            continue;
        _cleanup_free_ char *text = shell_revoke(values_text(holder, "app"), values_text(holder, "owner"));
        if (!text || (!strv_contains(ret, text) && strv_add(ret, text) < 0))
            return -ENOMEM;
    }
    return 0;
}

static int print_holders(struct json_object *holders, const char *scope)
{
    _cleanup_grid_ struct grid grid = {.columns = columns, .n_columns = ARRAY_SIZE(columns)};
    _cleanup_strv_ struct strv commands = STRV_EMPTY;
    struct terminal t = terminal_get();
    size_t n = values_count(holders);
    int r = list_commands(holders, &commands);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = add_row(&grid, values_item(holders, i), wall_sec());
    if (r < 0)
        return r;

    if (n == 1)
        (void)printf("One token that is out carries %s:\n\n", scope);
    else
        (void)printf("%zu tokens that are out carry %s:\n\n", n, scope);
    r = grid_print(&grid, &t, true, stdout);
    if (n >= ROWS_MAX)
        (void)printf("There may be more: these are the newest %d.\n", ROWS_MAX);
    if (commands.n > 0)
        (void)printf("\nTo take it back:\n");
    for (size_t i = 0; i < commands.n; i++)
        (void)printf("  %s\n", commands.items[i]);
    (void)putchar('\n');
    paragraph_print(&t, "", no_revocation, stdout);
    return r;
}

static int print_none(const char *scope, bool own)
{
    (void)printf("No app holds a token%s that carries %s.\n", own ? " of your accounts" : "", scope);
    return 0;
}

int audit_who_has(_unused_ const struct command *command, const struct arguments *arguments)
{
    bool as_json = arguments->given[OPTION_JSON], own = arguments->given[OPTION_OWN];
    const char *scope = arguments->operands[0];
    _cleanup_bus_ struct bus bus = {NULL};
    _cleanup_json_ struct json_object *holders = NULL;
    int r = bus_open(arguments, &bus);
    if (r == CTL_OK)
        r = audit_call_who_has(&bus, scope, own, as_json ? VALUES_EXACT : VALUES_SAFE, &holders);
    if (r != CTL_OK)
        return r;
    _cleanup_free_ char *safe = text_safe(scope);
    if (!safe)
        r = -ENOMEM;
    else if (as_json)
        r = values_print_lines(holders, stdout);
    else
        r = values_count(holders) > 0 ? print_holders(holders, safe) : print_none(safe, own);
    return r < 0 ? report(CTL_FAILED, "out of memory") : CTL_OK;
}
