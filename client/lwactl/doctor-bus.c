/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The bus, who owns the broker's name on it, and whether the shipped policy is in force: nobody but the
 * service user may own the name, and we may call the broker. A bus tells its policy to nobody, so both are
 * tried. */

#include "client/lwactl/bus.h"
#include "client/lwactl/doctor.h"
#include "dbus/names.h"

#include <pwd.h>
#include <string.h>

#define POLICY_FILE "org.lwabroker.Broker1.conf"
#define CHECK_BUS "bus"
#define CHECK_POLICY "bus-policy"

static void error_freep(DBusError *error)
{
    dbus_error_free(error);
}

#define _cleanup_error_ _cleanup_(error_freep)

/* --- the service user -------------------------------------------------------------------------------- */

void doctor_check_user(struct doctor *d)
{
    const struct passwd *entry = getpwnam(DOCTOR_SERVICE_USER);
    d->service_uid = entry ? entry->pw_uid : (uid_t)-1;
    if (!entry)
        doctor_add(d, "user", DOCTOR_SERVICE_USER, DOCTOR_PROBLEM,
                   "`systemd-sysusers` makes it from sysusers.d, or `useradd --system --no-create-home "
                   "lwa-broker`.",
                   "there is no such user, whom the broker is to run as");
    else if (entry->pw_uid == 0)
        doctor_add(d, "user", DOCTOR_SERVICE_USER, DOCTOR_PROBLEM, "Give it a uid of its own.",
                   "has uid 0, so that nothing confines the broker");
    else
        doctor_add(d, "user", DOCTOR_SERVICE_USER, DOCTOR_OK, NULL, "exists, with uid %u",
                   (unsigned)entry->pw_uid);
}

/* --- asking the bus ---------------------------------------------------------------------------------- */

static DBusMessage *ask_bus(struct doctor *d, const char *member, const char *name, DBusError *error)
{
    _cleanup_message_ DBusMessage *call =
        dbus_message_new_method_call(DBUS_SERVICE_DBUS, DBUS_PATH_DBUS, DBUS_INTERFACE_DBUS, member);
    if (call && !dbus_message_append_args(call, DBUS_TYPE_STRING, &name, DBUS_TYPE_INVALID))
        return NULL;
    return doctor_call(d, call, error);
}

static bool ask_number(struct doctor *d, const char *member, dbus_uint32_t *ret)
{
    _cleanup_error_ DBusError error = DBUS_ERROR_INIT;
    _cleanup_message_ DBusMessage *reply = ask_bus(d, member, d->owner, &error);
    return reply && dbus_message_get_args(reply, NULL, DBUS_TYPE_UINT32, ret, DBUS_TYPE_INVALID);
}

static void find_owner(struct doctor *d)
{
    _cleanup_error_ DBusError error = DBUS_ERROR_INIT;
    _cleanup_message_ DBusMessage *reply = ask_bus(d, "GetNameOwner", LWA_BUS_NAME, &error);
    const char *name;
    if (reply && dbus_message_get_args(reply, NULL, DBUS_TYPE_STRING, &name, DBUS_TYPE_INVALID))
        d->owner = strdup(name);
}

/* As any call of an app's would. False: with the reason in *error. */
static bool start(struct doctor *d, DBusError *error)
{
    _cleanup_message_ DBusMessage *call = dbus_message_new_method_call(
        DBUS_SERVICE_DBUS, DBUS_PATH_DBUS, DBUS_INTERFACE_DBUS, "StartServiceByName");
    const char *name = LWA_BUS_NAME;
    dbus_uint32_t flags = 0;
    if (call &&
        !dbus_message_append_args(call, DBUS_TYPE_STRING, &name, DBUS_TYPE_UINT32, &flags, DBUS_TYPE_INVALID))
        return false;
    _cleanup_message_ DBusMessage *reply = doctor_call(d, call, error);
    return reply;
}

/* --- policy ------------------------------------------------------------------------------------------ */

static bool policy_file_is_there(void)
{
    static const char *const folders[] = {DATADIR "/dbus-1/system.d", "/usr/share/dbus-1/system.d",
                                          "/etc/dbus-1/system.d"};
    char path[512];
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folders[i], POLICY_FILE);
        if (access(path, F_OK) == 0)
            return true;
    }
    return false;
}

static const char *policy_fix(void)
{
    return policy_file_is_there() ? POLICY_FILE " is there, so it is not loaded: `systemctl reload dbus`."
                                  : POLICY_FILE
               " is in no folder system.d of the bus: install lwa-broker again, then "
               "`systemctl reload dbus`.";
}

