/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whether polkitd is there, knows the actions that are no scope's, and can read the shipped rule. The broker
 * itself says more: of the scopes' actions, and whether the rule answers. */

#include "client/lwactl/bus.h"
#include "client/lwactl/doctor.h"

#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#define POLKIT_NAME "org.freedesktop.PolicyKit1"
#define POLKIT_USER "polkitd"
#define ACTIONS_SIGNATURE "a(ssssssuuua{ss})"
#define RULE_FILE "50-lwa-broker.rules"
#define CHECK_ACTIONS "polkit-actions"
#define CHECK_RULE "polkit-rule"

static const char *const actions[] = {
    "org.lwabroker.accounts.manage", "org.lwabroker.audit.read",     "org.lwabroker.audit.read-own",
    "org.lwabroker.consent",         "org.lwabroker.consent.device", "org.lwabroker.device.use",
    "org.lwabroker.keys.manage",     "org.lwabroker.login",          "org.lwabroker.policy.manage",
    "org.lwabroker.sandbox.allow",   "org.lwabroker.scope.other",
};

static void error_freep(DBusError *error)
{
    dbus_error_free(error);
}

/* --- actions ----------------------------------------------------------------------------------------- */

static DBusMessage *enumerate(struct doctor *d, DBusError *error)
{
    _cleanup_message_ DBusMessage *call =
        dbus_message_new_method_call(POLKIT_NAME, "/org/freedesktop/PolicyKit1/Authority",
                                     "org.freedesktop.PolicyKit1.Authority", "EnumerateActions");
    const char *locale = "";
    if (call && !dbus_message_append_args(call, DBUS_TYPE_STRING, &locale, DBUS_TYPE_INVALID))
        return NULL;
    return doctor_call(d, call, error);
}

static bool knows(DBusMessage *reply, const char *action)
{
    DBusMessageIter args, item, field;
    const char *id;
    (void)dbus_message_iter_init(reply, &args);
    for (dbus_message_iter_recurse(&args, &item); dbus_message_iter_get_arg_type(&item) == DBUS_TYPE_STRUCT;
         dbus_message_iter_next(&item)) {
        dbus_message_iter_recurse(&item, &field);
        dbus_message_iter_get_basic(&field, &id);
        if (strcmp(id, action) == 0)
            return true;
    }
    return false;
}

static void check_actions(struct doctor *d)
{
    _cleanup_(error_freep) DBusError error = DBUS_ERROR_INIT;
    _cleanup_message_ DBusMessage *reply = enumerate(d, &error);
    if (!reply || !dbus_message_has_signature(reply, ACTIONS_SIGNATURE)) {
        doctor_add(d, CHECK_ACTIONS, NULL, DOCTOR_PROBLEM,
                   "`systemctl start polkit`; is the package polkitd installed?",
                   "polkitd does not answer (%s): every request is denied",
                   error.name ? error.name : "another answer");
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
        if (!knows(reply, actions[i])) {
            doctor_add(d, CHECK_ACTIONS, actions[i], DOCTOR_PROBLEM,
                       "Is org.lwabroker.policy in /usr/share/polkit-1/actions? Install lwa-broker again.",
                       "is no action that polkitd knows");
            return;
        }
    doctor_add(d, CHECK_ACTIONS, NULL, DOCTOR_OK, NULL, "polkitd answers, and knows the broker's actions");
}

/* --- the rule ---------------------------------------------------------------------------------------- */

/* -ENOENT, or another error; where it was found. */
static int find_rule(char *path, size_t size, struct stat *st)
{
    static const char *const folders[] = {"/usr/share/polkit-1/rules.d", DATADIR "/polkit-1/rules.d",
                                          "/etc/polkit-1/rules.d"};
    int r = -ENOENT;
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        (void)snprintf(path, size, "%s/%s", folders[i], RULE_FILE);
        if (stat(path, st) == 0)
            return 0;
        if (errno != ENOENT)
            r = -errno;
    }
    return r;
}

static bool polkitd_can_read(const struct stat *st)
{
    const struct passwd *entry = getpwnam(POLKIT_USER);
    if (!entry) /* an older one, which runs as root */
        return true;
    if (st->st_uid == entry->pw_uid)
        return st->st_mode & S_IRUSR;
    return st->st_gid == entry->pw_gid ? st->st_mode & S_IRGRP : st->st_mode & S_IROTH;
}

static void check_rule(struct doctor *d)
{
    char path[512];
    struct stat st;
    int r = find_rule(path, sizeof(path), &st);
    if (r == -ENOENT)
        doctor_add(d, CHECK_RULE, RULE_FILE, DOCTOR_PROBLEM, "Install lwa-broker again.",
                   "is in no folder rules.d of polkit: no app gets a token");
    else if (r < 0)
        doctor_add(d, CHECK_RULE, RULE_FILE, DOCTOR_UNKNOWN, "As root it can be seen: `sudo lwactl doctor`.",
                   "cannot be looked at: %s", strerrordesc_np(-r));
    else if (!S_ISREG(st.st_mode) || !polkitd_can_read(&st))
        doctor_add(d, CHECK_RULE, path, DOCTOR_PROBLEM, "`chmod 0644 FILE`",
                   "cannot be read by the user " POLKIT_USER);
    else if (st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)))
        doctor_add(d, CHECK_RULE, path, DOCTOR_PROBLEM, "`chown root:root FILE` and `chmod 0644 FILE`",
                   "can be changed by others than root, who then decide what polkit says");
    else
        doctor_add(d, CHECK_RULE, path, DOCTOR_OK, NULL, "is there, and polkitd can read it");
}

void doctor_check_polkit(struct doctor *d)
{
    if (d->bus)
        check_actions(d);
    check_rule(d);
}
