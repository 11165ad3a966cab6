/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/audit-call.h"

#include "client/lwactl/outcome.h"
#include "client/lwactl/terminal.h"
#include "dbus/names.h"

static int take(DBusMessage *reply, enum values_style style, struct json_object **ret)
{
    return values_from_message(reply, 0, style, ret) < 0 ? report(CTL_FAILED, "out of memory") : CTL_OK;
}

static void write_options(struct writer *w, bool own, int64_t since_sec)
{
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    if (own)
        writer_entry_bool(w, "own", true);
    if (since_sec > 0)
        writer_entry_int64(w, "since", since_sec);
    writer_close(w);
}

static int finish(struct bus *bus, struct writer *w, DBusMessage *call, enum values_style style,
                  struct json_object **ret)
{
    _cleanup_message_ DBusMessage *reply = NULL;
    int r = bus_end_arguments(w);
    if (r == CTL_OK)
        r = bus_call_patiently(bus, call, "aa{sv}", &reply);
    return r == CTL_OK ? take(reply, style, ret) : r;
}

int audit_call_matrix(struct bus *bus, bool own, int64_t since_sec, enum values_style style,
                      struct json_object **ret)
{
    _cleanup_message_ DBusMessage *call = NULL;
    struct writer w;
    int r = bus_new_call(LWA_OBJECT_PATH, LWA_INTERFACE_AUDIT, "Matrix", &call);
    if (r != CTL_OK)
        return r;
    writer_begin(&w, call);
    write_options(&w, own, since_sec);
    return finish(bus, &w, call, style, ret);
}

int audit_call_who_has(struct bus *bus, const char *scope, bool own, enum values_style style,
                       struct json_object **ret)
{
    _cleanup_message_ DBusMessage *call = NULL;
    struct writer w;
    int r = bus_new_call(LWA_OBJECT_PATH, LWA_INTERFACE_AUDIT, "WhoHas", &call);
    if (r != CTL_OK)
        return r;
    writer_begin(&w, call);
    writer_string(&w, scope);
    write_options(&w, own, 0);
    return finish(bus, &w, call, style, ret);
}

int audit_call_find_token(struct bus *bus, int fd, enum values_style style, struct json_object **ret)
{
    _cleanup_message_ DBusMessage *call = NULL;
    struct writer w;
    int r = bus_new_call(LWA_OBJECT_PATH, LWA_INTERFACE_AUDIT, "FindToken", &call);
    if (r != CTL_OK)
        return r;
    writer_begin(&w, call);
    writer_fd(&w, fd);
    return finish(bus, &w, call, style, ret);
}
