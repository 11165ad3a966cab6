/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl audit app: all that the trail has of one app, summed up, and then its newest records. */

#include "client/lwactl/audit.h"

#include "client/lwactl/audit-near.h"
#include "client/lwactl/audit-query.h"
#include "client/lwactl/audit-show.h"
#include "client/lwactl/audit-story.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/paragraph.h"
#include "client/lwactl/strength.h"
#include "client/lwactl/text.h"
#include "util/clock.h"

#include <inttypes.h>
#include <pwd.h>
#include <string.h>

#define RECORDS_DEFAULT 20
#define ROWS_MAX 20 /* of a list of the story; --json has them all */
#define FINGERPRINT_SHOWN 12

struct app {
    struct bus bus;
    struct audit_filter filter;
    char *name; /* of the app, safe */
    struct json_object *story;
    int64_t now_sec;
    bool is_json;
    bool is_all;
    unsigned last;
};

static void app_clear(struct app *a)
{
    free(a->name);
    json_object_put(a->story);
    bus_close(&a->bus);
}

#define _cleanup_app_ _cleanup_(app_clear)

/* --- who it is ------------------------------------------------------------------------------------------ */

static void print_fact(const struct terminal *t, const char *name, const char *text, const char *between,
                       const char *more, const char *after)
{
    char lead[16];
    _cleanup_free_ char *line = NULL;
    if (!*text)
        return;
    (void)snprintf(lead, sizeof(lead), "  %-10s ", name);
    if (asprintf(&line, "%s%s%s%s", text, *more ? between : "", more, *more ? after : "") < 0)
        line = NULL; /* asprintf() leaves it undefined */
    paragraph_print(t, lead, line ? line : text, stdout);
}

static void print_users(const struct terminal *t, struct json_object *uids)
{
    for (size_t i = 0; i < values_count(uids); i++) {
        int64_t uid = json_object_get_int64(values_item(uids, i));
        const struct passwd *user = getpwuid((uid_t)uid);
        _cleanup_free_ char *name = user ? text_safe(user->pw_name) : NULL;
        char number[24];
        (void)snprintf(number, sizeof(number), "%" PRId64, uid);
        print_fact(t, i == 0 ? "user" : "", name ? name : number, " (", name ? number : "", ")");
    }
}

static void print_identity(const struct terminal *t, const struct app *a)
{
    char first[TEXT_TIME_SIZE], last[TEXT_TIME_SIZE], count[48];
    const char *strength = values_text(a->story, "strength");
    int64_t n = values_number(a->story, "records");
    (void)printf("%s%s%s\n", terminal_colour(t, COLOUR_BOLD), a->name, terminal_colour(t, COLOUR_PLAIN));
    print_fact(t, "known by", strength, " (", strength_meaning(strength, ""), ")");
    print_users(t, values_list(a->story, "uids"));
    print_fact(t, "unit", values_text(a->story, "unit"), "", "", "");
    print_fact(t, "program", values_text(a->story, "program"), "", "", "");
    print_fact(t, "first seen", text_time(values_number(a->story, "first"), first), "", "", "");
    print_fact(t, "last seen", text_time(values_number(a->story, "last"), last), "", "", "");
    (void)snprintf(count, sizeof(count), "%" PRId64, n);
    print_fact(t, "records", count, "", "", "");
}

/* --- tables --------------------------------------------------------------------------------------------- */

static void add_number(struct grid *grid, int64_t number)
{
    char text[24] = "";
    if (number > 0)
        (void)snprintf(text, sizeof(text), "%" PRId64, number);
    grid_add(grid, text);
}

static void add_time(struct grid *grid, int64_t sec)
{
    char text[TEXT_TIME_SIZE];
    grid_add(grid, audit_short_time(sec, wall_sec(), text));
}

static void add_scope(struct grid *grid, struct json_object *scope)
{
    grid_add(grid, values_text(scope, "scope"));
    add_number(grid, values_number(scope, "got"));
    add_time(grid, values_number(scope, "first_got"));
    add_time(grid, values_number(scope, "last_got"));
    add_number(grid, values_number(scope, "refused"));
    add_time(grid, values_number(scope, "last_refused"));
}

static void add_holding(struct grid *grid, struct json_object *token)
{
    char shown[FINGERPRINT_SHOWN + 1], ends[TEXT_TIME_SIZE];
    (void)snprintf(shown, sizeof(shown), "%s", values_text(token, "token"));
    grid_add(grid, shown);
    grid_add(grid, values_text(token, "account"));
    add_time(grid, values_number(token, "since"));
    grid_add(grid, text_relative_time(values_number(token, "expires_at"), wall_sec(), ends));
    grid_add(grid, values_flag(token, "released") ? "yes" : "no");
    grid_add(grid, values_text(token, "carried"));
}

