/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/audit.h"

#include "client/bus.h"
#include "client/grid.h"
#include "client/outcome.h"
#include "client/text.h"
#include "client/values.h"
#include "dbus/names.h"

#include <inttypes.h>
#include <string.h>

/* lwactl audit: the records, as a table, in full or as JSON. */

#define LAST_DEFAULT 50
#define PAGE_MAX 1000 /* what the broker hands out at once */
#define PAGE_OF_ALL 500

static enum colour verdict_colour(const char *cell)
{
    if (strcmp(cell, "allow") == 0)
        return COLOUR_GREEN;
    return strcmp(cell, "-") == 0 ? COLOUR_PLAIN : COLOUR_RED;
}

static const struct grid_column columns[] = {
    {"TIME", 0, NULL},
    {"EVENT", 0, NULL},
    {"APP", 10, NULL},
    {"ACCOUNT", 6, NULL},
    {"VERDICT", 5, verdict_colour},
    {"SCOPES", 12, NULL},
    {"DETAIL", 6, NULL},
};

static int add_detail(struct grid *grid, struct json_object *record)
{
    const char *by = values_text(record, "decided_by"), *detail = values_text(record, "detail");
    int64_t repeats = values_number(record, "repeats");
    _cleanup_free_ char *text = NULL;
    char again[48] = "";

    if (repeats > 0)
        (void)snprintf(again, sizeof(again), "%" PRId64 " repeats", repeats);
    if (asprintf(&text, "%s%s%s%s%s", by, *by && *detail ? ", " : "", detail,
                 (*by || *detail) && *again ? ", " : "", again) < 0) {
        text = NULL; /* asprintf() leaves it undefined */
        return -ENOMEM;
    }
    grid_add(grid, text);
    return 0;
}

static int add_row(struct grid *grid, struct json_object *record)
{
    char when[TEXT_TIME_SIZE];
    const char *carried = values_text(record, "carried");
    grid_add(grid, text_time(values_number(record, "time"), when));
    grid_add(grid, values_text(record, "event"));
    grid_add(grid, values_text(record, "app"));
    grid_add(grid, values_text(record, "account"));
    grid_add(grid, values_text(record, "verdict"));
    grid_add(grid, *carried ? carried : values_text(record, "asked"));
    return add_detail(grid, record);
}

/* A line, unless there is nothing to say: the two texts with `between` where there are both. */
static void print_fact(const char *name, const char *text, const char *between, const char *more)
{
    if (*text || *more)
        (void)printf("  %-8s %s%s%s\n", name, text, *text && *more ? between : "", more);
}

/* All of one record, for a person: what the table has no room for. */
static void print_long(struct json_object *record)
{
    char when[TEXT_TIME_SIZE], times[64] = "";
    int64_t repeats = values_number(record, "repeats"), expires_at = values_number(record, "expires_at");
    (void)printf("%s  %s  %" PRId64 "\n", text_time(values_number(record, "time"), when),
                 values_text(record, "event"), values_number(record, "sequence"));
    print_fact("app", values_text(record, "app"), ", known by ", values_text(record, "strength"));
    print_fact("unit", values_text(record, "unit"), "", "");
    print_fact("program", values_text(record, "program"), "", "");
    print_fact("account", values_text(record, "account"), " of ", values_text(record, "owner"));
    print_fact("asked", values_text(record, "asked"), "", "");
    print_fact("carried", values_text(record, "carried"), "", "");
    print_fact("verdict", values_text(record, "verdict"), ", by ", values_text(record, "decided_by"));
    print_fact("chain", values_text(record, "chain"), "", "");
    print_fact("detail", values_text(record, "detail"), "", "");
    print_fact("token", values_text(record, "token"), "", "");
    if (expires_at > 0)
        print_fact("until", text_time(expires_at, when), "", "");
    if (repeats > 0) {
        (void)snprintf(times, sizeof(times), "%" PRId64 " times", repeats);
        print_fact("repeated", times, "", "");
    }
}

