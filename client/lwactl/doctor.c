/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/doctor.h"

#include "client/lwactl/text.h"

#include <stdarg.h>
#include <string.h>

/* Safe for a terminal, or for --json as it is. */
static struct json_object *string_of(const struct doctor *d, const char *text)
{
    if (d->arguments->given[OPTION_JSON])
        return json_object_new_string(text);
    _cleanup_free_ char *safe = text_safe(text);
    return safe ? json_object_new_string(safe) : NULL;
}

static int set(const struct doctor *d, struct json_object *row, const char *key, const char *text)
{
    struct json_object *value = string_of(d, text ? text : "");
    if (!value)
        return -ENOMEM;
    return json_object_object_add(row, key, value) < 0 ? -ENOMEM : 0;
}

static void count(struct doctor *d, const char *level)
{
    d->n_problems += strcmp(level, DOCTOR_PROBLEM) == 0;
    d->n_warnings += strcmp(level, DOCTOR_WARNING) == 0;
    d->n_unknown += strcmp(level, DOCTOR_UNKNOWN) == 0;
}

void doctor_add(struct doctor *d, const char *check, const char *subject, const char *level, const char *fix,
                const char *format, ...)
{
    _cleanup_json_ struct json_object *row = json_object_new_object();
    _cleanup_free_ char *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    if (!row || !text || set(d, row, "check", check) < 0 || set(d, row, "subject", subject) < 0 ||
        set(d, row, "level", level) < 0 || set(d, row, "text", text) < 0 || set(d, row, "fix", fix) < 0 ||
        json_object_array_add(d->rows, row) < 0) {
        d->error = -ENOMEM;
        return;
    }
    row = NULL; /* the list's now */
    count(d, level);
}

DBusMessage *doctor_call(struct doctor *d, DBusMessage *call, DBusError *error)
{
    if (!d->bus || !call) {
        dbus_set_error_const(error, DBUS_ERROR_NO_MEMORY, "out of memory");
        return NULL;
    }
    return dbus_connection_send_with_reply_and_block(d->bus, call, 25000, error);
}
