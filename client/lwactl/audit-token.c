/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl audit token: who was given a token that was found somewhere, and what to do about it.
 *
 * 1. The token comes by standard input and goes to the broker in a sealed memory file (token-input.h).
 * 2. FindToken answers with the records that have its fingerprint. Those of a disclosure name the apps.
 * 3. What the same apps did since is asked for besides; so is where the trail begins when nothing was found.
 */

#include "client/lwactl/audit-call.h"
#include "client/lwactl/audit-query.h"
#include "client/lwactl/audit-show.h"
#include "client/lwactl/audit.h"
#include "client/lwactl/grid.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/paragraph.h"
#include "client/lwactl/shell-word.h"
#include "client/lwactl/strength.h"
#include "client/lwactl/text.h"
#include "client/lwactl/token-input.h"
#include "util/clock.h"

#include <inttypes.h>
#include <string.h>

#define SINCE_MAX 10 /* records of what happened since */

struct story {
    struct bus *bus;
    struct json_object *records; /* oldest first */
    struct terminal terminal;
    int64_t now_sec;
    int64_t first_sec; /* when it was first handed out */
    int64_t ends_sec;  /* of the token; 0: not known */
    struct strv apps;  /* who was given it */
};

static void story_clear(struct story *s)
{
    strv_clear(&s->apps);
}

static bool is_disclosure(struct json_object *record)
{
    return strcmp(values_text(record, "event"), "token-disclosed") == 0;
}

