/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/app-facts.h"

#include "broker/account.h"
#include "broker/broker.h"
#include "policy/app-name.h"

#include <string.h>

/* Of a unit, which runs as a user of the system's that is not known: no person's, and not root's. */
#define SOME_SYSTEM_UID 65519

/* --- connected --------------------------------------------------------------------------------------- */

static bool is_users(const struct identity *id, const char *user)
{
    char number[16];
    (void)snprintf(number, sizeof(number), "%u", (unsigned)id->uid);
    return !user[0] || strcmp(id->user, user) == 0 || strcmp(number, user) == 0;
}

static bool is_weaker(const struct identity *a, const struct identity *b)
{
    if (a->strength != b->strength)
        return a->strength < b->strength;
    return !a->is_pinned && b->is_pinned;
}

static const struct peer *find_peer(struct broker *broker, const struct identity *caller, const char *app,
                                    const char *user)
{
    const struct peer *peer, *found = NULL;
    LIST_FOREACH (peer, &broker->peers_by_use, by_use) {
        const struct identity *id = &peer->identity;
        if (!peer->is_known || strcmp(id->app, app) != 0 || !is_users(id, user))
            continue;
        bool is_own = id->uid == caller->uid, found_own = found && found->identity.uid == caller->uid;
        if (!found || (is_own && !found_own) || (is_own == found_own && is_weaker(id, &found->identity)))
            found = peer;
    }
    return found;
}

/* --- by name ----------------------------------------------------------------------------------------- */

static enum subject_strength strength_of(enum subject_kind kind)
{
    switch (kind) {
    case SUBJECT_SYSTEM_UNIT:
        return STRENGTH_UNIT;
    case SUBJECT_FLATPAK:
        return STRENGTH_SANDBOX;
    case SUBJECT_SNAP:
        return STRENGTH_LABEL;
    case SUBJECT_USER:
    case SUBJECT_UNKNOWN:
        break;
    }
    return STRENGTH_UID;
}

/* Whom the app's own name, or else the named user, says that it is. */
static const char *user_of_name(const char *app, const char *user)
{
    if (strncmp(app, "user:", 5) == 0)
        return app + 5;
    return strncmp(app, "uid:", 4) == 0 ? app + 4 : user;
}

static void set_user(struct app_facts *f, uid_t uid, const char *name)
{
    f->identity.uid = uid;
    f->has_uid = true;
    (void)snprintf(f->identity.user, sizeof(f->identity.user), "%s", name);
}

static bool read_number(const char *text, uid_t *ret)
{
    char *end;
    if (text[0] < '0' || text[0] > '9')
        return false;
    unsigned long long number = strtoull(text, &end, 10);
    if (*end || number >= (uid_t)-1)
        return false;
    *ret = (uid_t)number;
    return true;
}

/* Among those whom the broker has met: a look-up in the system's database may ask a server. */
static bool find_user(struct broker *broker, const struct identity *caller, const char *user,
                      struct app_facts *f)
{
    const struct peer *peer;
    const struct account *account;
    uid_t uid;
    if (is_users(caller, user)) {
        set_user(f, caller->uid, caller->user);
        return true;
    }
    LIST_FOREACH (peer, &broker->peers_by_use, by_use)
        if (peer->is_known && is_users(&peer->identity, user)) {
            set_user(f, peer->identity.uid, peer->identity.user);
            return true;
        }
    LIST_FOREACH (account, &broker->accounts, node)
        if (!account->owner.device && strcmp(account->owner.name, user) == 0) {
            set_user(f, account->owner.uid, account->owner.name);
            return true;
        }
    if (!read_number(user, &uid))
        return false;
    set_user(f, uid, "");
    return true;
}

/* A user whom the broker has not met, with the number that the caller says: never the caller's own, whose
 * apps need no permission to be asked about. */
static bool take_user(const struct identity *caller, const char *user, uid_t uid, struct app_facts *f)
{
    if (uid == (uid_t)-1 || uid == caller->uid)
        return false;
    set_user(f, uid, user);
    return true;
}

bool app_facts_find(struct broker *broker, const struct identity *caller, const char *app, const char *user,
                    uid_t uid, struct app_facts *ret)
{
    *ret = (struct app_facts){.peer = find_peer(broker, caller, app, user)};
    if (ret->peer) {
        ret->identity = ret->peer->identity;
        ret->has_uid = true;
        return true;
    }
    struct identity *id = &ret->identity;
    (void)snprintf(id->app, sizeof(id->app), "%s", app);
    id->kind = (enum subject_kind)app_kind_from_name(app);
    id->strength = strength_of(id->kind);
    id->is_pinned = true;
    id->uid = SOME_SYSTEM_UID;
    if (id->kind == SUBJECT_SYSTEM_UNIT)
        (void)snprintf(id->unit, sizeof(id->unit), "%s", app + strlen("unit:"));
    const char *whose = user_of_name(app, user);
    if (!whose[0] && id->kind == SUBJECT_SYSTEM_UNIT)
        return true;
    if (whose[0])
        return find_user(broker, caller, whose, ret) || take_user(caller, whose, uid, ret);
    set_user(ret, caller->uid, caller->user);
    return true;
}
