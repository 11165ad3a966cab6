/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/audit-query.h"

#include "client/lwactl/outcome.h"
#include "client/lwactl/terminal.h"
#include "dbus/names.h"

#include <string.h>

#define SIGNATURE "aa{sv}t"
/* After an answer, so that a busy trail is read in pages and not record by record. */
#define GATHER_MSEC 250
#define AWAY_MSEC 1000

static int new_query(const struct audit_filter *filter, const struct audit_page *page, bool waits,
                     DBusMessage **ret)
{
    _cleanup_message_ DBusMessage *call = NULL;
    int r = bus_new_call(LWA_OBJECT_PATH, LWA_INTERFACE_AUDIT, "Query", &call);
    if (r != CTL_OK)
        return r;
    struct writer w;
    writer_begin(&w, call);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    audit_filter_write(filter, &w);
    if (page->is_newest)
        writer_entry_bool(&w, "newest", true);
    if (waits)
        writer_entry_bool(&w, "wait", true);
    writer_close(&w);
    writer_uint64(&w, page->after);
    writer_uint32(&w, page->limit);
    r = bus_end_arguments(&w);
    if (r == CTL_OK)
        *ret = TAKE_PTR(call);
    return r;
}

static int take_page(DBusMessage *reply, enum values_style style, struct json_object **ret_records,
                     uint64_t *ret_next)
{
    _cleanup_json_ struct json_object *next = NULL;
    int r = values_from_message(reply, 1, VALUES_EXACT, &next);
    if (r == 0)
        r = values_from_message(reply, 0, style, ret_records);
    if (r < 0)
        return report(CTL_FAILED, "out of memory");
    *ret_next = json_object_get_uint64(next);
    return CTL_OK;
}

int audit_query(struct bus *bus, const struct audit_filter *filter, const struct audit_page *page,
                enum values_style style, struct json_object **ret_records, uint64_t *ret_next)
{
    _cleanup_message_ DBusMessage *call = NULL, *reply = NULL;
    int r = new_query(filter, page, false, &call);
    if (r == CTL_OK)
        r = page->after > 0 ? bus_call_patiently(bus, call, SIGNATURE, &reply)
                            : bus_call(bus, call, SIGNATURE, NULL, &reply);
    return r == CTL_OK ? take_page(reply, style, ret_records, ret_next) : r;
}

int audit_query_each(struct bus *bus, const struct audit_filter *filter, uint64_t after,
                     enum values_style style, int (*take)(void *userdata, struct json_object *records),
                     void *userdata)
{
    struct audit_page page = {.limit = AUDIT_PAGE_MAX};
    uint64_t next = after;
    int r;
    do {
        _cleanup_json_ struct json_object *records = NULL;
        page.after = next;
        r = audit_query(bus, filter, &page, style, &records, &next);
        if (r == CTL_OK)
            r = take(userdata, records);
    } while (r == CTL_OK && next > page.after); /* always ahead, so it ends */
    return r;
}

/* One page. NULL: it failed. */
static struct json_object *try_page(struct bus *bus, const struct audit_filter *filter,
                                    const struct audit_page *page, enum values_style style,
                                    uint64_t *ret_next)
{
    _cleanup_message_ DBusMessage *call = NULL, *reply = NULL;
    struct json_object *records = NULL;
    if (new_query(filter, page, false, &call) != CTL_OK)
        return NULL;
    reply = bus_try(bus, call, SIGNATURE);
    return reply && take_page(reply, style, &records, ret_next) == CTL_OK ? records : NULL;
}

static bool is_further(const struct audit_page *page, uint64_t next)
{
    return page->is_newest && page->after > 0 ? next > 0 && next < page->after : next > page->after;
}

struct json_object *audit_query_try(struct bus *bus, const struct audit_filter *filter,
                                    const struct audit_page *page, enum values_style style)
{
    struct audit_page at = *page;
    for (;;) {
        uint64_t next = 0;
        struct json_object *records = try_page(bus, filter, &at, style, &next);
        if (!records || values_count(records) > 0 || !is_further(&at, next))
            return records;
        json_object_put(records);
        at.after = next;
    }
}

/* The items of the first list, then those of the second. */
static int append(struct json_object *list, struct json_object *more)
{
    for (size_t i = 0; i < values_count(more); i++) {
        struct json_object *item = json_object_get(values_item(more, i));
        if (json_object_array_add(list, item) < 0) {
            json_object_put(item);
            return report(CTL_FAILED, "out of memory");
        }
    }
    return CTL_OK;
}

