/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How the facts are found:
 *
 * 1. GetConnectionCredentials gives what the kernel vouched for when the connection was made: uid, pid,
 *    AppArmor label, and on newer buses a descriptor of the process.
 * 2. Side by side: the name service tells the uid's name (identity-user.c), and lwa-identd looks at the
 *    process (identd-link.c). Either may wait for somebody who does not answer, and both are abandonable.
 * 3. identity_name() names the app.
 *
 * What cannot be found out, for whatever reason, ends in a no. */

#include "broker/identity.h"

#include "broker/broker.h"
#include "broker/identity-user.h"

#include <errno.h>
#include <string.h>

struct identity_lookup {
    struct broker *broker;
    struct bus_call *call;
    struct user_lookup *user;
    identity_callback callback;
    void *userdata;
    struct identity identity;
};

static void finish(struct identity_lookup *l, const char *why)
{
    struct identity identity = l->identity;
    identity_callback callback = l->callback;
    void *userdata = l->userdata;
    identity_lookup_drop(l);
    callback(why ? NULL : &identity, why, userdata);
}

static void finish_if_told(struct identity_lookup *l)
{
    if (l->user)
        return;
    identity_name(&l->identity, l->broker->table);
    finish(l, NULL);
}

static void on_user(const char *name, void *userdata)
{
    struct identity_lookup *l = userdata;
    l->user = NULL;
    if (!name) {
        finish(l, "the name of its user cannot be read; try again later");
        return;
    }
    (void)snprintf(l->identity.user, sizeof(l->identity.user), "%s", name);
    finish_if_told(l);
}

/* 0, or READER_E_TYPE when it is not as it must be. */
static int read_label(DBusMessageIter *credentials, struct identity *id)
{
    const unsigned char *bytes;
    size_t n;
    int r = reader_find_bytes(credentials, "LinuxSecurityLabel", &bytes, &n);
    if (r == 0)
        id->label = snap_label_read(bytes, n, id->snap);
    return r == -ENOENT ? 0 : r;
}

static bool read_credentials(DBusMessage *reply, struct identity *id)
{
    DBusMessageIter args;
    dbus_uint32_t uid;
    if (dbus_message_get_type(reply) != DBUS_MESSAGE_TYPE_METHOD_RETURN ||
        !dbus_message_has_signature(reply, "a{sv}") || !dbus_message_iter_init(reply, &args) ||
        reader_find(&args, "UnixUserID", DBUS_TYPE_UINT32, &uid) != 0 || uid == (uid_t)-1)
        return false;
    id->uid = uid;
    return read_label(&args, id) == 0;
}

static void on_credentials(DBusMessage *reply, void *userdata)
{
    struct identity_lookup *l = userdata;
    l->call = NULL;
    if (!read_credentials(reply, &l->identity))
        finish(l, "the message bus does not tell its user; try again later");
    else if (user_look_up(l->broker, l->identity.uid, on_user, l, &l->user) < 0)
        finish(l, "the broker is out of memory; try again later");
}

int identity_look_up(struct broker *broker, const char *name, identity_callback callback, void *userdata,
                     struct identity_lookup **ret)
{
    _cleanup_(identity_lookup_dropp) struct identity_lookup *l = calloc(1, sizeof(*l));
    if (!l)
        return -ENOMEM;
    l->broker = broker;
    l->callback = callback;
    l->userdata = userdata;
    l->identity.uid = (uid_t)-1;

    DBusMessage *ask = dbus_message_new_method_call(DBUS_SERVICE_DBUS, DBUS_PATH_DBUS, DBUS_INTERFACE_DBUS,
                                                    "GetConnectionCredentials");
    if (!ask)
        return -ENOMEM;
    int r = -ENOMEM;
    if (dbus_message_append_args(ask, DBUS_TYPE_STRING, &name, DBUS_TYPE_INVALID))
        r = bus_call(broker->bus, ask, -1, on_credentials, l, &l->call);
    dbus_message_unref(ask);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(l);
    return 0;
}

void identity_lookup_drop(struct identity_lookup *l)
{
    if (!l)
        return;
    bus_call_drop(l->call);
    user_lookup_drop(l->user);
    free(l);
}
