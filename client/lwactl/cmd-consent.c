/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl consent: what owners of accounts have answered about apps; list, allow, deny, revoke. */

#include "client/lwactl/grid.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/paragraph.h"
#include "client/lwactl/policy.h"
#include "client/lwactl/text.h"
#include "util/clock.h"

#include <string.h>

#define DAYS_MAX 3650

static enum colour answer_colour(const char *cell)
{
    if (strcmp(cell, "allow") == 0)
        return COLOUR_GREEN;
    return strcmp(cell, "deny") == 0 ? COLOUR_RED : COLOUR_PLAIN;
}

static const struct grid_column columns[] = {
    {"APP", 12, NULL},   {"OWNER", 6, NULL}, {"ACCOUNT", 7, NULL}, {"ANSWER", 0, answer_colour},
    {"SCOPE", 12, NULL}, {"LASTS", 0, NULL}, {"SINCE", 0, NULL},   {"BY", 5, NULL},
    {"HOW", 0, NULL},
};

static void add_row(struct grid *grid, struct json_object *consent)
{
    char since[TEXT_TIME_SIZE], until[TEXT_TIME_SIZE], ends[TEXT_TIME_SIZE + 8];
    const char *scope = values_text(consent, "scope"), *lasts = values_text(consent, "lasts");
    int64_t now = wall_sec(), until_sec = values_number(consent, "until");
    (void)snprintf(ends, sizeof(ends), "ends %s", text_relative_time(until_sec, now, until));
    grid_add(grid, values_text(consent, "app"));
    grid_add(grid, values_text(consent, "owner"));
    grid_add(grid, values_text(consent, "account"));
    grid_add(grid, values_text(consent, "answer"));
    grid_add(grid, *scope ? scope : "every scope");
    grid_add(grid, until_sec > 0 ? ends : strcmp(lasts, "logout") == 0 ? "until logout" : lasts);
    grid_add(grid, text_relative_time(values_number(consent, "since"), now, since));
    grid_add(grid, values_text(consent, "by"));
    grid_add(grid, values_text(consent, "how"));
}

static int print_table(struct json_object *consents)
{
    _cleanup_grid_ struct grid grid = {.columns = columns, .n_columns = ARRAY_SIZE(columns)};
    struct terminal terminal = terminal_get();
    for (size_t i = 0; i < values_count(consents); i++)
        add_row(&grid, values_item(consents, i));
    return grid_print(&grid, &terminal, true, stdout);
}

static int run_list(const struct command *command, const struct arguments *arguments)
{
    static const struct policy_call call = {
        .member = "ListConsents", .takes_options = true, .signature = "aa{sv}"};
    _cleanup_json_ struct json_object *consents = NULL;

    static const enum ctl_option others[] = {OPTION_DEVICE, OPTION_USER, OPTION_ONCE, OPTION_UNTIL_LOGOUT,
                                             OPTION_DAYS};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        if (arguments->given[others[i]])
            return options_usage(command, "consent list takes only --app, --account, --all and --json");
    if (arguments->n_operands > 1)
        return options_usage(command, "consent list takes no operand, not `%s`", arguments->operands[1]);
    int r = policy_call(&call, arguments, &consents);
    if (r != CTL_OK)
        return r;
    if (arguments->given[OPTION_JSON])
        r = values_print(consents, true, stdout);
    else if (values_count(consents) > 0)
        r = print_table(consents);
    else
        (void)printf(
            arguments->given[OPTION_ALL]
                ? "No answer is remembered.\n"
                : "No answer about your accounts is remembered; an administrator sees those about the "
                  "device's with --all.\n");
    return r < 0 ? report(CTL_FAILED, "out of memory") : CTL_OK;
}

/* --- allow, deny, revoke ------------------------------------------------------------------------------ */

static const struct verb {
    const char *name;
    const char *answer; /* of SetConsent */
    bool needs_scopes;
    bool lasts;
} verbs[] = {
    {"allow", "allow", true, true},
    {"deny", "deny", false, true},
    {"revoke", "forget", false, false},
};

static const char *lasting(const struct arguments *arguments, char buffer[static TEXT_TIME_SIZE])
{
    if (arguments->given[OPTION_ONCE])
        return "for one token";
    if (!arguments->values[OPTION_DAYS])
        return "until the account is removed";
    (void)snprintf(buffer, TEXT_TIME_SIZE, "for %.10s days", arguments->values[OPTION_DAYS]);
    return buffer;
}

/* What follows from the answer, as one safe text; NULL when memory is out. */
static char *consequence(const struct verb *verb, const struct arguments *arguments,
                         const struct strv *scopes)
{
    char buffer[TEXT_TIME_SIZE];
    const char *app = arguments->operands[1], *lasts = lasting(arguments, buffer);
    _cleanup_free_ char *names = strv_join(scopes, " "), *text = NULL;
    int r = -1;
    if (!names)
        return NULL;
    if (strcmp(verb->name, "allow") == 0)
        r = asprintf(&text,
                     "Agreed, %s: %s may hold %s where the policy asks. What the policy denies stays denied; "
                     "`lwactl explain %s %s` shows what follows.",
                     lasts, app, names, app, names);
    else if (strcmp(verb->name, "deny") == 0)
        r = asprintf(&text, "Denied, %s: %s gets no token that may carry %s, whatever the policy allows.",
                     lasts, app, *names ? names : "anything");
    else
        r = asprintf(&text,
                     "Forgotten: what was answered about %s%s%s. The policy alone decides, and asks again "
                     "where it says so.",
                     app, *names ? " and " : "", names);
    if (r < 0)
        text = NULL; /* asprintf() leaves it undefined */
    return text ? text_safe(text) : NULL;
}

