/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Policy1.RevokeApp: takes everything back from an app, and keeps it from coming again until it is allowed
 * anew.
 *
 * 1. Whose accounts: the one named, or all of the caller's own, or of the user that an administrator names;
 * and the device's, if the caller manages policy. Who does not is not asked for a password on their account.
 * 2. For each of them every scope is denied to the app, which takes back what was allowed. Each denial is
 * durable and in force before the answer: calls under way start over, and who holds a token is told.
 * 3. What is still out there is the answer. */

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/consent.h"
#include "broker/exposure.h"
#include "broker/handlers.h"
#include "broker/peer.h"
#include "broker/permit.h"
#include "broker/policy1.h"

#include <string.h>

struct revoke {
    struct permit permit;
    struct call *call;
    struct store_exposure_filter filter;
    char user[IDENTITY_USER_SIZE]; /* as named; "" for the caller */
    uid_t uid;                     /* whose accounts */
    bool is_device;                /* the device's too */
    struct polkit_check *check;
    struct list under_way; /* struct denying, under way */
    size_t n_accounts;
    int r; /* the first failure */
    struct store_op *query;
};

struct denying {
    struct list node;
    struct revoke *revoke;
    struct consent_op *op;
};

static void denying_free(struct denying *d)
{
    consent_op_drop(d->op);
    list_remove(&d->node);
    free(d);
}

static void drop_revoke(void *state)
{
    struct revoke *v = state;
    permit_drop(&v->permit);
    polkit_check_drop(v->check);
    while (!list_is_empty(&v->under_way))
        denying_free(LIST_ENTRY(v->under_way.next, struct denying, node));
    store_op_drop(v->query);
    free(v);
}

/* --- deny -------------------------------------------------------------------------------------------- */

static void on_exposure(struct store_reply *stored, void *userdata)
{
    struct revoke *v = userdata;
    v->query = NULL;
    exposure_reply(v->call, stored);
}

static void finish(struct revoke *v)
{
    if (v->r != 0)
        policy1_fail_consent(v->call, v->r, v->filter.app, v->filter.account);
    else if (exposure_query(v->call, &v->filter, on_exposure, v, &v->query) < 0)
        exposure_fail(v->call);
}

static void on_denied(int r, void *userdata)
{
    struct denying *d = userdata;
    struct revoke *v = d->revoke;
    d->op = NULL;
    denying_free(d);
    if (r != 0 && r != CONSENT_E_GONE && v->r == 0) /* an account that went meanwhile took all with it */
        v->r = r;
    if (list_is_empty(&v->under_way))
        finish(v);
}

static int deny(struct revoke *v, struct account *account)
{
    const struct identity *by = &v->call->peer->identity;
    const struct consent_change change = {
        .answer = CONSENT_DENY,
        .app = v->filter.app,
        .lasts = CONSENT_UNTIL_LOGOUT,
        .how = CONSENT_BY_COMMAND,
        .by_uid = by->uid,
        .by_name = by->user,
        .request = v->call->request,
    };
    struct denying *d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    d->revoke = v;
    list_append(&v->under_way, &d->node);
    int r = consent_change(account, &change, on_denied, d, &d->op);
    if (r < 0)
        denying_free(d);
    return r;
}

static bool is_meant(const struct revoke *v, const struct account *account)
{
    if (v->filter.account[0] && strcmp(v->filter.account, account->id) != 0)
        return false;
    return account->owner.device ? v->is_device : account->owner.uid == v->uid;
}

static void deny_all(struct call *call)
{
    struct revoke *v = call->state;
    struct account *account;
    LIST_FOREACH (account, &call->broker->accounts, node) {
        if (!is_meant(v, account))
            continue;
        v->n_accounts++;
        int r = deny(v, account);
        if (r < 0 && v->r == 0)
            v->r = r;
    }
    if (v->n_accounts == 0)
        policy1_fail_account(call, v->filter.account);
    else if (list_is_empty(&v->under_way))
        finish(v);
}

/* --- whose accounts ---------------------------------------------------------------------------------- */

static bool owns_any(const struct revoke *v)
{
    const struct account *account;
    LIST_FOREACH (account, &v->call->broker->accounts, node)
        if (!account->owner.device && is_meant(v, account))
            return true;
    return false;
}

static void deny_on_device(struct call *call)
{
    struct revoke *v = call->state;
    v->is_device = true;
    v->filter.uid = (uid_t)-1;
    deny_all(call);
}

static void on_device_checked(const struct polkit_answer *answer, void *userdata)
{
    struct revoke *v = userdata;
    v->check = NULL;
    if (answer->result == POLKIT_YES)
        deny_on_device(v->call);
    else
        deny_all(v->call);
}

/* The caller's own accounts, and the device's. Who has none of the first means the second. */
static void look_at_device(struct call *call)
{
    struct revoke *v = call->state;
    struct authorize_question nothing;
    if (!owns_any(v)) {
        permit_manage(&v->permit, call, "decide about the device's account", deny_on_device);
        return;
    }
    authorize_question_init(&nothing);
    int r =
        authorize_action(call->peer, ACTION_POLICY_MANAGE, &nothing, false, on_device_checked, v, &v->check);
    if (r < 0)
        authorize_fail(call, r);
}

/* The caller manages policy; before that was known, nothing told who has an account. */
static void deny_for_user(struct call *call)
{
    struct revoke *v = call->state;
    if (!policy1_find_owner(call, v->user, &v->uid)) {
        policy1_fail_account(call, v->filter.account);
        return;
    }
    v->filter.uid = v->uid;
    deny_all(call);
}

static void authorize_revoke(struct call *call)
{
    struct revoke *v = call->state;
    const struct identity *id = &call->peer->identity;
    if (!permit_change(call))
        return;
    v->uid = id->uid;
    v->filter.uid = id->uid;
    if (v->user[0] && !policy1_is_caller(call, v->user)) {
        permit_manage(&v->permit, call, "decide about the accounts of others", deny_for_user);
        return;
    }
    const struct account *named =
        v->filter.account[0] ? account_find(call->broker, id->uid, v->filter.account) : NULL;
    if (named && named->owner.device) {
        permit_manage(&v->permit, call, "decide about the device's account", deny_on_device);
    } else if (named) {
        deny_all(call);
    } else if (v->filter.account[0]) {
        policy1_fail_account(call, v->filter.account);
    } else {
        look_at_device(call);
    }
}

void policy1_begin_revoke_app(struct call *call)
{
    const char *app = "", *account = "", *user = "";
    DBusMessageIter args;
    struct reader_option options[] = {
        {"account", DBUS_TYPE_STRING, &account, false},
        {"user", DBUS_TYPE_STRING, &user, false},
    };
    (void)dbus_message_iter_init(call->message, &args);
    dbus_message_iter_get_basic(&args, &app);
    if (!handlers_read_options(call, 1, options, ARRAY_SIZE(options)) || !policy1_check_app(call, app) ||
        (account[0] && !policy1_check_account(call, account)))
        return;
    struct revoke *v = calloc(1, sizeof(*v));
    if (!v) {
        call_fail_no_memory(call);
        return;
    }
    list_init(&v->under_way);
    v->call = call;
    exposure_filter_init(&v->filter);
    (void)snprintf(v->filter.app, sizeof(v->filter.app), "%s", app);
    (void)snprintf(v->filter.account, sizeof(v->filter.account), "%s", account);
    (void)snprintf(v->user, sizeof(v->user), "%s", user);
    call->state = v;
    call->drop_state = drop_revoke;
    call_identify_outside(call, authorize_revoke);
}
