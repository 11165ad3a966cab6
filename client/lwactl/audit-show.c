/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/audit-show.h"

#include "client/lwactl/text.h"
#include "dbus/audit-names.h"
#include "util/clock.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

/* --- words --------------------------------------------------------------------------------------------- */

const char *audit_decider(const char *decided_by)
{
    static const struct {
        const char *name, *words;
    } deciders[] = {
        {"table", "the table"},
        {"default", "the default"},
        {"consent", "the owner's consent"},
        {"polkit", "polkit"},
        {"table+polkit", "the table and polkit"},
        {"consent+polkit", "the owner's consent and polkit"},
        {"polkit-unavailable", "lack of polkit"},
        {"grant", "what logins there are"},
        {"identity", "lack of an identity"},
        {"prompt", "a person who was asked"},
        {"command", "a person's command"},
        {"time", "the end of its time"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(deciders); i++)
        if (strcmp(deciders[i].name, decided_by) == 0)
            return deciders[i].words;
    return decided_by;
}

const char *audit_owner(const char *owner)
{
    return strcmp(owner, "device") == 0 ? "the device" : owner;
}

const char *audit_short_time(int64_t when_sec, int64_t now_sec, char buffer[static 32])
{
    static const int64_t nearly_year = (int64_t)300 * 86400;
    struct tm when_tm, now_tm;
    time_t when = (time_t)when_sec, now = (time_t)now_sec;
    if (when_sec <= 0 || !localtime_r(&when, &when_tm) || !localtime_r(&now, &now_tm))
        return text_time(when_sec, buffer);
    bool is_today = when_tm.tm_year == now_tm.tm_year && when_tm.tm_yday == now_tm.tm_yday;
    /* A clock that was wrong can have written records of tomorrow. */
    bool is_near = when_sec > now_sec - nearly_year && when_sec < now_sec + nearly_year;
    size_t n = is_today  ? strftime(buffer, 32, "%H:%M:%S", &when_tm)
               : is_near ? strftime(buffer, 32, "%b %e %H:%M", &when_tm)
                         : strftime(buffer, 32, "%Y-%m-%d", &when_tm);
    return n > 0 ? buffer : "?";
}

const char *audit_detail(struct json_object *record, char buffer[static AUDIT_UNTIL_SIZE])
{
    char until[TEXT_TIME_SIZE];
    const char *detail = values_text(record, "detail");
    int64_t expires_at = values_number(record, "expires_at");
    if (strcmp(detail, "until") != 0 || expires_at <= 0)
        return detail;
    (void)snprintf(buffer, AUDIT_UNTIL_SIZE, "until %s", audit_short_time(expires_at, wall_sec(), until));
    return buffer;
}

bool audit_is_unreadable(struct json_object *row)
{
    return strcmp(values_text(row, "event"), AUDIT_UNREADABLE) == 0;
}

const char *audit_app_cell(struct json_object *row, char buffer[static AUDIT_APP_SIZE])
{
    if (!audit_is_unreadable(row))
        return values_text(row, "app");
    (void)snprintf(buffer, AUDIT_APP_SIZE, AUDIT_UNREADABLE ", record %" PRId64,
                   values_number(row, "sequence"));
    return buffer;
}

enum colour audit_app_colour(const char *cell)
{
    return strncmp(cell, AUDIT_UNREADABLE, strlen(AUDIT_UNREADABLE)) == 0 ? COLOUR_RED : COLOUR_PLAIN;
}

/* --- the table ------------------------------------------------------------------------------------------ */

static enum colour verdict_colour(const char *cell)
{
    if (strcmp(cell, "allow") == 0)
        return COLOUR_GREEN;
    return strcmp(cell, "-") == 0 ? COLOUR_PLAIN : COLOUR_RED;
}

static enum colour event_colour(const char *cell)
{
    static const char *const bad[] = {
        "token-denied",    "token-refresh-failed", "grant-died",     "grant-interrupted", "login-failed",
        "consent-refused", "policy-rejected",      "broker-crashed", "trail-damaged",     AUDIT_UNREADABLE,
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (strcmp(cell, bad[i]) == 0)
            return COLOUR_RED;
    return COLOUR_PLAIN;
}

enum { TIME, EVENT, APP, ACCOUNT, VERDICT, SCOPES, DETAIL };

static const struct grid_column columns[] = {
    [TIME] = {"TIME", 0, NULL},
    [EVENT] = {"EVENT", 15, event_colour},
    [APP] = {"APP", 18, audit_app_colour},
    [ACCOUNT] = {"ACCOUNT", 6, NULL},
    [VERDICT] = {"VERDICT", 8, verdict_colour},
    [SCOPES] = {"SCOPES", 18, NULL},
    [DETAIL] = {"DETAIL", 14, NULL},
};
/* When, what and who stay. */
static const size_t droppable[] = {DETAIL, ACCOUNT, VERDICT, SCOPES};

static int add_detail(struct grid *grid, struct json_object *record)
{
    char until[AUDIT_UNTIL_SIZE];
    const char *by = values_text(record, "decided_by"), *detail = audit_detail(record, until);
    int64_t repeats = values_number(record, "repeats");
    _cleanup_free_ char *text = NULL;
    char again[48] = "";

    if (repeats > 0)
        (void)snprintf(again, sizeof(again), "%" PRId64 " repeat%s", repeats, repeats == 1 ? "" : "s");
    if (asprintf(&text, "%s%s%s%s%s%s", *by ? "by " : "", audit_decider(by), *by && *detail ? ", " : "",
                 detail, (*by || *detail) && *again ? ", " : "", again) < 0) {
        text = NULL; /* asprintf() leaves it undefined */
        return -ENOMEM;
    }
    grid_add(grid, text);
    return 0;
}

static int add_row(struct grid *grid, const struct terminal *t, struct json_object *record)
{
    char when[TEXT_TIME_SIZE], app[AUDIT_APP_SIZE];
    const char *carried = values_text(record, "carried");
    int64_t sec = values_number(record, "time");
    /* What is not for a person at a terminal is looked for by its date. */
    grid_add(grid, t->width > 0 ? audit_short_time(sec, wall_sec(), when) : text_time(sec, when));
    grid_add(grid, values_text(record, "event"));
    grid_add(grid, audit_app_cell(record, app));
    grid_add(grid, values_text(record, "account"));
    grid_add(grid, values_text(record, "verdict"));
    grid_add(grid, *carried ? carried : values_text(record, "asked"));
    return add_detail(grid, record);
}

static int print_table(struct audit_show *s, struct json_object *records)
{
    struct terminal terminal = terminal_get();
    grid_clear(&s->grid);
    for (size_t i = 0; i < values_count(records); i++) {
        int r = add_row(&s->grid, &terminal, values_item(records, i));
        if (r < 0)
            return r;
    }
    if (s->grid.cells.n == 0)
        return 0;
    return grid_print(&s->grid, &terminal, !s->grid.has_printed, stdout);
}

/* --- in full -------------------------------------------------------------------------------------------- */

/* A line, unless there is nothing to say: the two texts with `between` where there are both. */
static void print_fact(const char *name, const char *text, const char *between, const char *more)
{
    if (*text || *more)
        (void)printf("  %-8s %s%s%s\n", name, text, *text && *more ? between : "", more);
}

static void print_number(const char *name, int64_t number, const char *unit)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "%" PRId64 "%s", number, unit);
    print_fact(name, text, "", "");
}