static int read_story(struct story *s)
{
    for (size_t i = 0; i < values_count(s->records); i++) {
        struct json_object *record = values_item(s->records, i);
        const char *app = values_text(record, "app");
        int64_t ends = values_number(record, "expires_at");
        if (ends > s->ends_sec)
            s->ends_sec = ends;
        if (!is_disclosure(record))
            continue;
        if (s->first_sec == 0)
            s->first_sec = values_number(record, "time");
        if (!strv_contains(&s->apps, app) && strv_add(&s->apps, app) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* --- who was given it --------------------------------------------------------------------------------- */

static void print_fact(const struct story *s, const char *name, const char *text, const char *between,
                       const char *more)
{
    char lead[24];
    _cleanup_free_ char *line = NULL;
    if (!*text && !*more)
        return;
    (void)snprintf(lead, sizeof(lead), "    %-9s", name);
    if (asprintf(&line, "%s%s%s", text, *text && *more ? between : "", more) < 0)
        line = NULL;
    paragraph_print(&s->terminal, lead, line ? line : "out of memory", stdout);
}

static void print_holder(const struct story *s, struct json_object *record)
{
    char when[TEXT_TIME_SIZE], ago[TEXT_TIME_SIZE], text[96], uid[32] = "";
    int64_t time = values_number(record, "time"), repeats = values_number(record, "repeats");
    if (json_object_object_get_ex(record, "uid", NULL))
        (void)snprintf(uid, sizeof(uid), ", uid %" PRId64, values_number(record, "uid"));
    (void)printf("\n  %s%s%s%s\n", terminal_colour(&s->terminal, COLOUR_BOLD), values_text(record, "app"),
                 terminal_colour(&s->terminal, COLOUR_PLAIN), uid);
    (void)snprintf(text, sizeof(text), "%s, %s", text_time(time, when),
                   text_relative_time(time, s->now_sec, ago));
    print_fact(s, "given", text, "", "");
    if (repeats > 0) {
        (void)snprintf(text, sizeof(text), "%" PRId64 " more time%s", repeats, repeats == 1 ? "" : "s");
        print_fact(s, "again", text, "", "");
    }
    print_fact(s, "account", values_text(record, "account"), " of ",
               audit_owner(values_text(record, "owner")));
    print_fact(s, "carries", values_text(record, "carried"), "", "");
    print_fact(s, "because", values_text(record, "verdict"), ", by ",
               audit_decider(values_text(record, "decided_by")));
    print_fact(s, "known by", values_text(record, "strength"), ": ",
               strength_meaning(values_text(record, "strength"), ""));
    print_fact(s, "program", values_text(record, "program"), "", "");
    print_fact(s, "unit", values_text(record, "unit"), "", "");
    (void)snprintf(text, sizeof(text), "%" PRId64, values_number(record, "sequence"));
    print_fact(s, "record", text, "", "");
}

static void print_holders(const struct story *s)
{
    if (s->apps.n == 1)
        (void)printf("One app was given this token:\n");
    else
        (void)printf("%zu apps were given this token; each of them may have let it out:\n", s->apps.n);
    for (size_t i = 0; i < values_count(s->records); i++)
        if (is_disclosure(values_item(s->records, i)))
            print_holder(s, values_item(s->records, i));
    (void)putchar('\n');
}

static void print_danger(const struct story *s)
{
    char when[TEXT_TIME_SIZE], relative[TEXT_TIME_SIZE], text[256];
    bool is_over = s->ends_sec > 0 && s->ends_sec <= s->now_sec;
    if (is_over)
        (void)snprintf(text, sizeof(text),
                       "It ended %s (%s): it opens nothing any more. Who let it out may do so again.",
                       text_relative_time(s->ends_sec, s->now_sec, relative), text_time(s->ends_sec, when));
    else if (s->ends_sec > 0)
        (void)snprintf(text, sizeof(text), "It is DANGEROUS until %s (%s): who has it can use it until then.",
                       text_time(s->ends_sec, when), text_relative_time(s->ends_sec, s->now_sec, relative));
    else
        (void)snprintf(text, sizeof(text), "It is not known when it ends: take it for dangerous.");
    (void)fputs(terminal_colour(&s->terminal, is_over ? COLOUR_PLAIN : COLOUR_RED), stdout);
    paragraph_print(&s->terminal, "", text, stdout);
    (void)fputs(terminal_colour(&s->terminal, COLOUR_PLAIN), stdout);
}

/* --- what to do --------------------------------------------------------------------------------------- */

static int add_once(struct strv *commands, char *text)
{
    _cleanup_free_ char *owned = text;
    return !owned || (!strv_contains(commands, owned) && strv_add(commands, owned) < 0) ? -ENOMEM : 0;
}

static int list_commands(const struct story *s, struct strv *revoke, struct strv *accounts)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < values_count(s->records); i++) {
        struct json_object *record = values_item(s->records, i);
        if (!is_disclosure(record))
            continue;
        r = add_once(revoke, shell_revoke(values_text(record, "app"), values_text(record, "owner")));
        if (r == 0)
            r = add_once(accounts,
                         shell_remove(values_text(record, "account"), values_text(record, "owner")));
    }
    return r;
}

static void print_steps(const struct story *s, const struct strv *revoke, const struct strv *accounts)
{
    bool is_over = s->ends_sec > 0 && s->ends_sec <= s->now_sec;
    (void)printf("\nWhat to do:\n");
    paragraph_print(&s->terminal, "  1. ",
                    revoke->n == 1 ? "So that the app gets no further token, until its leak is mended:"
                                   : "So that they get no further token, until the leak is mended:",
                    stdout);
    for (size_t i = 0; i < revoke->n; i++)
        (void)printf("       %s\n", revoke->items[i]);
    paragraph_print(
        &s->terminal, "  2. ",
        is_over ? "This token cannot be used any more. Only if others may be out too, end the login that "
                  "it came from: its customer removes the app on https://amazon.com/ap/adam, and then:"
                : "To end this token sooner, end the login that it came from (Login with Amazon has no "
                  "revocation that the broker could call): its customer removes the app on "
                  "https://amazon.com/ap/adam, and then:",
        stdout);
    for (size_t i = 0; i < accounts->n; i++)
        (void)printf("       %s\n", accounts->items[i]);
    paragraph_print(&s->terminal, "     ",
                    "and log in again with `lwactl login`, for the device with `lwactl login --device`.",
                    stdout);
}

static int print_advice(const struct story *s)
{
    _cleanup_strv_ struct strv revoke = STRV_EMPTY, accounts = STRV_EMPTY;
    int r = list_commands(s, &revoke, &accounts);
    if (r == 0)
        print_steps(s, &revoke, &accounts);
    return r;
}

/* --- what happened since ------------------------------------------------------------------------------ */

static const struct grid_column columns[] = {
    {"TIME", 0, NULL},
    {"EVENT", 0, NULL},
    {"VERDICT", 5, NULL},
    {"SCOPES", 8, NULL},
};

static int add_row(struct grid *grid, struct json_object *record)
{
    char when[TEXT_TIME_SIZE];
    const char *carried = values_text(record, "carried");
    grid_add(grid, text_time(values_number(record, "time"), when));
    grid_add(grid, values_text(record, "event"));
    grid_add(grid, values_text(record, "verdict"));
    grid_add(grid, *carried ? carried : values_text(record, "asked"));
    return grid->error;
}

/* From when it was handed out. */
static struct json_object *records_since(const struct story *s, const char *app)
{
    struct audit_filter filter = {.app = app, .since_sec = s->first_sec, .has_since = true};
    const struct audit_page page = {.is_newest = true, .limit = SINCE_MAX};
    struct json_object *records = audit_query_try(s->bus, &filter, &page, VALUES_SAFE);
    filter.is_own = true;
    return records ? records : audit_query_try(s->bus, &filter, &page, VALUES_SAFE);
}

static int print_since(const struct story *s, const char *app)
{
    _cleanup_grid_ struct grid grid = {.columns = columns, .n_columns = ARRAY_SIZE(columns)};
    _cleanup_json_ struct json_object *records = records_since(s, app);
    _cleanup_free_ char *word = shell_word(app);
    int r = word ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < values_count(records); i++)
        r = add_row(&grid, values_item(records, i));
    if (r < 0 || values_count(records) == 0)
        return r;
    (void)printf("\nWhat %s did from then on%s; `lwactl audit app %s` tells all of it:\n", app,
                 values_count(records) == SINCE_MAX ? ", the newest of it" : "", word);
    return grid_print(&grid, &s->terminal, true, stdout);
}