static int tell(const struct verb *verb, const struct arguments *arguments, const struct strv *scopes,
                struct json_object *exposure)
{
    struct terminal t = terminal_get();
    _cleanup_free_ char *text = consequence(verb, arguments, scopes);
    if (!text)
        return -ENOMEM;
    paragraph_print(&t, "", text, stdout);
    return verb->needs_scopes ? 0 : policy_print_exposure(exposure, true);
}

static int check_lasting(const struct command *command, const struct arguments *arguments,
                         const struct verb *verb)
{
    const char *days = arguments->values[OPTION_DAYS];
    bool once = arguments->given[OPTION_ONCE], logout = arguments->given[OPTION_UNTIL_LOGOUT];
    unsigned number;
    if (once + logout + (days != NULL) > 1)
        return options_usage(command, "--once, --until-logout and --days exclude each other");
    if (!verb->lasts && (once || logout || days))
        return options_usage(command, "consent %s takes neither --once nor --until-logout nor --days",
                             verb->name);
    if (once && !verb->needs_scopes)
        return options_usage(command, "--once goes with allow only");
    return days ? options_number(command, "days", days, 1, DAYS_MAX, &number) : CTL_OK;
}

static int set(const struct verb *verb, const struct arguments *arguments, const struct strv *scopes)
{
    _cleanup_json_ struct json_object *exposure = NULL;
    const char *account = arguments->values[OPTION_ACCOUNT];
    struct arguments others = *arguments; /* the account is an argument of its own */
    others.values[OPTION_ACCOUNT] = NULL;
    const struct policy_call call = {.member = "SetConsent",
                                     .app = arguments->operands[1],
                                     .account = account ? account : "",
                                     .scopes = scopes,
                                     .answer = verb->answer,
                                     .takes_options = true,
                                     .signature = "aa{sv}"};
    int r = policy_call(&call, &others, &exposure);
    if (r != CTL_OK)
        return r;
    r = arguments->given[OPTION_JSON] ? values_print(exposure, true, stdout)
                                      : tell(verb, arguments, scopes, exposure);
    return r < 0 ? report(CTL_FAILED, "out of memory") : CTL_OK;
}

static int run_set(const struct command *command, const struct arguments *arguments, const struct verb *verb)
{
    _cleanup_strv_ struct strv scopes = STRV_EMPTY;
    if (arguments->given[OPTION_APP] || arguments->given[OPTION_ALL])
        return options_usage(command, "--app and --all go with the list only");
    if (arguments->n_operands < 2)
        return options_usage(command,
                             "consent %s takes an APP, such as user:musicd or flatpak:org.example.Player",
                             verb->name);
    int r = check_lasting(command, arguments, verb);
    struct arguments rest = options_without(arguments, 2);
    if (r == CTL_OK && (verb->needs_scopes || rest.n_operands > 0))
        r = options_scopes(command, &rest, &scopes);
    return r == CTL_OK ? set(verb, arguments, &scopes) : r;
}

static int run(const struct command *command, const struct arguments *arguments)
{
    static const char *const names[] = {"list", "allow", "deny", "revoke"};
    const char *word = arguments->n_operands > 0 ? arguments->operands[0] : "list";

    if (arguments->given[OPTION_DEVICE] && arguments->given[OPTION_USER])
        return options_usage(command, "--device and --user exclude each other");
    if (strcmp(word, "list") == 0)
        return run_list(command, arguments);
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        if (strcmp(verbs[i].name, word) == 0)
            return run_set(command, arguments, &verbs[i]);
    return options_unknown(command, "consent command ", word, names, ARRAY_SIZE(names));
}

static const struct option_spec options[] = {
    {OPTION_ACCOUNT, "account", "ID", "the account (list: only this one; else default: the default one)"},
    {OPTION_DEVICE, "device", NULL, "the device's account, not one of the caller's"},
    {OPTION_USER, "user", "NAME", "an account of this user's, for administrators"},
    {OPTION_ONCE, "once", NULL, "allow: good for one token"},
    {OPTION_UNTIL_LOGOUT, "until-logout", NULL, "good until the account is removed (default)"},
    {OPTION_DAYS, "days", "N", "good for N days (1 to 3650)"},
    {OPTION_APP, "app", "APP", "list: only this app"},
    {OPTION_ALL, "all", NULL, "list: the answers of all owners"},
    {OPTION_JSON, "json", NULL, "print the list, or the tokens that are still out, as JSON"},
};

const struct command command_consent = {
    .name = "consent",
    .synopsis = "consent [list] [--app APP] [--account ID] [--all] [--json]\n"
                "consent allow APP SCOPE... [--account ID] [--device] [--user NAME]\n"
                "        [--once | --until-logout | --days N] [--json]\n"
                "consent deny APP [SCOPE...] [--account ID] [--device] [--user NAME]\n"
                "        [--until-logout | --days N] [--json]\n"
                "consent revoke APP [SCOPE...] [--account ID] [--device] [--user NAME] [--json]",
    .summary = "List what owners agreed to; allow, deny, or forget an answer",
    .details =
        "An answer is the account owner's, for one app and one account; for the device's account it is\n"
        "an administrator's. Where the policy says `ask`, `allow` is enough for the app to get its\n"
        "token without a prompt. `deny` without scopes denies every scope, whatever the policy allows.\n"
        "`revoke` forgets the answers; of a denial polkit asks the owner, as of what is allowed.\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .run = run,
};
