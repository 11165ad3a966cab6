/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl audit export: the trail as JSON lines, for who collects it. The cursor file is written after the
 * records were: whatever stops an export, the next one begins with the first that was not written out. */

#include "client/lwactl/audit.h"

#include "client/lwactl/audit-cursor.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/terminal.h"

#include <inttypes.h>
#include <unistd.h>

struct export
{
    struct bus bus;
    struct audit_filter filter;
    const char *cursor_file; /* NULL: none */
    struct audit_cursor cursor;
    bool is_whole;     /* every record of the trail is in it */
    bool is_under_way; /* what is missing before the next record was not said yet */
};

static void export_clear(struct export *e)
{
    bus_close(&e->bus);
}

#define _cleanup_export_ _cleanup_(export_clear)

/* Without a filter each record has the number after the one before. */
static void check_number(struct export *e, uint64_t sequence)
{
    uint64_t due = e->cursor.sequence + 1;
    if (e->is_whole && e->is_under_way && sequence > due)
        (void)report(CTL_OK,
                     "The records %" PRIu64 " to %" PRIu64 " are missing; `lwactl audit verify` tells why.",
                     due, sequence - 1);
}

/* Durably where that can be, so that the cursor is never ahead of what it stands for. */
static int flush(void)
{
    int r = terminal_flush();
    if (r == CTL_OK && fdatasync(STDOUT_FILENO) < 0 && errno != EINVAL && errno != EROFS)
        return terminal_write_failed(errno);
    return r;
}

static int write_records(void *userdata, struct json_object *records)
{
    struct export *e = userdata;
    for (size_t i = 0; i < values_count(records); i++) {
        struct json_object *record = values_item(records, i);
        check_number(e, audit_sequence(record));
        if (values_print(record, false, stdout) < 0)
            return report(CTL_FAILED, "out of memory");
        audit_cursor_set(&e->cursor, record);
        e->is_under_way = true;
    }
    if (values_count(records) == 0)
        return CTL_OK;
    int r = e->cursor_file ? flush() : terminal_flush();
    return r == CTL_OK && e->cursor_file ? audit_cursor_save(&e->cursor, e->cursor_file) : r;
}

static int follow(struct export *e)
{
    _cleanup_follow_ struct follow f = {.signal_fd = -1};
    uint64_t after = e->cursor.sequence;
    int r = follow_begin(&f, &e->bus);
    while (r == CTL_OK && !f.is_over) {
        _cleanup_json_ struct json_object *records = NULL;
        r = audit_query_wait(&f, &e->filter, &after, VALUES_EXACT, &records);
        if (r == CTL_OK && records)
            r = write_records(e, records);
    }
    return r;
}

/* A run that was ended between its output and its cursor leaves the one ahead of the other, also when there
 * is nothing more to export. */
static int take_up_output(struct export *e)
{
    uint64_t before = e->cursor.sequence;
    audit_cursor_take_up_output(&e->cursor);
    int r = e->cursor.sequence == before ? CTL_OK : flush();
    return r == CTL_OK && e->cursor.sequence != before ? audit_cursor_save(&e->cursor, e->cursor_file) : r;
}

/* Where it begins: after what --after says, else after what the file says. */
static int find_begin(const struct command *command, const char *after, struct export *e)
{
    if (after && !audit_cursor_parse_sequence(after, &e->cursor.sequence))
        return options_usage(command, "--after takes the number of a record, not `%s`", after);
    if (after || !e->cursor_file)
        return CTL_OK;
    int r = audit_cursor_load(&e->cursor, e->cursor_file);
    return r == CTL_OK ? take_up_output(e) : r;
}

int audit_export(const struct command *command, const struct arguments *arguments)
{
    _cleanup_export_ struct export e = {.cursor_file = arguments->values[OPTION_CURSOR_FILE]};
    bool is_follow = arguments->given[OPTION_FOLLOW];
    if (is_follow && arguments->given[OPTION_UNTIL])
        return options_usage(command, "--follow and --until exclude each other");
    int r = audit_filter_read(command, arguments, &e.filter);
    if (r == CTL_OK)
        r = find_begin(command, arguments->values[OPTION_AFTER], &e);
    if (r == CTL_OK)
        r = bus_open(arguments, &e.bus);
    if (r == CTL_OK && !arguments->given[OPTION_AFTER])
        r = audit_cursor_check(&e.cursor, &e.bus, e.filter.is_own);
    if (r != CTL_OK)
        return r;
    e.is_under_way = arguments->given[OPTION_AFTER] && e.cursor.sequence > 0;
    e.is_whole = !audit_filter_is_narrow(&e.filter) && !e.filter.is_own;
    return is_follow
               ? follow(&e)
               : audit_query_each(&e.bus, &e.filter, e.cursor.sequence, VALUES_EXACT, write_records, &e);
}
