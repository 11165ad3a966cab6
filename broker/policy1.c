/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.lwabroker.Policy1: its table of methods, and ListApps. */

#include "broker/policy1.h"

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/consent.h"
#include "broker/exposure.h"
#include "broker/handlers.h"
#include "broker/limits.h"
#include "broker/peer.h"
#include "broker/permit.h"
#include "policy/app-name.h"

#include <string.h>

/* --- arguments --------------------------------------------------------------------------------------- */

bool policy1_check_app(struct call *call, const char *app)
{
    if (app_kind_from_name(app) >= 0)
        return true;
    call_fail(call, BUS_E_INVALID_ARGUMENT,
              "An app is named as flatpak:ID, snap:NAME.APP, unit:NAME.service, user:NAME or uid:NUMBER; see "
              "`lwactl who`.");
    return false;
}

bool policy1_check_account(struct call *call, const char *account)
{
    if (account_id_is_valid(account))
        return true;
    call_fail(call, BUS_E_INVALID_ARGUMENT, "An account id is 1 to 32 of a-z, 0-9 and -.");
    return false;
}

bool policy1_check_owner(struct call *call, const char *owner)
{
    if (!owner[0] || strcmp(owner, "device") == 0)
        return true;
    call_fail(call, BUS_E_INVALID_ARGUMENT, "The owner is \"device\", or left out for the caller.");
    return false;
}

bool policy1_owns(const struct call *call, const struct account *account)
{
    const struct identity *id = &call->peer->identity;
    return !account->owner.device && account->owner.uid == id->uid && !account_is_locked(account, id->user);
}

bool policy1_is_caller(const struct call *call, const char *user)
{
    const struct identity *id = &call->peer->identity;
    char number[16];
    (void)snprintf(number, sizeof(number), "%u", (unsigned)id->uid);
    return strcmp(user, id->user) == 0 || strcmp(user, number) == 0;
}

bool policy1_find_owner(const struct call *call, const char *user, uid_t *ret_uid)
{
    const struct account *account;
    LIST_FOREACH (account, &call->broker->accounts, node) {
        char number[16];
        (void)snprintf(number, sizeof(number), "%u", (unsigned)account->owner.uid);
        if (account->owner.device || (strcmp(account->owner.name, user) != 0 && strcmp(number, user) != 0))
            continue;
        *ret_uid = account->owner.uid;
        return true;
    }
    return false;
}

/* --- answers ----------------------------------------------------------------------------------------- */

void policy1_fail_account(struct call *call, const char *account)
{
    if (account[0])
        call_fail(call, BUS_E_NO_SUCH_ACCOUNT, "This user has no account %s; see `lwactl accounts`.",
                  account);
    else
        call_fail(call, BUS_E_NO_SUCH_ACCOUNT, "There is no account to decide about; see `lwactl accounts`.");
}

void policy1_fail_consent(struct call *call, int r, const char *app, const char *account)
{
    static const struct refusal too_many = {
        .what = "No more answers can be remembered for this account",
        .remedy = "take some back (lwactl consent list)",
        .n = LIMIT_CONSENTS_PER_ACCOUNT,
    };
    switch (r) {
    case CONSENT_E_NONE:
        call_fail(
            call, BUS_E_INVALID_ARGUMENT,
            "There is nothing to forget: nothing of this was answered about %s; see `lwactl consent list`.",
            app);
        break;
    case CONSENT_E_GONE:
        call_fail(call, BUS_E_NO_SUCH_ACCOUNT, "The account %s is gone.", account);
        break;
    case CONSENT_E_DENIED_ALL:
        call_fail(call, BUS_E_INVALID_ARGUMENT,
                  "Every scope is denied to %s; take that back first: lwactl consent revoke %s.", app, app);
        break;
    case -EUSERS:
        call_fail_limited(call, &too_many);
        break;
    case -ENOMEM:
        call_fail_no_memory(call);
        break;
    default:
        call_fail(call, BUS_E_STORE_UNAVAILABLE,
                  "The store cannot be written, so nothing was changed; see `lwactl status`.");
        break;
    }
}

/* --- ListApps ---------------------------------------------------------------------------------------- */

struct list_apps {
    struct permit permit;
    bool is_all;
};

static void drop_list_apps(void *state)
{
    struct list_apps *l = state;
    permit_drop(&l->permit);
    free(l);
}

static void write_app(struct writer *w, const struct peer *peer)
{
    const struct identity *id = &peer->identity;
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_string(w, "app", id->app);
    writer_entry_string(w, "kind", identity_kind_name(id));
    writer_entry_string(w, "strength", identity_strength_name(id));
    writer_entry_bool(w, "pinned", id->is_pinned);
    writer_entry_uint32(w, "uid", id->uid);
    writer_entry_string(w, "user", id->user);
    writer_entry_string(w, "unit", id->unit);
    writer_entry_string(w, "exe", id->exe);
    writer_entry_uint32(w, "pid", (uint32_t)id->pid);
    writer_entry_string(w, "connection", peer->name);
    writer_entry_uint32(w, "tokens", peer->n_holds);
    writer_close(w);
}

