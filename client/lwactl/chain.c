/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/chain.h"

#include "client/lwactl/outcome.h"
#include "client/lwactl/paragraph.h"
#include "client/lwactl/strength.h"
#include "client/lwactl/text.h"
#include "dbus/names.h"
#include "util/clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

/* Where it is printed, the number of the next line, and the first failure, which sticks. */
struct view {
    struct terminal terminal;
    unsigned number;
    int error;
};

/* --- the outcome -------------------------------------------------------------------------------------- */

/* What GetToken would do: before and after the scopes. A text ends where the account is named. */
static const struct {
    enum bus_error error;
    const char *before, *after;
} results[] = {
    {BUS_E_ACCESS_DENIED, "would be refused ", ": the policy does not allow it"},
    {BUS_E_CONSENT_REQUIRED, "would have to ask before it gets ", ": someone has to consent"},
    {BUS_E_LOGIN_REQUIRED, "would get no token for ", ": no login carries them"},
    {BUS_E_NARROWER_LOGIN_REQUIRED, "would get no token for ",
     ": every login that carries them may carry more than it may have"},
    {BUS_E_NO_SUCH_ACCOUNT, "would get no token for ", ": there is no such account"},
};

static bool is_token(struct json_object *chain)
{
    return strcmp(values_text(chain, "result"), "token") == 0;
}

static enum bus_error result_error(struct json_object *chain)
{
    char name[128];
    (void)snprintf(name, sizeof(name), "%s%s", LWA_ERROR_PREFIX, values_text(chain, "result"));
    return bus_error_from_name(name);
}

int chain_code(struct json_object *chain)
{
    return is_token(chain) ? CTL_OK : outcome_of_error(result_error(chain))->code;
}

static char *outcome_text(struct json_object *chain, const char *scopes)
{
    const char *app = values_text(chain, "app"), *result = values_text(chain, "result");
    enum bus_error error = result_error(chain);
    const char *before = "would get no token for ", *after = NULL;
    char *text;
    for (size_t i = 0; i < ARRAY_SIZE(results); i++)
        if (results[i].error == error) {
            before = results[i].before;
            after = results[i].after;
        }
    int r = is_token(chain) ? asprintf(&text, "%s would get a token for %s.", app, scopes)
            : after         ? asprintf(&text, "%s %s%s%s (%s).", app, before, scopes, after, result)
                            : asprintf(&text, "%s %s%s (%s). %s", app, before, scopes, result,
                                       outcome_of_error(error)->sentence);
    return r < 0 ? NULL : text;
}

static void print_outcome(struct view *v, struct json_object *chain)
{
    _cleanup_free_ char *scopes = values_join(values_list(chain, "asked"), " ");
    _cleanup_free_ char *text = scopes ? outcome_text(chain, scopes) : NULL;
    if (!text) {
        v->error = -ENOMEM;
        return;
    }
    enum colour colour = is_token(chain) ? COLOUR_GREEN : COLOUR_RED;
    (void)fputs(terminal_colour(&v->terminal, colour), stdout);
    paragraph_print(&v->terminal, "", text, stdout);
    (void)fputs(terminal_colour(&v->terminal, COLOUR_PLAIN), stdout);
}

/* --- lines -------------------------------------------------------------------------------------------- */

/* Prints a line behind `lead`; what it is made of is safe. */
static void print(struct view *v, const char *lead, const char *format, ...) _printf_(3, 4);
static void print(struct view *v, const char *lead, const char *format, ...)
{
    _cleanup_free_ char *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0) {
        text = NULL;
        v->error = -ENOMEM;
    }
    va_end(args);
    if (text)
        paragraph_print(&v->terminal, lead, text, stdout);
}

static const char *numbered(struct view *v, char lead[static 16])
{
    (void)snprintf(lead, 16, "%2u. ", ++v->number);
    return lead;
}

#define LEAD_TABLE "      table    "
#define LEAD_CONSENT "      consent  "
#define LEAD_DEFAULT "      default  "
#define LEAD_POLKIT "      polkit   "

static const char *find_words(const char *const (*words)[2], size_t n, const char *key, const char *fallback)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(words[i][0], key) == 0)
            return words[i][1];
    return fallback;
}

