/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Policy1.Plan: the fewest logins of an account that serve every app of the table (policy/plan.h): which are
 * there, which are missing and the command for each, and which serve nobody. Of an account of the caller's;
 * of the device's it needs policy.manage. */

#include "broker/broker.h"
#include "broker/handlers.h"
#include "broker/peer.h"
#include "broker/permit.h"
#include "broker/plan-input.h"
#include "broker/policy1.h"

#include <string.h>

struct plan_call {
    struct permit permit;
    char account[LWA_ACCOUNT_ID_BYTES_MAX + 1]; /* as named; "" for the default */
    bool is_device;
};

static void drop_plan(void *state)
{
    struct plan_call *p = state;
    permit_drop(&p->permit);
    free(p);
}

/* --- rows -------------------------------------------------------------------------------------------- */

static void write_command(const struct plan_input *in, struct writer *w, struct scope_set scopes)
{
    _cleanup_free_ char *joined = catalogue_join(in->broker->catalogue, scopes);
    _cleanup_free_ char *command = NULL;
    if (!joined || asprintf(&command, "lwactl login %s%s%s%s%s", in->owner.device ? "--device " : "",
                            in->account ? "--account " : "", in->account ? in->account->id : "",
                            in->account ? " " : "", joined) < 0) {
        command = NULL;
        w->error = -ENOMEM;
        return;
    }
    writer_entry_string(w, "command", command);
}

static void write_scopes(const struct plan_input *in, struct writer *w, struct scope_set scopes)
{
    _cleanup_strv_ struct strv names = STRV_EMPTY;
    if (catalogue_names(in->broker->catalogue, scopes, &names) < 0)
        w->error = -ENOMEM;
    writer_entry_strv(w, "scopes", &names);
}

/* True: some of them have to be asked about. */
static bool write_serves(const struct plan_input *in, struct writer *w, const struct plan_login *login)
{
    _cleanup_strv_ struct strv serves = STRV_EMPTY;
    bool asks = false;
    for (size_t i = 0; i < login->n_services; i++) {
        const char *name = in->names.items[login->services[i].app];
        asks = asks || login->services[i].asks;
        if (!strv_contains(&serves, name) && strv_add(&serves, name) < 0)
            w->error = -ENOMEM;
    }
    writer_entry_strv(w, "serves", &serves);
    return asks;
}

static void write_login(const struct plan_input *in, struct writer *w, const struct plan_login *login,
                        bool is_exact)
{
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    write_scopes(in, w, login->scopes);
    writer_entry_bool(w, "consent", write_serves(in, w, login));
    writer_entry_uint64(w, "grant", login->grant < 0 ? 0 : (uint64_t)in->of[login->grant]->row);
    if (login->grant < 0)
        write_command(in, w, login->scopes);
    else
        writer_entry_string(w, "command", "");
    writer_entry_bool(w, "exact", is_exact);
    writer_entry_bool(w, "unneeded", false);
    writer_close(w);
}

static void write_unneeded(const struct plan_input *in, struct writer *w, const struct grant *grant,
                           bool is_exact)
{
    static const struct strv nobody = {NULL, 0};
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    write_scopes(in, w, grant->carries);
    writer_entry_strv(w, "serves", &nobody);
    writer_entry_bool(w, "consent", false);
    writer_entry_uint64(w, "grant", (uint64_t)grant->row);
    writer_entry_string(w, "command", "");
    writer_entry_bool(w, "exact", is_exact);
    writer_entry_bool(w, "unneeded", true);
    writer_close(w);
}

static void reply(struct call *call, const struct plan_input *in, const struct plan *plan)
{
    struct writer w;
    DBusMessage *message = call_reply(call, &w);
    if (message) {
        writer_open(&w, DBUS_TYPE_ARRAY, "a{sv}");
        for (size_t i = 0; i < plan->n_logins; i++)
            write_login(in, &w, &plan->logins[i], plan->is_exact);
        for (size_t i = 0; i < plan->n_unneeded; i++)
            write_unneeded(in, &w, in->of[plan->unneeded[i]], plan->is_exact);
        writer_close(&w);
    }
    call_send(call, message, &w);
}

/* --- the call ---------------------------------------------------------------------------------------- */

static const struct account *find_account(struct call *call, const struct plan_call *p)
{
    uid_t uid = p->is_device ? (uid_t)-1 : call->peer->identity.uid;
    if (!p->account[0])
        return account_find_default(call->broker, p->is_device, uid);
    const struct account *account = account_find(call->broker, uid, p->account);
    return account && account->owner.device == p->is_device ? account : NULL;
}

static void make_plan(struct call *call)
{
    static const struct refusal too_many = {
        .what = "More sections of grants.d are for this account than can be planned for",
        .remedy = "say in them which accounts (`accounts`) or users (`user`) they are for",
        .n = LIMIT_PLAN_SECTIONS,
    };
    const struct plan_call *p = call->state;
    _cleanup_(plan_input_clear) struct plan_input in = {.broker = call->broker};
    _cleanup_plan_ struct plan plan = {.n_logins = 0};
    in.account = find_account(call, p);
    if (!in.account && p->account[0]) {
        policy1_fail_account(call, p->account);
        return;
    }
    in.owner.device = p->is_device;
    in.owner.uid = p->is_device ? (uid_t)-1 : call->peer->identity.uid;
    (void)snprintf(in.owner.name, sizeof(in.owner.name), "%s", p->is_device ? "" : call->peer->identity.user);
    in.id = in.account ? in.account->id : p->is_device ? "device" : "main";
    int r = plan_input_collect(&in);
    if (r == 0)
        r = plan_make(call->broker->catalogue, in.apps, in.names.n, in.grants, in.n_grants, &plan);
    if (r == -E2BIG)
        call_fail_limited(call, &too_many);
    else if (r < 0)
        call_fail_errno(call, r, NULL);
    else
        reply(call, &in, &plan);
}

static void authorize(struct call *call)
{
    struct plan_call *p = call->state;
    const struct account *named =
        p->account[0] ? account_find(call->broker, call->peer->identity.uid, p->account) : NULL;
    p->is_device = p->is_device || (named && named->owner.device);
    if (p->is_device)
        permit_manage(&p->permit, call, "plan the device's logins", make_plan);
    else
        make_plan(call);
}

void policy1_begin_plan(struct call *call)
{
    const char *account = "", *owner = "";
    struct reader_option options[] = {
        {"account", DBUS_TYPE_STRING, &account, false},
        {"owner", DBUS_TYPE_STRING, &owner, false},
    };
    if (!handlers_read_options(call, 0, options, ARRAY_SIZE(options)) ||
        (account[0] && !policy1_check_account(call, account)) || !policy1_check_owner(call, owner))
        return;
    struct plan_call *p = calloc(1, sizeof(*p));
    if (!p) {
        call_fail_no_memory(call);
        return;
    }
    p->is_device = owner[0] != '\0';
    (void)snprintf(p->account, sizeof(p->account), "%s", account);
    call->state = p;
    call->drop_state = drop_plan;
    call_identify_outside(call, authorize);
}
