/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Status1.ProbeNarrowing: probe.h, with a login of the account that an administrator names. */

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/handlers.h"
#include "broker/peer.h"
#include "broker/permit.h"
#include "broker/policy1.h"
#include "broker/probe.h"
#include "broker/status1.h"

#include <string.h>

struct probe_call {
    struct permit permit;
    struct call *call;
    char account[LWA_ACCOUNT_ID_BYTES_MAX + 1];
    char user[OWNER_NAME_MAX]; /* its owner, "" where he is not named */
    int64_t grant;
    struct probe *probe;
};

static void drop(void *state)
{
    struct probe_call *c = state;
    permit_drop(&c->permit);
    probe_drop(c->probe);
    free(c);
}

/* --- which login ------------------------------------------------------------------------------------- */

static struct grant *find_fitting(const struct account *account)
{
    struct grant *grant;
    LIST_FOREACH (grant, &account->grants, node)
        if (probe_fits(grant))
            return grant;
    return NULL;
}

static bool is_meant(const struct probe_call *c, const struct account *account, uid_t uid)
{
    if (c->account[0] && strcmp(account->id, c->account) != 0)
        return false;
    return !c->user[0] || (!account->owner.device && account->owner.uid == uid);
}

/* The first one of the accounts that are meant; of any where none is named. *ret_account is one of them. */
static struct grant *choose(const struct probe_call *c, const struct account **ret_account)
{
    uid_t uid = (uid_t)-1;
    struct account *account;
    *ret_account = NULL;
    if (c->user[0] && !policy1_find_owner(c->call, c->user, &uid))
        return NULL;
    LIST_FOREACH (account, &c->call->broker->accounts, node) {
        if (!is_meant(c, account, uid))
            continue;
        *ret_account = account;
        struct grant *grant = find_fitting(account);
        if (grant)
            return grant;
    }
    return NULL;
}

/* --- the call ---------------------------------------------------------------------------------------- */

static void on_probed(enum probe_outcome outcome, const char *detail, void *userdata)
{
    struct probe_call *c = userdata;
    c->probe = NULL;
    struct writer w;
    DBusMessage *reply = call_reply(c->call, &w);
    if (reply) {
        writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
        writer_entry_string(&w, "outcome", probe_outcome_name(outcome));
        writer_entry_string(&w, "detail", detail);
        writer_entry_uint64(&w, "grant", (uint64_t)c->grant);
        writer_entry_bool(&w, "configured", c->call->broker->config->narrows_on_refresh);
        writer_close(&w);
    }
    call_send(c->call, reply, &w);
}

static void probe(struct call *call)
{
    struct probe_call *c = call->state;
    const struct account *account;
    struct grant *grant = choose(c, &account);
    if (!account) {
        policy1_fail_account(call, c->account);
        return;
    }
    if (!grant) {
        call_fail(
            call, BUS_E_LOGIN_REQUIRED,
            "No login here carries the scope profile, whose part profile:user_id can be asked for alone: "
            "make one that does (lwactl login profile), and probe again.");
        return;
    }
    c->grant = grant->row;
    int r = probe_start(grant, call->request, on_probed, c, &c->probe);
    if (r == -EBUSY)
        call_fail(call, BUS_E_PROVIDER_UNAVAILABLE,
                  "The login of account %s cannot be renewed now; see `lwactl status`.", account->id);
    else if (r < 0)
        call_fail_errno(call, r, NULL);
}

static void authorize(struct call *call)
{
    struct probe_call *c = call->state;
    permit_manage(&c->permit, call, "try a refresh that names fewer scopes", probe);
}

static bool read_arguments(struct probe_call *c)
{
    const char *account = "", *user = "";
    struct reader_option options[] = {{"user", DBUS_TYPE_STRING, &user, false}};
    (void)dbus_message_get_args(c->call->message, NULL, DBUS_TYPE_STRING, &account, DBUS_TYPE_INVALID);
    if ((account[0] && !policy1_check_account(c->call, account)) ||
        !handlers_read_options(c->call, 1, options, ARRAY_SIZE(options)))
        return false;
    if (strlen(user) >= sizeof(c->user)) {
        call_fail(c->call, BUS_E_INVALID_ARGUMENT, "The option \"user\" is longer than any name of a user.");
        return false;
    }
    (void)snprintf(c->account, sizeof(c->account), "%s", account);
    (void)snprintf(c->user, sizeof(c->user), "%s", user);
    return true;
}

void status1_begin_probe_narrowing(struct call *call)
{
    struct probe_call *c = calloc(1, sizeof(*c));
    if (!c) {
        call_fail_no_memory(call);
        return;
    }
    c->call = call;
    call->state = c;
    call->drop_state = drop;
    if (read_arguments(c))
        call_identify_outside(call, authorize);
}