#define WORDS(words, key, fallback) find_words(words, ARRAY_SIZE(words), key, fallback)

/* --- who ---------------------------------------------------------------------------------------------- */

static void print_fact(struct view *v, const char *lead, const char *value)
{
    if (*value)
        print(v, lead, "%s", value);
}

static void print_seen(struct view *v, struct json_object *chain)
{
    char lead[16];
    const char *strength = values_text(chain, "strength");
    print(v, numbered(v, lead), "Seen as %s, strength %s: %s", values_text(chain, "app"),
          *strength ? strength : "unknown", strength_meaning(strength, "nobody vouches for it"));
    if (*values_text(chain, "user"))
        print(v, "      user     ", "%s (%" PRId64 ")", values_text(chain, "user"),
              values_number(chain, "uid"));
    print_fact(v, "      unit     ", values_text(chain, "unit"));
    print_fact(v, "      program  ", values_text(chain, "exe"));
    if (!values_flag(chain, "connected"))
        print(v, "      ", "not connected now, so this follows from its name alone");
    else if (!values_flag(chain, "pinned"))
        print(v, "      ", "not pinned: its connection is older than what was looked at");
}

static void print_account(struct view *v, struct json_object *chain)
{
    char lead[16];
    const char *account = values_text(chain, "account"), *owner = values_text(chain, "owner");
    if (*account)
        print(v, numbered(v, lead), "Account %s of %s", account,
              strcmp(owner, "device") == 0 ? "the device" : owner);
    else
        print(v, numbered(v, lead), "No account: nobody has logged in for it");
}

/* --- the scopes --------------------------------------------------------------------------------------- */

static void print_table(struct view *v, struct json_object *scope)
{
    const char *table = values_text(scope, "table"), *file = values_text(scope, "file");
    const char *section = values_text(scope, "section");
    char line[24] = "";
    if (strcmp(table, "none") == 0 || !*table) {
        print(v, LEAD_TABLE, "says nothing of it");
        return;
    }
    if (values_number(scope, "line") > 0)
        (void)snprintf(line, sizeof(line), ":%" PRId64, values_number(scope, "line"));
    print(v, LEAD_TABLE, "%s%s%s%s%s%s%s", table, *file ? ", " : "", file, line, *section ? " in [" : "",
          section, *section ? "]" : "");
}

static void print_consent(struct view *v, struct json_object *scope)
{
    char since[TEXT_TIME_SIZE], until[TEXT_TIME_SIZE];
    const char *consent = values_text(scope, "consent"), *lasts = values_text(scope, "consent_lasts");
    int64_t now = wall_sec(), until_sec = values_number(scope, "consent_until");
    if (strcmp(consent, "none") == 0 || !*consent) {
        print(v, LEAD_CONSENT, "nobody has answered");
        return;
    }
    print(v, LEAD_CONSENT, "%s, %s, %s%s", consent,
          text_relative_time(values_number(scope, "consent_since"), now, since),
          until_sec > 0                  ? "ends "
          : strcmp(lasts, "logout") == 0 ? "until logout"
                                         : lasts,
          until_sec > 0 ? text_relative_time(until_sec, now, until) : "");
}

/* Whether it would be polkit's to decide, and nobody is there about whom to ask it. */
static bool is_left_to_polkit(struct json_object *chain, struct json_object *scope)
{
    return strcmp(values_text(chain, "polkit_subject"), "none") == 0 &&
           strcmp(values_text(scope, "polkit"), "not-asked") == 0 &&
           strcmp(values_text(scope, "verdict"), "deny") != 0;
}