static void add_refusal(struct grid *grid, struct json_object *refusal)
{
    const char *detail = values_text(refusal, "detail");
    _cleanup_free_ char *why = NULL;
    if (asprintf(&why, "%s%s%s", audit_decider(values_text(refusal, "decided_by")), *detail ? ": " : "",
                 detail) < 0)
        why = NULL; /* asprintf() leaves it undefined */
    add_time(grid, values_number(refusal, "last"));
    add_number(grid, values_number(refusal, "times"));
    grid_add(grid, values_text(refusal, "verdict"));
    grid_add(grid, values_text(refusal, "account"));
    grid_add(grid, why ? why : "");
    grid_add(grid, values_text(refusal, "asked"));
}

static void add_consent(struct grid *grid, struct json_object *consent)
{
    char until[AUDIT_UNTIL_SIZE];
    add_time(grid, values_number(consent, "time"));
    grid_add(grid, values_text(consent, "event") + strlen("consent-"));
    grid_add(grid, values_text(consent, "account"));
    grid_add(grid, audit_decider(values_text(consent, "decided_by")));
    grid_add(grid, audit_detail(consent, until));
    grid_add(grid, values_text(consent, "asked"));
}

struct chapter {
    const char *key, *title;
    const char *none; /* NULL: an empty one is left out */
    void (*add)(struct grid *grid, struct json_object *item);
    struct grid_column columns[6];
    size_t droppable[3];
};

static const struct chapter chapters[] = {
    {"scopes",
     "What it asked for and got",
     "It asked for no scope.",
     add_scope,
     {{"SCOPE", 14, NULL},
      {"GOT", 0, NULL},
      {"FIRST GOT", 0, NULL},
      {"LAST GOT", 0, NULL},
      {"REFUSED", 0, NULL},
      {"LAST REFUSED", 0, NULL}},
     {5, 2, 3}},
    {"holds",
     "What it holds now",
     "It holds no token now.",
     add_holding,
     {{"TOKEN", 6, NULL},
      {"ACCOUNT", 6, NULL},
      {"SINCE", 0, NULL},
      {"ENDS", 0, NULL},
      {"GIVEN BACK", 0, NULL},
      {"MAY CARRY", 12, NULL}},
     {4, 2, 0}},
    {"refusals",
     "What it was refused",
     NULL,
     add_refusal,
     {{"LAST", 0, NULL},
      {"TIMES", 0, NULL},
      {"ANSWER", 10, NULL},
      {"ACCOUNT", 6, NULL},
      {"BY", 10, NULL},
      {"SCOPES", 12, NULL}},
     {3, 1, 4}},
    {"consents",
     "What owners answered about it",
     NULL,
     add_consent,
     {{"TIME", 0, NULL},
      {"ANSWER", 0, NULL},
      {"ACCOUNT", 6, NULL},
      {"BY", 10, NULL},
      {"FOR", 6, NULL},
      {"SCOPES", 12, NULL}},
     {3, 4, 2}},
};

static int print_chapter(const struct terminal *t, const struct app *a, const struct chapter *chapter)
{
    struct json_object *list = values_list(a->story, chapter->key);
    size_t n = values_count(list), first = n > ROWS_MAX ? n - ROWS_MAX : 0;
    _cleanup_grid_ struct grid grid = {.columns = chapter->columns,
                                       .n_columns = ARRAY_SIZE(chapter->columns),
                                       .droppable = chapter->droppable,
                                       .n_droppable = ARRAY_SIZE(chapter->droppable)};
    if (n == 0) {
        if (chapter->none)
            (void)printf("\n%s\n", chapter->none);
        return 0;
    }
    (void)printf("\n%s%s:%s\n", terminal_colour(t, COLOUR_BOLD), chapter->title,
                 terminal_colour(t, COLOUR_PLAIN));
    for (size_t i = first; i < n; i++)
        chapter->add(&grid, values_item(list, i));
    int r = grid_print(&grid, t, true, stdout);
    if (first > 0)
        (void)printf("and %zu%s before them; --json has %s\n", first, n < AUDIT_STORY_MAX ? "" : " or more",
                     n < AUDIT_STORY_MAX ? "them all" : "the newest 1000");
    return r;
}