int audit_query_newest(struct bus *bus, const struct audit_filter *filter, unsigned n,
                       enum values_style style, struct json_object **ret_records)
{
    _cleanup_json_ struct json_object *found = json_object_new_array();
    struct audit_page page = {.is_newest = true};
    int r = found ? CTL_OK : report(CTL_FAILED, "out of memory");
    for (uint64_t next = 1; r == CTL_OK && next > 0 && values_count(found) < n; page.after = next) {
        _cleanup_json_ struct json_object *records = NULL; /* older than those found */
        page.limit = n - (unsigned)values_count(found);
        r = audit_query(bus, filter, &page, style, &records, &next);
        if (r == CTL_OK)
            r = append(records, found);
        if (r == CTL_OK) {
            json_object_put(found);
            found = TAKE_PTR(records);
        }
        if (page.after > 0 && next >= page.after)
            break; /* always further back, so it ends */
    }
    if (r == CTL_OK)
        *ret_records = TAKE_PTR(found);
    return r;
}

/* --- waiting ------------------------------------------------------------------------------------------- */

/* Whether it will pass by itself, after what the error says. */
static bool is_passing(const char *name)
{
    static const char *const away[] = {DBUS_ERROR_SERVICE_UNKNOWN, DBUS_ERROR_NAME_HAS_NO_OWNER,
                                       DBUS_ERROR_NO_REPLY};
    enum bus_error error = bus_error_from_name(name);
    for (size_t i = 0; i < ARRAY_SIZE(away); i++)
        if (strcmp(name, away[i]) == 0)
            return true;
    return error == BUS_E_RATE_LIMITED || error == BUS_E_AUDIT_UNAVAILABLE ||
           error == BUS_E_STORE_UNAVAILABLE;
}

static void say_away(struct follow *f, const char *name)
{
    if (f->has_said_away || bus_error_from_name(name) == BUS_E_RATE_LIMITED)
        return;
    f->has_said_away = true;
    if (bus_error_from_name(name) != BUS_OK)
        report_hint("the audit trail cannot be read at present; waiting until it can");
    else
        report_hint("the broker is not running; waiting until it is");
}

static int take_answer(struct follow *f, DBusMessage *reply, enum values_style style,
                       struct json_object **ret_records, uint64_t *after)
{
    const char *text = NULL, *name = dbus_message_get_error_name(reply);
    uint64_t next = 0;
    if (name && is_passing(name)) {
        say_away(f, name);
        *ret_records = json_object_new_array();
        follow_pause(f, AWAY_MSEC);
        return *ret_records ? CTL_OK : report(CTL_FAILED, "out of memory");
    }
    if (name) {
        (void)dbus_message_get_args(reply, NULL, DBUS_TYPE_STRING, &text, DBUS_TYPE_INVALID);
        return bus_report(name, text, NULL);
    }
    if (!dbus_message_has_signature(reply, SIGNATURE))
        return bus_report_unknown_answer();
    f->has_said_away = false;
    int r = take_page(reply, style, ret_records, &next);
    if (r == CTL_OK)
        *after = audit_last_sequence(*ret_records, next > *after ? next : *after);
    return r;
}

int audit_query_wait(struct follow *f, const struct audit_filter *filter, uint64_t *after,
                     enum values_style style, struct json_object **ret_records)
{
    _cleanup_message_ DBusMessage *call = NULL, *reply = NULL;
    const struct audit_page page = {.after = *after, .limit = AUDIT_PAGE_MAX};
    int r = new_query(filter, &page, true, &call);
    if (r != CTL_OK)
        return r;
    follow_pause(f, GATHER_MSEC);
    if (!f->is_over)
        reply = follow_call(f, call);
    return reply ? take_answer(f, reply, style, ret_records, after) : f->code;
}

uint64_t audit_sequence(struct json_object *record)
{
    struct json_object *value;
    return json_object_object_get_ex(record, "sequence", &value) ? json_object_get_uint64(value) : 0;
}

uint64_t audit_last_sequence(struct json_object *records, uint64_t otherwise)
{
    size_t n = values_count(records);
    return n > 0 ? audit_sequence(values_item(records, n - 1)) : otherwise;
}