enum form { FORM_TABLE, FORM_LONG, FORM_JSON };

static int print_page(struct json_object *records, enum form form, bool is_first)
{
    _cleanup_grid_ struct grid grid = {.columns = columns, .n_columns = ARRAY_SIZE(columns)};
    struct terminal terminal = terminal_get();
    int r = 0;
    for (size_t i = 0; r == 0 && i < values_count(records); i++) {
        struct json_object *record = values_item(records, i);
        if (form == FORM_JSON)
            r = values_print(record, false, stdout);
        else if (form == FORM_TABLE)
            r = add_row(&grid, record);
        else
            print_long(record);
    }
    if (r < 0 || form != FORM_TABLE)
        return r;
    return grid_print(&grid, &terminal, is_first, stdout);
}

struct page {
    bool newest;
    bool own;
    uint64_t after;
    unsigned limit;
};

static int query(struct bus *bus, const struct page *page, DBusMessage **ret_reply)
{
    _cleanup_message_ DBusMessage *call = NULL;
    int r = bus_new_call(LWA_OBJECT_PATH, LWA_INTERFACE_AUDIT, "Query", &call);
    if (r != CTL_OK)
        return r;
    struct writer w;
    writer_begin(&w, call);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    if (page->newest)
        writer_entry_bool(&w, "newest", true);
    if (page->own)
        writer_entry_bool(&w, "own", true);
    writer_close(&w);
    writer_uint64(&w, page->after);
    writer_uint32(&w, page->limit);
    r = bus_end_arguments(&w);
    return r == CTL_OK ? bus_call(bus, call, "aa{sv}t", NULL, ret_reply) : r;
}

/* Prints one page; *ret_next is where the next one begins, 0 at the end. */
static int show_page(struct bus *bus, const struct page *page, enum form form, uint64_t *ret_next)
{
    _cleanup_message_ DBusMessage *reply = NULL;
    _cleanup_json_ struct json_object *records = NULL, *next = NULL;
    int r = query(bus, page, &reply);
    if (r != CTL_OK)
        return r;

    r = values_from_message(reply, 0, form == FORM_JSON ? VALUES_EXACT : VALUES_SAFE, &records);
    if (r == 0)
        r = values_from_message(reply, 1, VALUES_EXACT, &next);
    if (r == 0)
        r = print_page(records, form, page->after == 0);
    if (r < 0)
        return report(CTL_FAILED, "out of memory");
    *ret_next = json_object_get_uint64(next);
    return terminal_flush(); /* whoever reads the rest may have left */
}

int audit_list(const struct command *command, const struct arguments *arguments)
{
    const char *last = arguments->values[OPTION_LAST];
    bool all = arguments->given[OPTION_ALL];
    enum form form = arguments->given[OPTION_JSON]   ? FORM_JSON
                     : arguments->given[OPTION_LONG] ? FORM_LONG
                                                     : FORM_TABLE;
    struct page page = {.newest = !all, .own = arguments->given[OPTION_OWN], .limit = LAST_DEFAULT};
    _cleanup_bus_ struct bus bus = {NULL};

    if (all && last)
        return options_usage(command, "--all and --last exclude each other");
    if (arguments->given[OPTION_JSON] && arguments->given[OPTION_LONG])
        return options_usage(command, "--json and --long exclude each other");
    if (all)
        page.limit = PAGE_OF_ALL;
    int r = last ? options_number(command, "last", last, 1, PAGE_MAX, &page.limit) : CTL_OK;
    if (r == CTL_OK)
        r = bus_open(arguments, &bus);

    uint64_t next = 0;
    do {
        page.after = next;
        if (r == CTL_OK)
            r = show_page(&bus, &page, form, &next);
    } while (r == CTL_OK && all && next > page.after); /* always ahead, so it ends */
    return r;
}