/* "12 allow, 3 AccessDenied" */
static void print_verdicts(const struct terminal *t, struct json_object *verdicts)
{
    _cleanup_free_ char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    if (!out)
        return;
    struct json_object_iterator i = json_object_iter_begin(verdicts), end = json_object_iter_end(verdicts);
    for (; !json_object_iter_equal(&i, &end); json_object_iter_next(&i))
        (void)fprintf(out, "%s%" PRId64 " %s", ftell(out) > 0 ? ", " : "",
                      json_object_get_int64(json_object_iter_peek_value(&i)), json_object_iter_peek_name(&i));
    if (fclose(out) == 0)
        print_fact(t, "answers", text, "", "", "");
}

/* --- all of it ------------------------------------------------------------------------------------------ */

static int add_records(void *userdata, struct json_object *records)
{
    struct app *a = userdata;
    return audit_story_add(a->story, records, a->now_sec) < 0 ? report(CTL_FAILED, "out of memory") : CTL_OK;
}

static int read_story(struct app *a)
{
    a->story = audit_story_new();
    if (!a->story)
        return report(CTL_FAILED, "out of memory");
    return audit_query_each(&a->bus, &a->filter, 0, a->is_json ? VALUES_EXACT : VALUES_SAFE, add_records, a);
}

static int show_records(void *show, struct json_object *records)
{
    if (audit_show_records(show, records) < 0)
        return report(CTL_FAILED, "out of memory");
    return terminal_flush();
}

static int print_newest(struct app *a, struct audit_show *show)
{
    _cleanup_json_ struct json_object *records = NULL;
    int r = audit_query_newest(&a->bus, &a->filter, a->last, VALUES_SAFE, &records);
    return r == CTL_OK ? show_records(show, records) : r;
}

static int print_records(struct app *a)
{
    _cleanup_audit_show_ struct audit_show show;
    int64_t n = values_number(a->story, "records");
    bool is_whole = a->is_all || n <= a->last;
    audit_show_begin(&show, AUDIT_TABLE);
    audit_show_without_app(&show);
    (void)printf("\n%s records:\n", is_whole ? "Its" : "Its newest");
    int r = a->is_all ? audit_query_each(&a->bus, &a->filter, 0, VALUES_SAFE, show_records, &show)
                      : print_newest(a, &show);
    if (r == CTL_OK && !is_whole)
        (void)printf("%u of %" PRId64 "; `lwactl audit app %s --all` shows all.\n", a->last, n, a->name);
    return r;
}

static int print_story(struct app *a)
{
    struct terminal t = terminal_get();
    print_identity(&t, a);
    if (json_object_object_length(json_object_object_get(a->story, "verdicts")) > 0)
        print_verdicts(&t, json_object_object_get(a->story, "verdicts"));
    for (size_t i = 0; i < ARRAY_SIZE(chapters); i++)
        if (print_chapter(&t, a, &chapters[i]) < 0)
            return report(CTL_FAILED, "out of memory");
    return print_records(a);
}

static int refuse_unknown(struct app *a)
{
    struct audit_filter others = a->filter;
    others.app = NULL;
    (void)report(CTL_FAILED, "The trail has no %srecord of %s.",
                 audit_filter_is_narrow(&others) ? "such " : "", a->filter.app);
    audit_near_hint(&a->bus, &a->filter);
    return CTL_FAILED;
}

int audit_app(const struct command *command, const struct arguments *arguments)
{
    _cleanup_app_ struct app a = {.now_sec = wall_sec(),
                                  .is_json = arguments->given[OPTION_JSON],
                                  .is_all = arguments->given[OPTION_ALL],
                                  .last = RECORDS_DEFAULT};
    const char *last = arguments->values[OPTION_LAST];
    if (a.is_all && last)
        return options_usage(command, "--all and --last exclude each other");
    int r = last ? options_number(command, "last", last, 1, AUDIT_PAGE_MAX, &a.last) : CTL_OK;
    if (r == CTL_OK)
        r = audit_filter_read(command, arguments, &a.filter);
    a.filter.app = arguments->operands[0];
    a.name = text_safe(a.filter.app);
    if (r == CTL_OK && !a.name)
        r = report(CTL_FAILED, "out of memory");
    if (r == CTL_OK)
        r = bus_open(arguments, &a.bus);
    if (r == CTL_OK)
        r = read_story(&a);
    if (r != CTL_OK)
        return r;
    if (values_number(a.story, "records") == 0)
        return refuse_unknown(&a);
    if (a.is_json)
        return values_print(a.story, true, stdout) < 0 ? report(CTL_FAILED, "out of memory") : CTL_OK;
    return print_story(&a);
}