/* Does no harm while the name is owned: one who may have it waits in no queue. */
static bool may_own(struct doctor *d)
{
    _cleanup_error_ DBusError error = DBUS_ERROR_INIT;
    int r = dbus_bus_request_name(d->bus, LWA_BUS_NAME, DBUS_NAME_FLAG_DO_NOT_QUEUE, &error);
    if (r == DBUS_REQUEST_NAME_REPLY_PRIMARY_OWNER)
        (void)dbus_bus_release_name(d->bus, LWA_BUS_NAME, NULL);
    return r > 0;
}

static bool may_call(struct doctor *d, DBusError *error)
{
    _cleanup_message_ DBusMessage *call =
        dbus_message_new_method_call(LWA_BUS_NAME, LWA_OBJECT_PATH, DBUS_INTERFACE_PEER, "Ping");
    _cleanup_message_ DBusMessage *reply = doctor_call(d, call, error);
    return reply;
}

static void check_policy(struct doctor *d)
{
    _cleanup_error_ DBusError error = DBUS_ERROR_INIT;
    if (!may_call(d, &error) && dbus_error_has_name(&error, DBUS_ERROR_ACCESS_DENIED))
        doctor_add(d, CHECK_POLICY, NULL, DOCTOR_PROBLEM, policy_fix(),
                   "the bus lets nobody call the broker: the shipped policy is not in force");
    else if (error.name)
        doctor_add(d, CHECK_POLICY, NULL, DOCTOR_PROBLEM, "Look at the broker's log, and restart it.",
                   "the broker does not answer (%s)", error.name);
    else if (getuid() != d->service_uid && may_own(d))
        doctor_add(d, CHECK_POLICY, NULL, DOCTOR_PROBLEM,
                   "Look in /etc/dbus-1/system.d for a policy that allows others to own " LWA_BUS_NAME ".",
                   "this user may own the broker's name too, and could stand in for it");
    else
        doctor_add(d, CHECK_POLICY, NULL, DOCTOR_OK, NULL,
                   "this user can call the broker, and cannot take its name");
}

/* --- all of it --------------------------------------------------------------------------------------- */

static void check_owner(struct doctor *d)
{
    dbus_uint32_t uid = (dbus_uint32_t)-1, pid = 0;
    if (ask_number(d, "GetConnectionUnixProcessID", &pid))
        d->pid = (pid_t)pid;
    if (!ask_number(d, "GetConnectionUnixUser", &uid))
        doctor_add(d, CHECK_BUS, LWA_BUS_NAME, DOCTOR_UNKNOWN, "Try again.",
                   "belongs to a process of which the bus tells nothing");
    else if (uid != d->service_uid)
        doctor_add(d, CHECK_BUS, LWA_BUS_NAME, DOCTOR_PROBLEM,
                   "Find out what process " LWA_BUS_NAME
                   " belongs to, and end it; only lwa-broker may own it.",
                   "belongs to uid %u, and not to " DOCTOR_SERVICE_USER, (unsigned)uid);
    else
        doctor_add(d, CHECK_BUS, LWA_BUS_NAME, DOCTOR_OK, NULL,
                   "belongs to " DOCTOR_SERVICE_USER " (process %ld)", (long)d->pid);
}

static void check_absence(struct doctor *d, const DBusError *error)
{
    doctor_add(d, CHECK_BUS, LWA_BUS_NAME, DOCTOR_PROBLEM,
               "`systemctl start lwa-brokerd`; its log (`journalctl -u lwa-brokerd`) tells why it ends.",
               "the broker does not run, and the bus cannot start it (%s)",
               error->name ? error->name : "no reason given");
    if (policy_file_is_there())
        doctor_add(d, CHECK_POLICY, NULL, DOCTOR_UNKNOWN, "Start the broker first.",
                   "is installed; whether it is in force can only be seen while the broker runs");
    else
        doctor_add(d, CHECK_POLICY, NULL, DOCTOR_PROBLEM, policy_fix(),
                   "the shipped policy is not installed: the broker cannot own its name");
}

void doctor_check_bus(struct doctor *d)
{
    _cleanup_error_ DBusError error = DBUS_ERROR_INIT;
    d->bus = dbus_bus_get_private(DBUS_BUS_SYSTEM, &error);
    if (!d->bus) {
        doctor_add(d, CHECK_BUS, NULL, DOCTOR_PROBLEM,
                   "Is dbus-daemon running, and DBUS_SYSTEM_BUS_ADDRESS right if it is set?",
                   "the system bus cannot be reached: %s", error.message ? error.message : "no reason given");
        return;
    }
    dbus_connection_set_exit_on_disconnect(d->bus, FALSE);
    find_owner(d);
    if (!d->owner && start(d, &error))
        find_owner(d);
    if (!d->owner) {
        check_absence(d, &error);
        return;
    }
    check_owner(d);
    check_policy(d);
}