/* Only what had a say: the default where the table has none, consent where it is asked for or given. */
static void print_scope(struct view *v, struct json_object *chain, struct json_object *scope)
{
    static const char *const answers[][2] = {
        {"yes", "yes"},
        {"no", "no"},
        {"challenge", "wants a person to authenticate"},
        {"unavailable", "cannot be asked"},
        {"not-asked", "not asked, since it is decided before"},
    };
    char lead[16];
    const char *table = values_text(scope, "table"), *fallback = values_text(scope, "default");
    const char *consent = values_text(scope, "consent"), *polkit = values_text(scope, "polkit");
    bool is_default = strcmp(table, "none") == 0 || !*table;
    print(v, numbered(v, lead), "%s: %s%s", values_text(scope, "scope"), values_text(scope, "verdict"),
          values_flag(scope, "asked") ? "" : " (not asked for, but the token would carry it)");
    print_table(v, scope);
    if (is_default)
        print(v, LEAD_DEFAULT, "%s", *fallback ? fallback : "-");
    if (strcmp(is_default ? fallback : table, "ask") == 0 || (*consent && strcmp(consent, "none") != 0))
        print_consent(v, scope);
    print(v, LEAD_POLKIT, "%s",
          is_left_to_polkit(chain, scope) ? "not asked, see below"
                                          : WORDS(answers, polkit, *polkit ? polkit : "-"));
}

/* --- the logins --------------------------------------------------------------------------------------- */

static void print_login(struct view *v, struct json_object *grant)
{
    static const char *const fits[][2] = {
        {"chosen", "serves, and is taken"},
        {"fits", "would serve too"},
        {"too-wide", "too wide"},
        {"does-not-cover", "does not carry what is asked for"},
        {"dead", "has ended; log in again"},
        {"foreign", "made with another client id or provider"},
    };
    char lead[16];
    const char *fit = values_text(grant, "fits"), *state = values_text(grant, "state");
    _cleanup_free_ char *carries = values_join(values_list(grant, "carries"), " ");
    _cleanup_free_ char *may_carry = values_join(values_list(grant, "may_carry"), " ");
    _cleanup_free_ char *too_wide = values_join(values_list(grant, "too_wide"), " ");
    if (!carries || !may_carry || !too_wide) {
        v->error = -ENOMEM;
        return;
    }
    print(v, numbered(v, lead), "Login %" PRId64 "%s%s%s: %s%s%s", values_number(grant, "grant"),
          *state ? " (" : "", state, *state ? ")" : "", WORDS(fits, fit, fit),
          *too_wide ? ": it may carry " : "", too_wide);
    print(v, "      carries  ", "%s%s%s", *carries ? carries : "nothing",
          strcmp(carries, may_carry) == 0 ? "" : "; may carry ",
          strcmp(carries, may_carry) == 0 ? "" : may_carry);
}

/* --- all ---------------------------------------------------------------------------------------------- */

static bool is_any_left_to_polkit(struct json_object *chain)
{
    struct json_object *scopes = values_list(chain, "scopes");
    for (size_t i = 0; i < values_count(scopes); i++)
        if (is_left_to_polkit(chain, values_item(scopes, i)))
            return true;
    return false;
}

static void print_polkit_subject(struct view *v, struct json_object *chain)
{
    const char *subject = values_text(chain, "polkit_subject");
    if (strcmp(subject, "caller") == 0)
        print(v, "    ",
              "polkit was asked about you, since the app is not connected: a rule may answer it "
              "differently.");
    else if (is_any_left_to_polkit(chain))
        print(v, "    ", "polkit was not asked: %s",
              values_flag(chain, "connected")
                  ? "it allows root everything, so for root's apps the broker's own verdict counts"
                  : "the app is not connected, and rules see who asks; one may still refuse it");
}

static void print_advice(struct view *v, struct json_object *advice)
{
    if (values_count(advice) == 0)
        return;
    (void)printf("\nWhat to do:\n");
    for (size_t i = 0; i < values_count(advice); i++)
        print(v, "  - ", "%s", json_object_get_string(values_item(advice, i)));
}

int chain_print(struct json_object *chain)
{
    struct view v = {.terminal = terminal_get()};
    struct json_object *scopes = values_list(chain, "scopes"), *grants = values_list(chain, "grants");
    print_outcome(&v, chain);
    (void)putchar('\n');
    print_seen(&v, chain);
    print_account(&v, chain);
    for (size_t i = 0; i < values_count(scopes); i++)
        print_scope(&v, chain, values_item(scopes, i));
    print_polkit_subject(&v, chain);
    for (size_t i = 0; i < values_count(grants); i++)
        print_login(&v, values_item(grants, i));
    print_advice(&v, values_list(chain, "advice"));
    return v.error;
}
