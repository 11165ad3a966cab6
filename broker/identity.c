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

#define LATER "try again later"
#define ENDED "nothing looks at its process (lwa-identd has ended); " LATER

struct identity_lookup {
    struct broker *broker;
    struct bus_call *call;
    struct user_lookup *user;
    struct identd_ask *process;
    uint64_t connected_usec;
    identity_callback callback;
    void *userdata;
    struct identity identity;
};

static void finish(struct identity_lookup *l, const struct identity *identity, const char *why)
{
    identity_callback callback = l->callback;
    void *userdata = l->userdata;
    identity_lookup_drop(l);
    callback(identity, why, userdata);
}

static void fail(struct identity_lookup *l, const char *why)
{
    finish(l, NULL, why);
}

static void finish_if_told(struct identity_lookup *l)
{
    if (l->user || l->process)
        return;
    struct identity identity = l->identity;
    identity_name(&identity, l->broker->table);
    finish(l, &identity, NULL);
}

static void on_user(const char *name, void *userdata)
{
    struct identity_lookup *l = userdata;
    l->user = NULL;
    if (!name) {
        fail(l, "the name of its user cannot be read; " LATER);
        return;
    }
    (void)snprintf(l->identity.user, sizeof(l->identity.user), "%s", name);
    finish_if_told(l);
}

/* What lwa-identd says when it has no facts. */
static const char *const failures[] = {
    [IDENTD_GONE] = "the process that connected has ended, or its number is another's now; connect anew",
    [IDENTD_OTHER_UID] =
        "its process runs as another user than the one that connected; connect as the user it is to be",
    [IDENTD_UNREADABLE] = "its process cannot be looked at, or is not as it must be (a .flatpak-info that "
                          "Flatpak did not write, or a root that changes); start it anew",
    [IDENTD_TIMEOUT] = "the file system that its process is in does not answer; " LATER,
    [IDENTD_BUSY] = "too many processes of its user wait to be looked at; " LATER,
    [IDENTD_SILENT] = "lwa-identd does not answer; " LATER,
    [IDENTD_LOST] = ENDED,
};

static void on_process(const struct identd_answer *answer, void *userdata)
{
    struct identity_lookup *l = userdata;
    struct identity *id = &l->identity;
    l->process = NULL;
    if (answer->status == IDENTD_SILENT || answer->status == IDENTD_LOST) {
        fail(l, failures[answer->status]); /* no fault of its process */
        return;
    }
    if (answer->status != IDENTD_OK) {
        const struct identity blamed = {.uid = id->uid, .app = "unknown", .kind = SUBJECT_UNKNOWN};
        finish(l, &blamed, failures[answer->status]);
        return;
    }
    (void)snprintf(id->flatpak, sizeof(id->flatpak), "%s", answer->flatpak);
    (void)snprintf(id->unit, sizeof(id->unit), "%s", answer->unit);
    (void)snprintf(id->exe, sizeof(id->exe), "%s", answer->exe);
    id->is_foreign = answer->is_foreign;
    id->is_pinned = answer->is_pinned;
    finish_if_told(l);
}

/* Whether what is there is as it must be; what a bus does not know is not there. */
static bool read_label(DBusMessageIter *credentials, struct identity *id)
{
    const unsigned char *bytes;
    size_t n;
    int r = reader_find_bytes(credentials, "LinuxSecurityLabel", &bytes, &n);
    if (r == 0)
        id->label = snap_label_read(bytes, n, id->snap);
    return r == 0 || r == -ENOENT;
}

static bool read_process_fd(DBusMessageIter *credentials, int *ret)
{
    int r = reader_find(credentials, "ProcessFD", DBUS_TYPE_UNIX_FD, ret);
    return r == 0 ? *ret >= 0 : r == -ENOENT; /* < 0: it is there, but no descriptor was free */
}

static bool read_credentials(DBusMessage *reply, struct identity *id, int *ret_pidfd)
{
    DBusMessageIter args;
    dbus_uint32_t uid, pid;
    if (dbus_message_get_type(reply) != DBUS_MESSAGE_TYPE_METHOD_RETURN ||
        !dbus_message_has_signature(reply, "a{sv}") || !dbus_message_iter_init(reply, &args) ||
        reader_find(&args, "UnixUserID", DBUS_TYPE_UINT32, &uid) != 0 || uid == (uid_t)-1 ||
        reader_find(&args, "ProcessID", DBUS_TYPE_UINT32, &pid) != 0 || pid == 0 || pid > INT32_MAX)
        return false;
    id->uid = uid;
    id->pid = (pid_t)pid;
    return read_label(&args, id) && read_process_fd(&args, ret_pidfd);
}

static int look_at(struct identity_lookup *l, int pidfd)
{
    const struct identity *id = &l->identity;
    int r = user_look_up(l->broker, id->uid, on_user, l, &l->user);
    if (r < 0)
        return r;
    return l->broker->identd ? identd_ask(l->broker->identd, id->uid, id->pid, pidfd, l->connected_usec,
                                          on_process, l, &l->process)
                             : -EPIPE;
}

static void on_credentials(DBusMessage *reply, void *userdata)
{
    struct identity_lookup *l = userdata;
    _cleanup_close_ int pidfd = -1;
    l->call = NULL;
    if (!read_credentials(reply, &l->identity, &pidfd)) {
        fail(l, "the message bus does not tell its user and process; " LATER);
        return;
    }
    int r = look_at(l, pidfd);
    if (r == -ENOMEM)
        fail(l, "the broker is out of memory; " LATER);
    else if (r == -EPIPE)
        fail(l, ENDED);
    else if (r < 0)
        fail(l, "the broker is short of resources; " LATER);
}

int identity_look_up(struct broker *broker, const char *name, identity_callback callback, void *userdata,
                     struct identity_lookup **ret)
{
    _cleanup_(identity_lookup_dropp) struct identity_lookup *l = calloc(1, sizeof(*l));
    if (!l)
        return -ENOMEM;
    l->broker = broker;
    l->connected_usec = appeared_usec(&broker->appeared, name);
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
    identd_ask_drop(l->process);
    free(l);
}
