/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl explain: why an app would get a token, or not, and what to do. */

#include "client/lwactl/chain.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/policy.h"
#include "client/lwactl/terminal.h"

#include <pwd.h>
#include <string.h>

/* The broker looks nobody up, since that may ask a server: what the user's number is goes along. */
static bool find_user(const struct arguments *arguments, uint32_t *ret_uid)
{
    const char *name = arguments->values[OPTION_USER], *app = arguments->operands[0];
    if (!name && strncmp(app, "user:", 5) == 0)
        name = app + 5;
    const struct passwd *user = name ? getpwnam(name) : NULL;
    if (user)
        *ret_uid = user->pw_uid;
    return user != NULL;
}

/* The broker asks for a number that only lwactl can find, and could not. */
static void hint_at_user(const struct arguments *arguments)
{
    uint32_t uid;
    const char *app = arguments->operands[0];
    if ((arguments->values[OPTION_USER] || strncmp(app, "user:", 5) == 0) && !find_user(arguments, &uid))
        report_hint(
            "there is no such user here; `getent passwd` lists the users, `lwactl who --all` the apps");
}

/* Root asks about the apps of others, and the answer is about its own. */
static void hint_at_root(const struct arguments *arguments, struct json_object *chain)
{
    const char *app = arguments->operands[0];
    if (*values_text(chain, "user") && values_number(chain, "uid") == 0 && !arguments->values[OPTION_USER] &&
        (strncmp(app, "flatpak:", 8) == 0 || strncmp(app, "snap:", 5) == 0))
        report_hint("this is the app as root runs it; --user NAME asks about it as NAME does");
}

static int run(const struct command *command, const struct arguments *arguments)
{
    _cleanup_strv_ struct strv scopes = STRV_EMPTY;
    _cleanup_json_ struct json_object *chain = NULL;
    uint32_t uid;

    if (arguments->n_operands == 0)
        return options_usage(command,
                             "explain takes an APP, such as user:musicd or flatpak:org.example.Player, and "
                             "scopes");
    struct arguments rest = options_without(arguments, 1);
    int r = options_scopes(command, &rest, &scopes);
    const struct policy_call call = {.member = "Explain",
                                     .app = arguments->operands[0],
                                     .scopes = &scopes,
                                     .takes_options = true,
                                     .uid = find_user(arguments, &uid) ? &uid : NULL,
                                     .signature = "a{sv}"};
    if (r != CTL_OK)
        return r;
    r = policy_call(&call, arguments, &chain);
    if (r == CTL_USAGE)
        hint_at_user(arguments);
    if (r != CTL_OK)
        return r;
    r = arguments->given[OPTION_JSON] ? values_print(chain, true, stdout) : chain_print(chain);
    if (!arguments->given[OPTION_JSON])
        hint_at_root(arguments, chain);
    return r < 0 ? report(CTL_FAILED, "out of memory") : chain_code(chain);
}

static const struct option_spec options[] = {
    {OPTION_ACCOUNT, "account", "ID", "the account that the app would name (default: the owner's default)"},
    {OPTION_USER, "user", "NAME", "the app as this user runs it, for administrators"},
    {OPTION_JSON, "json", NULL, "print the decision and its chain as one JSON object"},
};

const struct command command_explain = {
    .name = "explain",
    .synopsis = "explain APP SCOPE... [--account ID] [--user NAME] [--json]",
    .summary = "Say why an app would get a token or not, and what to do",
    .details =
        "Asks nobody and changes nothing. Shows who the app was seen as, which line of which file\n"
        "speaks of each scope, what was agreed to, what polkit says, and which login would serve. The\n"
        "exit code is 0 when it would get the token, else that of the error it would get.\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .run = run,
};