/* --- not found ---------------------------------------------------------------------------------------- */

#define WHAT_ELSE                                                                                            \
    "cut off or altered; older than the trail; of another device; a refresh token (Atzr|...), which no app " \
    "ever gets from here; or no token of Login with Amazon at all. Look it up as it was found, whole."

static void print_not_found(const struct story *s)
{
    static const struct audit_filter of_all, of_own = {.is_own = true};
    static const struct audit_page first = {.limit = 1};
    _cleanup_json_ struct json_object *all = audit_query_try(s->bus, &of_all, &first, VALUES_SAFE);
    _cleanup_json_ struct json_object *own =
        all ? NULL : audit_query_try(s->bus, &of_own, &first, VALUES_SAFE);
    char when[TEXT_TIME_SIZE];
    int64_t begins = values_number(values_item(all ? all : own, 0), "time");
    if (all && begins > 0)
        (void)printf("This broker gave this token to no app since %s, when the records begin.\n",
                     text_time(begins, when));
    else if (begins > 0)
        (void)printf("Your accounts have no record of this token since %s, when their records begin.\n",
                     text_time(begins, when));
    else
        (void)printf("%s no record of this token.\n", all ? "There is" : "Your accounts have");
    if (all)
        paragraph_print(&s->terminal, "", "It may be " WHAT_ELSE, stdout);
    else
        paragraph_print(&s->terminal, "",
                        "It may be of an account that is not yours, such as the device's; " WHAT_ELSE,
                        stdout);
    if (!all)
        paragraph_print(
            &s->terminal, "",
            "Only the records of your own accounts were looked through; an administrator can look "
            "through all.",
            stdout);
}

/* ------------------------------------------------------------------------------------------------------ */

/* One of them may have said who else was given it. */
static void print_unreadable(const struct story *s)
{
    for (size_t i = 0; i < values_count(s->records); i++) {
        struct json_object *record = values_item(s->records, i);
        if (audit_is_unreadable(record))
            (void)printf("%sRecord %" PRId64 " about this token was altered and cannot be read; "
                         "`lwactl audit verify` says more.%s\n",
                         terminal_colour(&s->terminal, COLOUR_RED), values_number(record, "sequence"),
                         terminal_colour(&s->terminal, COLOUR_PLAIN));
    }
}

static int tell(struct story *s)
{
    int r = read_story(s);
    if (r < 0)
        return r;
    print_unreadable(s);
    if (s->apps.n == 0) {
        print_not_found(s);
        return 0;
    }
    print_holders(s);
    print_danger(s);
    r = print_advice(s);
    for (size_t i = 0; r == 0 && i < s->apps.n; i++)
        r = print_since(s, s->apps.items[i]);
    return r;
}

static int find(const struct arguments *arguments, struct bus *bus, enum values_style style,
                struct json_object **ret)
{
    _cleanup_close_ int fd = -1;
    int r = token_input_read(TOKEN_INPUT_BEARER, &fd);
    if (r == CTL_OK)
        r = bus_open(arguments, bus);
    return r == CTL_OK ? audit_call_find_token(bus, fd, style, ret) : r;
}

int audit_token(_unused_ const struct command *command, const struct arguments *arguments)
{
    bool as_json = arguments->given[OPTION_JSON];
    _cleanup_bus_ struct bus bus = {NULL};
    _cleanup_json_ struct json_object *records = NULL;
    int r = find(arguments, &bus, as_json ? VALUES_EXACT : VALUES_SAFE, &records);
    if (r != CTL_OK)
        return r;
    _cleanup_(story_clear) struct story s = {
        .bus = &bus, .records = records, .terminal = terminal_get(), .now_sec = wall_sec()};
    r = as_json ? values_print_lines(records, stdout) : tell(&s);
    if (r < 0)
        return report(CTL_FAILED, "out of memory");
    return values_count(records) > 0 ? CTL_OK : CTL_FAILED;
}
