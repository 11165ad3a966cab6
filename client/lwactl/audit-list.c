/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl audit: the records, as a table, in full or as JSON. */

#include "client/lwactl/audit.h"

#include "client/lwactl/audit-near.h"
#include "client/lwactl/audit-query.h"
#include "client/lwactl/audit-show.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/terminal.h"

#include <string.h>

#define LAST_DEFAULT 50

struct list {
    struct bus bus;
    struct audit_filter filter;
    struct audit_show show;
    unsigned last; /* 0: all */
    bool is_follow;
    uint64_t after; /* the newest that was looked at */
    size_t n_shown;
};

static void list_clear(struct list *l)
{
    audit_show_end(&l->show);
    bus_close(&l->bus);
}

#define _cleanup_list_ _cleanup_(list_clear)

static int show(void *userdata, struct json_object *records)
{
    struct list *l = userdata;
    if (audit_show_records(&l->show, records) < 0)
        return report(CTL_FAILED, "out of memory");
    l->after = audit_last_sequence(records, l->after);
    l->n_shown += values_count(records);
    return terminal_flush(); /* whoever reads the rest may have left */
}

static int show_newest(struct list *l)
{
    _cleanup_json_ struct json_object *records = NULL;
    int r = audit_query_newest(&l->bus, &l->filter, l->last, audit_show_style(&l->show), &records);
    return r == CTL_OK ? show(l, records) : r;
}

static int show_all(struct list *l)
{
    return audit_query_each(&l->bus, &l->filter, 0, audit_show_style(&l->show), show, l);
}

/* Where to go on from when the filter lets nothing through yet: the newest of all, looked at before, so that
 * nothing is missed. */
static int find_end(struct list *l)
{
    const struct audit_filter any = {.is_own = l->filter.is_own};
    _cleanup_json_ struct json_object *records = NULL;
    int r = audit_query_newest(&l->bus, &any, 1, VALUES_EXACT, &records);
    if (r == CTL_OK)
        l->after = audit_last_sequence(records, 0);
    return r;
}

static int follow(struct list *l)
{
    _cleanup_follow_ struct follow f = {.signal_fd = -1};
    int r = follow_begin(&f, &l->bus);
    while (r == CTL_OK && !f.is_over) {
        _cleanup_json_ struct json_object *records = NULL;
        r = audit_query_wait(&f, &l->filter, &l->after, audit_show_style(&l->show), &records);
        if (r == CTL_OK && records)
            r = show(l, records);
    }
    return r;
}

/* What a person might wonder about; nothing for programs. */
static void explain(struct list *l)
{
    struct terminal t = terminal_get();
    if (l->show.form == AUDIT_JSON)
        return;
    if (l->n_shown == 0) {
        (void)printf("%s\n", audit_filter_is_narrow(&l->filter) || l->filter.is_own
                                 ? "No record of the trail is like that."
                                 : "The audit trail has no record yet.");
        audit_near_hint(&l->bus, &l->filter);
    } else if (l->last > 0 && l->n_shown == l->last && t.width > 0) {
        report_hint("these are the newest %u; --last N shows more, --all shows all", l->last);
    }
}

static int read_arguments(const struct command *command, const struct arguments *a, struct list *l)
{
    const char *last = a->values[OPTION_LAST];
    if (a->given[OPTION_ALL] && last)
        return options_usage(command, "--all and --last exclude each other");
    if (a->given[OPTION_JSON] && a->given[OPTION_LONG])
        return options_usage(command, "--json and --long exclude each other");
    if (a->given[OPTION_FOLLOW] && a->given[OPTION_UNTIL])
        return options_usage(command, "--follow and --until exclude each other");
    l->last = a->given[OPTION_ALL] ? 0 : LAST_DEFAULT;
    l->is_follow = a->given[OPTION_FOLLOW];
    audit_show_begin(&l->show, a->given[OPTION_JSON]   ? AUDIT_JSON
                               : a->given[OPTION_LONG] ? AUDIT_LONG
                                                       : AUDIT_TABLE);
    int r = last ? options_number(command, "last", last, 1, AUDIT_PAGE_MAX, &l->last) : CTL_OK;
    return r == CTL_OK ? audit_filter_read(command, a, &l->filter) : r;
}

int audit_list(const struct command *command, const struct arguments *arguments)
{
    _cleanup_list_ struct list list = {.last = LAST_DEFAULT};
    int r = read_arguments(command, arguments, &list);
    if (r == CTL_OK)
        r = bus_open(arguments, &list.bus);
    if (r == CTL_OK && list.is_follow)
        r = find_end(&list);
    if (r == CTL_OK)
        r = list.last > 0 ? show_newest(&list) : show_all(&list);
    if (r != CTL_OK)
        return r;
    if (list.is_follow)
        return follow(&list);
    explain(&list);
    return CTL_OK;
}
