/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/audit-report.h"

#include "client/lwactl/outcome.h"
#include "client/lwactl/terminal.h"
#include "dbus/names.h"

#include <string.h>

/* --- the records -------------------------------------------------------------------------------------- */

static bool is_same_denial(struct json_object *a, struct json_object *b)
{
    static const char *const keys[] = {"app", "asked", "account", "verdict", "decided_by"};
    if (values_number(a, "uid") != values_number(b, "uid"))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (strcmp(values_text(a, keys[i]), values_text(b, keys[i])) != 0)
            return false;
    return true;
}

/* The group that such a record counts to: its own, a new one, or the one that is quiet for longest. */
static struct report_denial *find_denial(struct report *r, struct json_object *record)
{
    struct report_denial *oldest = &r->denials[0];
    for (size_t i = 0; i < r->n_denials; i++) {
        struct report_denial *d = &r->denials[i];
        if (is_same_denial(d->record, record))
            return d;
        if (values_number(d->record, "sequence") < values_number(oldest->record, "sequence"))
            oldest = d;
    }
    if (r->n_denials < REPORT_DENIALS_MAX)
        return &r->denials[r->n_denials++];
    r->n_denials_left_out += oldest->n;
    json_object_put(oldest->record);
    *oldest = (struct report_denial){NULL};
    return oldest;
}

static void add_denial(struct report *r, struct json_object *record, uint64_t n)
{
    struct report_denial *d = find_denial(r, record);
    if (d->n == 0)
        d->first_sec = values_number(record, "time");
    d->n += n;
    json_object_put(d->record);
    d->record = json_object_get(record);
}

static void add_change(struct report *r, struct json_object *record)
{
    struct json_object **slot = &r->changes[r->n_changes++ % REPORT_CHANGES_MAX];
    json_object_put(*slot);
    *slot = json_object_get(record);
}

/* Everyday events of which there are many, and the trail's own. */
static bool is_everyday(const char *event)
{
    static const char *const names[] = {"token-refreshed", "token-released", "login-begun", "trail-sealed"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(names[i], event) == 0)
            return true;
    return false;
}

/* A refusal that is repeated counts on one record, as does a token that is given again. */
static void add_record(struct report *r, struct json_object *record)
{
    const char *event = values_text(record, "event");
    int64_t repeats = values_number(record, "repeats");
    uint64_t again = repeats > 0 ? (uint64_t)repeats : 0;
    struct timeline_span *span = timeline_at(&r->timeline, values_number(record, "time"));
    r->n_records++;
    if (strcmp(event, "token-disclosed") == 0) {
        r->n_given++;
        r->n_repeats += again;
        span->n_given++;
    } else if (strcmp(event, "token-denied") == 0) {
        r->n_refused += 1 + again;
        span->n_refused += 1 + again;
        add_denial(r, record, 1 + again);
    } else if (!is_everyday(event)) {
        add_change(r, record);
    }
}

static int take_records(void *userdata, struct json_object *records)
{
    for (size_t i = 0; i < values_count(records); i++)
        add_record(userdata, values_item(records, i));
    return CTL_OK;
}

static int gather_records(struct report *r, struct bus *bus)
{
    const struct audit_filter filter = {.is_own = r->own, .since_sec = r->since_sec, .has_since = true};
    return audit_query_each(bus, &filter, 0, VALUES_EXACT, take_records, r);
}

/* --- what is held ------------------------------------------------------------------------------------- */

static bool is_known(const struct report *r, struct json_object *holder)
{
    for (size_t i = 0; i < values_count(r->holders); i++)
        if (values_number(values_item(r->holders, i), "sequence") == values_number(holder, "sequence"))
            return true;
    return false;
}

static int add_holders(struct report *r, struct json_object *found)
{
    for (size_t i = 0; i < values_count(found); i++) {
        struct json_object *holder = values_item(found, i);
        if (is_known(r, holder))
            continue;
        if (values_count(r->holders) >= REPORT_HOLDERS_MAX) {
            r->has_more_holders = true;
            break;
        }
        if (json_object_array_add(r->holders, json_object_get(holder)) < 0) {
            json_object_put(holder);
            return report(CTL_FAILED, "out of memory");
        }
    }
    return CTL_OK;
}

static bool is_held_by_any(const struct report *r, size_t scope)
{
    for (size_t i = 0; i < r->matrix.n_apps; i++) {
        struct json_object *row = matrix_cell(&r->matrix, i, scope);
        if (row && matrix_state_of(row, r->now_sec) == MATRIX_HELD)
            return true;
    }
    return false;
}

/* A token stands in the answer for each of its scopes, and is counted once. */
static int gather_holders(struct report *r, struct bus *bus)
{
    r->holders = json_object_new_array();
    if (!r->holders)
        return report(CTL_FAILED, "out of memory");
    for (size_t i = 0; i < r->matrix.n_scopes; i++) {
        _cleanup_json_ struct json_object *found = NULL;
        if (!is_held_by_any(r, i))
            continue;
        int code = audit_call_who_has(bus, r->matrix.scopes[i], r->own, VALUES_EXACT, &found);
        if (code == CTL_OK)
            code = add_holders(r, found);
        if (code != CTL_OK)
            return code;
    }
    return CTL_OK;
}

static int gather_matrix(struct report *r, struct bus *bus)
{
    int code = audit_call_matrix(bus, r->own, r->since_sec, VALUES_EXACT, &r->rows);
    if (code == CTL_OK && matrix_init(&r->matrix, r->rows, r->now_sec) < 0)
        code = report(CTL_FAILED, "out of memory");
    return code;
}

/* --- whether the trail is whole ----------------------------------------------------------------------- */

/* Only who may read all of it may have it verified; the report is good without. */
static void gather_verified(struct report *r, struct bus *bus)
{
    _cleanup_message_ DBusMessage *call = NULL, *reply = NULL;
    struct writer w;
    if (r->own || bus_new_call(LWA_OBJECT_PATH, LWA_INTERFACE_AUDIT, "Verify", &call) != CTL_OK)
        return;
    writer_begin(&w, call);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    writer_close(&w);
    if (writer_end(&w) < 0)
        return;
    reply = bus_try(bus, call, "a{sv}");
    if (reply && values_from_message(reply, 0, VALUES_EXACT, &r->verified) < 0)
        r->verified = NULL;
}

int report_gather(struct report *r, struct bus *bus)
{
    timeline_init(&r->timeline, r->since_sec, r->now_sec);
    int code = gather_matrix(r, bus);
    if (code == CTL_OK)
        code = gather_holders(r, bus);
    if (code == CTL_OK)
        code = gather_records(r, bus);
    if (code == CTL_OK)
        gather_verified(r, bus);
    return code;
}

void report_deinit(struct report *r)
{
    matrix_deinit(&r->matrix);
    json_object_put(r->rows);
    json_object_put(r->holders);
    json_object_put(r->verified);
    for (size_t i = 0; i < r->n_denials; i++)
        json_object_put(r->denials[i].record);
    for (size_t i = 0; i < REPORT_CHANGES_MAX; i++)
        json_object_put(r->changes[i]);
}
