/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/polkit-self-check.h"

#include "dbus/writer.h"
#include "util/log.h"

#include <stdarg.h>
#include <string.h>

#define OWNER_ANNOTATION "org.freedesktop.policykit.owner"
#define ACTION_SIGNATURE "a(ssssssuuua{ss})"
#define CHECK_TIMEOUT_MS 20000

struct polkit_self_check {
    struct bus *bus;
    struct bus_call *call;
    struct strv expected;
    char owner[128];
    char health[256];
};

int polkit_self_check_new(struct bus *bus, struct polkit_self_check **ret)
{
    struct polkit_self_check *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->bus = bus;
    (void)snprintf(s->health, sizeof(s->health), "not asked yet");
    *ret = s;
    return 0;
}

void polkit_self_check_free(struct polkit_self_check *s)
{
    if (!s)
        return;
    bus_call_drop(s->call);
    strv_clear(&s->expected);
    free(s);
}

static void set_health(struct polkit_self_check *s, const char *format, ...) _printf_(2, 3);

static void set_health(struct polkit_self_check *s, const char *format, ...)
{
    char before[sizeof(s->health)];
    memcpy(before, s->health, sizeof(before));
    va_list args;
    va_start(args, format);
    (void)vsnprintf(s->health, sizeof(s->health), format, args);
    va_end(args);
    if (strcmp(s->health, "ok") != 0 && strcmp(s->health, before) != 0)
        log_warning("polkit: %s; until it is mended no token is handed out", s->health);
}

static bool has_owner(DBusMessageIter *annotations, const char *owner)
{
    DBusMessageIter item, entry;
    for (dbus_message_iter_recurse(annotations, &item);
         dbus_message_iter_get_arg_type(&item) == DBUS_TYPE_DICT_ENTRY; dbus_message_iter_next(&item)) {
        const char *key, *value;
        dbus_message_iter_recurse(&item, &entry);
        dbus_message_iter_get_basic(&entry, &key);
        dbus_message_iter_next(&entry);
        dbus_message_iter_get_basic(&entry, &value);
        if (strcmp(key, OWNER_ANNOTATION) == 0 && strcmp(value, owner) == 0)
            return true;
    }
    return false;
}

/* The struct's first field is the id, its tenth the annotations. */
static bool is_our_action(DBusMessageIter *action, const char *id, const char *owner)
{
    DBusMessageIter field;
    const char *found;
    dbus_message_iter_recurse(action, &field);
    dbus_message_iter_get_basic(&field, &found);
    if (strcmp(found, id) != 0)
        return false;
    for (int i = 0; i < 9; i++)
        dbus_message_iter_next(&field);
    return has_owner(&field, owner);
}

static bool is_known(DBusMessageIter *actions, const char *id, const char *owner)
{
    DBusMessageIter item;
    for (dbus_message_iter_recurse(actions, &item); dbus_message_iter_get_arg_type(&item) == DBUS_TYPE_STRUCT;
         dbus_message_iter_next(&item))
        if (is_our_action(&item, id, owner))
            return true;
    return false;
}

static void on_actions(DBusMessage *reply, void *userdata)
{
    struct polkit_self_check *s = userdata;
    s->call = NULL;
    DBusMessageIter args;
    if (dbus_message_get_type(reply) != DBUS_MESSAGE_TYPE_METHOD_RETURN ||
        !dbus_message_has_signature(reply, ACTION_SIGNATURE) || !dbus_message_iter_init(reply, &args)) {
        set_health(s, "polkit does not answer on this bus");
        return;
    }
    for (size_t i = 0; i < s->expected.n; i++)
        if (!is_known(&args, s->expected.items[i], s->owner)) {
            set_health(s, "action %s is not installed, or its owner is not %s", s->expected.items[i],
                       s->owner);
            return;
        }
    set_health(s, "ok");
}

void polkit_self_check_run(struct polkit_self_check *s)
{
    bus_call_drop(s->call);
    s->call = NULL;
    DBusMessage *ask =
        dbus_message_new_method_call("org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority",
                                     "org.freedesktop.PolicyKit1.Authority", "EnumerateActions");
    if (!ask)
        return;
    struct writer w;
    writer_begin(&w, ask);
    writer_string(&w, ""); /* locale */
    if (writer_end(&w) < 0 || bus_call(s->bus, ask, CHECK_TIMEOUT_MS, on_actions, s, &s->call) < 0)
        set_health(s, "polkit could not be asked");
    dbus_message_unref(ask);
}

void polkit_self_check_expect(struct polkit_self_check *s, const struct strv *action_ids, const char *owner)
{
    strv_clear(&s->expected);
    for (size_t i = 0; i < action_ids->n; i++)
        if (strv_add(&s->expected, action_ids->items[i]) < 0)
            break; /* fewer are looked at: the self-check is advice, the checks themselves decide */
    (void)snprintf(s->owner, sizeof(s->owner), "%s", owner);
    polkit_self_check_run(s);
}

void polkit_self_check_lost(struct polkit_self_check *s)
{
    bus_call_drop(s->call);
    s->call = NULL;
    set_health(s, "polkit is not on the bus");
}

const char *polkit_self_check_health(const struct polkit_self_check *s)
{
    return s->health;
}