/* All of one record, for a person: what the table has no room for. */
static void print_long(struct json_object *record)
{
    char when[TEXT_TIME_SIZE];
    int64_t expires_at = values_number(record, "expires_at"), grant = values_number(record, "grant");
    int64_t repeats = values_number(record, "repeats");
    (void)printf("%s  %s  %" PRId64 "\n", text_time(values_number(record, "time"), when),
                 values_text(record, "event"), values_number(record, "sequence"));
    print_fact("app", values_text(record, "app"), ", known by ", values_text(record, "strength"));
    print_fact("unit", values_text(record, "unit"), "", "");
    print_fact("program", values_text(record, "program"), "", "");
    if (json_object_object_get_ex(record, "uid", NULL)) /* root's is 0 */
        print_number("uid", values_number(record, "uid"), "");
    print_fact("account", values_text(record, "account"), " of ", audit_owner(values_text(record, "owner")));
    print_fact("asked", values_text(record, "asked"), "", "");
    print_fact("carried", values_text(record, "carried"), "", "");
    print_fact("verdict", values_text(record, "verdict"), ", by ", values_text(record, "decided_by"));
    print_fact("chain", values_text(record, "chain"), "", "");
    print_fact("detail", values_text(record, "detail"), "", "");
    print_fact("request", values_text(record, "request"), "", "");
    if (grant > 0)
        print_number("login", grant, "");
    print_fact("token", values_text(record, "token"), "", "");
    if (expires_at > 0)
        print_fact("until", text_time(expires_at, when), "", "");
    if (repeats > 0)
        print_number("repeated", repeats, repeats == 1 ? " time" : " times");
}

/* --- all forms ------------------------------------------------------------------------------------------ */

void audit_show_begin(struct audit_show *s, enum audit_form form)
{
    *s = (struct audit_show){.form = form,
                             .grid = {.columns = columns,
                                      .n_columns = ARRAY_SIZE(columns),
                                      .droppable = droppable,
                                      .n_droppable = ARRAY_SIZE(droppable)}};
}

void audit_show_without_app(struct audit_show *s)
{
    s->grid.is_dropped[APP] = true;
}

void audit_show_end(struct audit_show *s)
{
    grid_clear(&s->grid);
}

enum values_style audit_show_style(const struct audit_show *s)
{
    return s->form == AUDIT_JSON ? VALUES_EXACT : VALUES_SAFE;
}

int audit_show_records(struct audit_show *s, struct json_object *records)
{
    int r = 0;
    if (s->form == AUDIT_TABLE)
        return print_table(s, records);
    for (size_t i = 0; r == 0 && i < values_count(records); i++) {
        struct json_object *record = values_item(records, i);
        if (s->form == AUDIT_JSON)
            r = values_print(record, false, stdout);
        else
            print_long(record);
    }
    return r;
}
