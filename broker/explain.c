/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Policy1.Explain:
 *
 * 1. Who the app is: the facts of its weakest connection, or what follows from its name (app-facts.h).
 * 2. Whose it is: the caller's own, or policy.manage is needed.
 * 3. GetToken's own steps, up to the token. polkit is asked about the app's connection; about the caller's,
 * with the app's facts as details, where the app is not connected and would be of the caller's uid; else not
 * at all, and then the shipped rule's answer is taken. */

#include "broker/explain.h"

#include "broker/peer.h"
#include "broker/policy1.h"
#include "broker/stand-in.h"

#include <string.h>

static void drop_explain(void *state)
{
    struct explain *e = state;
    permit_drop(&e->permit);
    get_token_deinit(&e->get_token);
    stand_in_deinit(&e->stand_in);
    free(e);
}

static void on_ended(struct get_token *g, enum bus_error error, struct scope_set scopes)
{
    struct explain *e = (struct explain *)((char *)g - offsetof(struct explain, get_token));
    struct call *call = e->call;
    struct writer w;
    e->result = error;
    e->missing = scopes;
    DBusMessage *reply = call_reply(call, &w);
    if (reply)
        explain_write(e, &w);
    call_send(call, reply, &w);
}

/* Whom polkit is asked about. */
static const char *choose_subject(struct explain *e)
{
    const struct peer *caller = e->call->peer;
    const struct identity *id = &e->facts.identity;
    e->polkit_subject = "none";
    if (id->uid == 0) /* the broker's own verdict is final */
        return "";
    if (e->facts.peer) {
        e->polkit_subject = "app";
        return e->facts.peer->name;
    }
    if (!e->facts.has_uid || id->uid != caller->identity.uid)
        return "";
    e->polkit_subject = "caller";
    return caller->name;
}

void explain_run(struct explain *e)
{
    stand_in_init(&e->stand_in, e->call->peer, choose_subject(e), &e->facts.identity);
    e->get_token.call = e->call;
    e->get_token.peer = &e->stand_in;
    e->get_token.ended = on_ended;
    get_token_decide(&e->get_token);
}

/* The one that calls asks about itself. */
static bool find_caller(struct explain *e)
{
    const struct peer *caller = e->call->peer;
    (void)snprintf(e->app, sizeof(e->app), "%s", caller->identity.app);
    e->facts = (struct app_facts){.identity = caller->identity, .peer = caller, .has_uid = true};
    return true;
}

static bool find_facts(struct explain *e)
{
    struct call *call = e->call;
    if (!e->app[0])
        return find_caller(e);
    return app_facts_find(call->broker, &call->peer->identity, e->app, e->user, e->uid, &e->facts);
}

static void explain_others(struct call *call)
{
    struct explain *e = call->state;
    if (find_facts(e))
        explain_run(e);
    else
        call_fail(call, BUS_E_INVALID_ARGUMENT,
                  "The broker does not know this user; the option `uid` says what the user's number is.");
}

static void authorize(struct call *call)
{
    struct explain *e = call->state;
    if (find_facts(e) && e->facts.has_uid && e->facts.identity.uid == call->peer->identity.uid)
        explain_run(e);
    else
        permit_manage(&e->permit, call, "explain the apps of others", explain_others);
}

void policy1_begin_explain(struct call *call)
{
    const char *app = "", *account = "", *user = "";
    uint32_t uid = UINT32_MAX;
    struct scope_set asked;
    DBusMessageIter args;
    struct reader_option options[] = {
        {"account", DBUS_TYPE_STRING, &account, false},
        {"user", DBUS_TYPE_STRING, &user, false},
        {"uid", DBUS_TYPE_UINT32, &uid, false},
    };
    (void)dbus_message_iter_init(call->message, &args);
    dbus_message_iter_get_basic(&args, &app);
    if (!handlers_read_options(call, 2, options, ARRAY_SIZE(options)) ||
        ((app[0] || user[0]) && !policy1_check_app(call, app)) || !handlers_read_scopes(call, 1, &asked) ||
        (account[0] && !policy1_check_account(call, account)))
        return;
    struct explain *e = calloc(1, sizeof(*e));
    if (!e) {
        call_fail_no_memory(call);
        return;
    }
    e->call = call;
    e->uid = uid;
    e->get_token.asked = catalogue_reduce(call->broker->catalogue, asked);
    (void)snprintf(e->get_token.account_name, sizeof(e->get_token.account_name), "%s", account);
    (void)snprintf(e->app, sizeof(e->app), "%s", app);
    (void)snprintf(e->user, sizeof(e->user), "%s", user);
    call->state = e;
    call->drop_state = drop_explain;
    call_identify_outside(call, authorize);
}