static void list_apps(struct call *call)
{
    const struct list_apps *l = call->state;
    struct broker *broker = call->broker;
    struct writer w;
    DBusMessage *reply = call_reply(call, &w);
    if (reply) {
        const struct peer *peer;
        writer_open(&w, DBUS_TYPE_ARRAY, "a{sv}");
        LIST_FOREACH (peer, &broker->peers_by_use, by_use)
            if (peer->is_known && peer != call->peer &&
                (l->is_all || peer->identity.uid == call->peer->identity.uid))
                write_app(&w, peer);
        writer_close(&w);
    }
    call_send(call, reply, &w);
}

static void authorize_list_apps(struct call *call)
{
    struct list_apps *l = call->state;
    if (l->is_all)
        permit_manage(&l->permit, call, "see the apps of all users (without `all`: own ones)", list_apps);
    else
        list_apps(call);
}

static void begin_list_apps(struct call *call)
{
    dbus_bool_t is_all = FALSE;
    struct reader_option options[] = {{"all", DBUS_TYPE_BOOLEAN, &is_all, false}};
    if (!handlers_read_options(call, 0, options, ARRAY_SIZE(options)))
        return;
    struct list_apps *l = calloc(1, sizeof(*l));
    if (!l) {
        call_fail_no_memory(call);
        return;
    }
    l->is_all = is_all;
    call->state = l;
    call->drop_state = drop_list_apps;
    call_identify_outside(call, authorize_list_apps);
}

/* --- ListExposure ------------------------------------------------------------------------------------ */

struct list_exposure {
    struct permit permit;
    struct call *call;
    struct store_exposure_filter filter;
    bool is_all;
    struct store_op *op;
};

static void drop_list_exposure(void *state)
{
    struct list_exposure *l = state;
    permit_drop(&l->permit);
    store_op_drop(l->op);
    free(l);
}

static void on_exposure(struct store_reply *stored, void *userdata)
{
    struct list_exposure *l = userdata;
    l->op = NULL;
    exposure_reply(l->call, stored);
}

static void list_exposure(struct call *call)
{
    struct list_exposure *l = call->state;
    int r = exposure_query(call, &l->filter, on_exposure, l, &l->op);
    if (r < 0)
        exposure_fail(call);
}

static void authorize_list_exposure(struct call *call)
{
    struct list_exposure *l = call->state;
    l->filter.uid = l->is_all || l->filter.is_device ? (uid_t)-1 : call->peer->identity.uid;
    if (l->filter.is_device)
        permit_manage(&l->permit, call, "see who holds tokens of the device's accounts", list_exposure);
    else if (l->is_all)
        permit_manage(&l->permit, call, "see who holds tokens of all users (without `all`: own ones)",
                      list_exposure);
    else
        list_exposure(call);
}

static void begin_list_exposure(struct call *call)
{
    dbus_bool_t is_all = FALSE;
    const char *app = "", *account = "", *owner = "";
    struct reader_option options[] = {
        {"app", DBUS_TYPE_STRING, &app, false},
        {"account", DBUS_TYPE_STRING, &account, false},
        {"owner", DBUS_TYPE_STRING, &owner, false},
        {"all", DBUS_TYPE_BOOLEAN, &is_all, false},
    };
    if (!handlers_read_options(call, 0, options, ARRAY_SIZE(options)) ||
        (app[0] && !policy1_check_app(call, app)) || (account[0] && !policy1_check_account(call, account)) ||
        !policy1_check_owner(call, owner))
        return;
    struct list_exposure *l = calloc(1, sizeof(*l));
    if (!l) {
        call_fail_no_memory(call);
        return;
    }
    l->call = call;
    l->is_all = is_all;
    exposure_filter_init(&l->filter);
    l->filter.is_device = owner[0] != '\0';
    (void)snprintf(l->filter.app, sizeof(l->filter.app), "%s", app);
    (void)snprintf(l->filter.account, sizeof(l->filter.account), "%s", account);
    call->state = l;
    call->drop_state = drop_list_exposure;
    call_identify_outside(call, authorize_list_exposure);
}

/* --- all --------------------------------------------------------------------------------------------- */

const struct method policy1_methods[] = {
    {LWA_INTERFACE_POLICY, "ListApps", "a{sv}", begin_list_apps},
    {LWA_INTERFACE_POLICY, "Explain", "sasa{sv}", policy1_begin_explain},
    {LWA_INTERFACE_POLICY, "Plan", "a{sv}", policy1_begin_plan},
    {LWA_INTERFACE_POLICY, "ListConsents", "a{sv}", policy1_begin_list_consents},
    {LWA_INTERFACE_POLICY, "SetConsent", "ssassa{sv}", policy1_begin_set_consent},
    {LWA_INTERFACE_POLICY, "RevokeApp", "sa{sv}", policy1_begin_revoke_app},
    {LWA_INTERFACE_POLICY, "ListExposure", "a{sv}", begin_list_exposure},
    {LWA_INTERFACE_POLICY, "Reload", "", policy1_begin_reload},
    {LWA_INTERFACE_POLICY, "Check", "a{sv}", policy1_begin_check},
    {NULL, NULL, NULL, NULL},
};
