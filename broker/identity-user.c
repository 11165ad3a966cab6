/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The UNIX user behind a connection.
 *
 * 1. GetConnectionCredentials gives the uid that the kernel vouched for when the connection was made.
 * 2. A worker looks the uid's name up: the name service may ask a server that does not answer, so at most
 *    LIMIT_IDENTITY_LOOKUPS workers do so at once, and the rest wait for their turn in our queue.
 *
 * A look-up that is dropped while its worker runs is only marked: the worker's own memory is freed when it
 * comes back, however late that is. */

#include "broker/identity.h"

#include "broker/broker.h"
#include "broker/limits.h"

#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <string.h>

#define NAME_BUFFER_BYTES 16384

/* What the worker thread touches, and nothing else. */
struct name_work {
    uv_work_t work;
    struct identity_lookup *lookup; /* NULL once dropped; read and written on the loop's thread only */
    struct broker *broker;
    uid_t uid;
    uid_t broker_uid;
    bool failed;                   /* not "no such user": it could not be told */
    char name[IDENTITY_USER_SIZE]; /* "" when it has none */
};

struct identity_lookup {
    struct list waiting; /* in broker->identity.waiting while it waits for a worker */
    struct broker *broker;
    struct bus_call *call;
    struct name_work *work;
    identity_callback callback;
    void *userdata;
    struct identity identity;
};

struct subject identity_subject(const struct identity *id)
{
    return (struct subject){
        .app = id->app,
        .user = id->user,
        .exe = id->exe,
        .uid = id->uid,
        .kind = id->kind,
        .strength = id->strength,
        .is_pinned = id->is_pinned,
    };
}

const char *identity_kind_name(const struct identity *id)
{
    return subject_kind_name(id->kind);
}

const char *identity_strength_name(const struct identity *id)
{
    return subject_strength_name(id->strength);
}

bool identity_is_sandboxed(const struct identity *id _unused_)
{
    return false; /* no sandbox can be told yet: every caller is its UNIX user */
}

static bool is_usable_name(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n >= IDENTITY_USER_SIZE)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isascii((unsigned char)name[i]) || (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i])))
            return false;
    return true;
}

/* 0 with or without a name in `ret`, "" then; else an error. */
static int read_name(uid_t uid, char *buffer, char ret[static IDENTITY_USER_SIZE])
{
    struct passwd entry, *found;
    ret[0] = '\0';
    int r = getpwuid_r(uid, &entry, buffer, NAME_BUFFER_BYTES, &found);
    if (r == 0 && found && is_usable_name(found->pw_name))
        memcpy(ret, found->pw_name, strlen(found->pw_name) + 1);
    return r;
}

/* Who cannot be identified gets nothing: a uid whose name cannot be read is no uid without a name, for which
 * the table may have another section. But the C library says "no such user", and no error, when a source of
 * names that has the user cannot be read (no descriptor is free, memory is out) and the next one does not
 * know it. So this is believed only if it is said twice, and if our own name, which is there, is found in
 * between. */
static void look_name_up(uv_work_t *work)
{
    struct name_work *w = work->data;
    _cleanup_free_ char *buffer = malloc(NAME_BUFFER_BYTES);
    char own[IDENTITY_USER_SIZE];
    w->failed = true;
    if (!buffer || read_name(w->uid, buffer, w->name) != 0)
        return;
    w->failed = false;
    if (w->name[0])
        return;
    w->failed =
        read_name(w->broker_uid, buffer, own) != 0 || !own[0] || read_name(w->uid, buffer, w->name) != 0;
}

static void finish(struct identity_lookup *l, bool known)
{
    struct identity identity = l->identity;
    identity_callback callback = l->callback;
    void *userdata = l->userdata;
    identity_lookup_drop(l);
    callback(known ? &identity : NULL, userdata);
}

static void start_waiting(struct broker *broker);

static void on_name(uv_work_t *work, int status)
{
    _cleanup_free_ struct name_work *w = work->data;
    struct broker *broker = w->broker;
    struct identity_lookup *l = w->lookup;
    broker->identity.n_running--;
    if (l) {
        l->work = NULL;
        struct identity *id = &l->identity;
        if (w->name[0]) {
            memcpy(id->user, w->name, sizeof(w->name));
            (void)snprintf(id->app, sizeof(id->app), "user:%s", w->name);
        } else {
            (void)snprintf(id->app, sizeof(id->app), "uid:%u", (unsigned)id->uid);
        }
        finish(l, status == 0 && !w->failed);
    }
    start_waiting(broker);
}

static int start_work(struct identity_lookup *l)
{
    struct name_work *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->work.data = w;
    w->lookup = l;
    w->broker = l->broker;
    w->uid = l->identity.uid;
    w->broker_uid = l->broker->identity.own_uid;
    if (uv_queue_work(l->broker->loop, &w->work, look_name_up, on_name) < 0) {
        free(w);
        return -ENOMEM;
    }
    l->work = w;
    l->broker->identity.n_running++;
    return 0;
}

static void start_waiting(struct broker *broker)
{
    struct list *head = &broker->identity.waiting;
    while (!list_is_empty(head) && broker->identity.n_running < LIMIT_IDENTITY_LOOKUPS) {
        struct identity_lookup *l = LIST_ENTRY(head->next, struct identity_lookup, waiting);
        list_remove(&l->waiting);
        if (start_work(l) < 0)
            finish(l, false);
    }
}

static bool read_uid(DBusMessage *reply, uid_t *ret_uid)
{
    DBusMessageIter args;
    dbus_uint32_t uid;
    if (dbus_message_get_type(reply) != DBUS_MESSAGE_TYPE_METHOD_RETURN ||
        !dbus_message_has_signature(reply, "a{sv}") || !dbus_message_iter_init(reply, &args) ||
        reader_find(&args, "UnixUserID", DBUS_TYPE_UINT32, &uid) != 0 || uid == (uid_t)-1)
        return false;
    *ret_uid = uid;
    return true;
}

static void on_credentials(DBusMessage *reply, void *userdata)
{
    struct identity_lookup *l = userdata;
    struct broker *broker = l->broker;
    l->call = NULL;
    if (!read_uid(reply, &l->identity.uid)) {
        finish(l, false);
        return;
    }
    list_append(&broker->identity.waiting, &l->waiting);
    start_waiting(broker);
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
    l->identity.kind = SUBJECT_USER;
    l->identity.strength = STRENGTH_UID;
    list_init(&l->waiting);

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
    list_remove(&l->waiting);
    bus_call_drop(l->call);
    if (l->work) {
        l->work->lookup = NULL;
        (void)uv_cancel((uv_req_t *)&l->work->work); /* works only if no worker has begun with it */
    }
    free(l);
}
