/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl revoke: an app gets nothing more, and what it still holds is told. */

#include "client/lwactl/confirm.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/paragraph.h"
#include "client/lwactl/policy.h"
#include "client/lwactl/text.h"

static int ask_first(const struct command *command, const struct arguments *arguments)
{
    const char *app = arguments->operands[0];
    _cleanup_free_ char *question = NULL, *what = NULL;
    if (arguments->given[OPTION_YES])
        return CTL_OK;
    if (arguments->given[OPTION_JSON])
        return options_usage(command, "--json needs --yes: there is nobody to be asked");
    if (asprintf(&question, "Take back from %s all that it holds, and deny it every scope?", app) < 0)
        question = NULL;
    if (asprintf(&what, "revoke %s", app) < 0)
        what = NULL;
    return question && what ? confirm(question, what, "Nothing was revoked.")
                            : report(CTL_FAILED, "out of memory");
}

/* What follows, and how it is undone. */
static int tell(const struct arguments *arguments)
{
    const char *app = arguments->operands[0], *account = arguments->values[OPTION_ACCOUNT];
    const char *user = arguments->values[OPTION_USER];
    struct terminal t = terminal_get();
    _cleanup_free_ char *text = NULL, *safe = NULL;
    if (asprintf(&text,
                 "Revoked: %s gets no token of %s%s%s%s any more. `lwactl consent list --app %s%s` shows the "
                 "denial, and `lwactl consent revoke %s --account %s%s%s` takes it back.",
                 app, account ? "account " : "the accounts", account ? account : "", user ? " of " : "",
                 user ? user : "", app, user || geteuid() == 0 ? " --all" : "", app, account ? account : "ID",
                 user ? " --user " : "", user ? user : "") < 0)
        text = NULL; /* asprintf() leaves it undefined */
    if (!text || !(safe = text_safe(text)))
        return -ENOMEM;
    paragraph_print(&t, "", safe, stdout);
    return 0;
}

static int run(const struct command *command, const struct arguments *arguments)
{
    _cleanup_json_ struct json_object *exposure = NULL;
    if (arguments->n_operands != 1)
        return options_usage(command,
                             "revoke takes one APP, such as user:musicd or flatpak:org.example.Player");
    const struct policy_call call = {
        .member = "RevokeApp", .app = arguments->operands[0], .takes_options = true, .signature = "aa{sv}"};
    int r = ask_first(command, arguments);
    if (r == CTL_OK)
        r = policy_call(&call, arguments, &exposure);
    if (r != CTL_OK)
        return r;
    if (arguments->given[OPTION_JSON])
        r = values_print(exposure, true, stdout);
    else if ((r = tell(arguments)) == 0)
        r = policy_print_exposure(exposure, true);
    return r < 0 ? report(CTL_FAILED, "out of memory") : CTL_OK;
}

static const struct option_spec options[] = {
    {OPTION_ACCOUNT, "account", "ID", "of this account only (default: all of the owner's)"},
    {OPTION_USER, "user", "NAME", "of this user's accounts, for administrators"},
    {OPTION_YES, "yes", NULL, "revoke without asking"},
    {OPTION_JSON, "json", NULL, "print the tokens that are still out as JSON"},
};

const struct command command_revoke = {
    .name = "revoke",
    .synopsis = "revoke APP [--account ID] [--user NAME] [--yes] [--json]",
    .summary = "Take back what an app may hold, and tell which tokens are out",
    .details =
        "The app is denied every scope, whatever the table says, from the next call on; what was agreed\n"
        "before is forgotten, and the app is told to stop using its tokens. A token that is out can be\n"
        "used until it ends: Login with Amazon has no revocation, and the list shows what remains.\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .run = run,
};
