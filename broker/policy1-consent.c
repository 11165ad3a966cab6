/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Policy1.ListConsents and SetConsent: what the owners of accounts answered about apps. An owner always may
 * deny, and forget what was allowed; to allow, and to forget what was denied, is polkit's .consent, as in a
 * prompt, since any program of the owner's could call this. About the device's accounts an administrator
 * answers. */

#include "broker/account.h"
#include "broker/app-facts.h"
#include "broker/broker.h"
#include "broker/consent-prompt.h"
#include "broker/consent.h"
#include "broker/exposure.h"
#include "broker/handlers.h"
#include "broker/permit.h"
#include "broker/policy1.h"
#include "broker/stand-in.h"
#include "broker/verdict.h"
#include "util/clock.h"

#include <string.h>

#define DAYS_MAX 3650

/* --- ListConsents ------------------------------------------------------------------------------------ */

struct list_consents {
    struct permit permit;
    char app[IDENTITY_APP_SIZE];                /* "" for all */
    char account[LWA_ACCOUNT_ID_BYTES_MAX + 1]; /* "" for all */
    bool is_all;
};

static void drop_list_consents(void *state)
{
    struct list_consents *l = state;
    permit_drop(&l->permit);
    free(l);
}

struct rows {
    struct writer *w;
    const struct account *account;
    int64_t now_sec;
};

static void write_consent(const struct consent *c, void *userdata)
{
    const struct rows *rows = userdata;
    struct writer *w = rows->w;
    if (c->is_over || (c->lasts == CONSENT_UNTIL && c->until_sec <= rows->now_sec))
        return;
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_string(w, "app", c->of->app);
    writer_entry_string(w, "account", rows->account->id);
    writer_entry_string(w, "owner", owner_text(&rows->account->owner));
    writer_entry_string(w, "scope", c->scope);
    writer_entry_string(w, "answer", c->denies ? "deny" : "allow");
    writer_entry_string(w, "lasts", consent_lasts_name(c->lasts));
    writer_entry_uint64(w, "since", (uint64_t)c->given_sec);
    writer_entry_uint64(w, "until", (uint64_t)c->until_sec);
    writer_entry_string(w, "how", consent_how_name(c->how));
    writer_entry_string(w, "by", c->by_name);
    writer_close(w);
}

static bool is_listed(const struct call *call, const struct list_consents *l, const struct account *account)
{
    if (l->account[0] && strcmp(l->account, account->id) != 0)
        return false;
    return l->is_all || policy1_owns(call, account);
}

static void list_consents(struct call *call)
{
    const struct list_consents *l = call->state;
    struct writer w;
    DBusMessage *reply = call_reply(call, &w);
    if (reply) {
        struct rows rows = {.w = &w, .now_sec = wall_sec()};
        writer_open(&w, DBUS_TYPE_ARRAY, "a{sv}");
        LIST_FOREACH (rows.account, &call->broker->accounts, node)
            if (is_listed(call, l, rows.account))
                consents_foreach(rows.account, l->app[0] ? l->app : NULL, write_consent, &rows);
        writer_close(&w);
    }
    call_send(call, reply, &w);
}

static void authorize_list_consents(struct call *call)
{
    struct list_consents *l = call->state;
    if (l->is_all)
        permit_manage(&l->permit, call, "see the consents of all users (without `all`: own ones)",
                      list_consents);
    else
        list_consents(call);
}

void policy1_begin_list_consents(struct call *call)
{
    dbus_bool_t is_all = FALSE;
    const char *app = "", *account = "";
    struct reader_option options[] = {
        {"app", DBUS_TYPE_STRING, &app, false},
        {"account", DBUS_TYPE_STRING, &account, false},
        {"all", DBUS_TYPE_BOOLEAN, &is_all, false},
    };
    if (!handlers_read_options(call, 0, options, ARRAY_SIZE(options)) ||
        (app[0] && !policy1_check_app(call, app)) || (account[0] && !policy1_check_account(call, account)))
        return;
    struct list_consents *l = calloc(1, sizeof(*l));
    if (!l) {
        call_fail_no_memory(call);
        return;
    }
    l->is_all = is_all;
    (void)snprintf(l->app, sizeof(l->app), "%s", app);
    (void)snprintf(l->account, sizeof(l->account), "%s", account);
    call->state = l;
    call->drop_state = drop_list_consents;
    call_identify_outside(call, authorize_list_consents);
}

/* --- SetConsent -------------------------------------------------------------------------------------- */

struct set_consent {
    struct permit permit;
    struct call *call;
    struct store_exposure_filter filter; /* app and account, as named */
    struct scope_set scopes;
    bool is_every; /* scope: then there are none in `scopes` */
    enum consent_answer answer;
    enum consent_lasts lasts;
    bool is_device;                /* an account of the device's is meant */
    char user[IDENTITY_USER_SIZE]; /* one of this user's is, by name or number; "" for the caller */
    uint32_t days;
    bool is_permitted; /* more than to deny, and to forget what was allowed */
    int64_t account;   /* row: the answer is about this one, whatever is called so later */
    struct peer stand_in;
    struct consent_op *op;
    struct store_op *query;
};

static void drop_set_consent(void *state)
{
    struct set_consent *s = state;
    permit_drop(&s->permit);
    consent_op_drop(s->op);
    store_op_drop(s->query);
    stand_in_deinit(&s->stand_in);
    free(s);
}

static void on_exposure(struct store_reply *stored, void *userdata)
{
    struct set_consent *s = userdata;
    s->query = NULL;
    exposure_reply(s->call, stored);
}

static void on_changed(int r, void *userdata)
{
    struct set_consent *s = userdata;
    s->op = NULL;
    if (r != 0)
        policy1_fail_consent(s->call, r, s->filter.app, s->filter.account);
    else if (exposure_query(s->call, &s->filter, on_exposure, s, &s->query) < 0)
        exposure_fail(s->call);
}

static void change(struct call *call)
{
    struct set_consent *s = call->state;
    struct account *account = account_find_row(call->broker, s->account);
    if (!account) {
        policy1_fail_consent(call, CONSENT_E_GONE, s->filter.app, s->filter.account);
        return;
    }
    const struct consent_change change = {
        .answer = s->answer,
        .app = s->filter.app,
        .scopes = s->is_every ? NULL : &s->scopes,
        /* Also one that is only being written, which was not asked about. */
        .keeps_denials = !s->is_permitted,
        .lasts = s->lasts,
        .until_sec = s->lasts == CONSENT_UNTIL ? wall_sec() + (int64_t)s->days * 86400 : 0,
        .how = CONSENT_BY_COMMAND,
        .by_uid = call->peer->identity.uid,
        .by_name = call->peer->identity.user,
        .request = call->request,
    };
    int r = consent_change(account, &change, on_changed, s, &s->op);
    if (r < 0)
        policy1_fail_consent(call, r, s->filter.app, s->filter.account);
}

static void change_permitted(struct call *call)
{
    struct set_consent *s = call->state;
    s->is_permitted = true;
    change(call);
}

/* The app that is spoken of, for the facts and the sentence of a prompt. */
static void ask_consent(struct call *call, const struct account *account)
{
    struct set_consent *s = call->state;
    struct authorize_question question;
    authorize_question_init(&question);
    memcpy(question.account, account->id, sizeof(account->id));
    question.owner = account->owner;
    question.asked = s->scopes;
    question.scopes = catalogue_expand(call->broker->catalogue, s->scopes);
    struct app_facts app;
    (void)app_facts_find(call->broker, &call->peer->identity, s->filter.app, "", (uid_t)-1, &app);
    verdict_of(call->broker, &app.identity, account, &question.verdicts);
    stand_in_init(&s->stand_in, call->peer, call->peer->name, &app.identity);
    /* Whoever's app it is, the question is the caller's: on his screen, and among those that he may have. */
    s->stand_in.identity.uid = call->peer->identity.uid;

    _cleanup_free_ char *text = NULL;
    int r = consent_prompt_sentence(call->broker, &app.identity, account, question.scopes, &text);
    if (r < 0) {
        call_fail_no_memory(call);
        return;
    }
    if (r > 0) {
        call_fail(call, BUS_E_INVALID_ARGUMENT,
                  "These are more scopes than one question can show; agree to some of them at a time.");
        return;
    }
    permit_ask_for(&s->permit, call, &s->stand_in, consent_prompt_action(account),
                   "let an app use the account", &question, text, change_permitted);
}

static bool lifts_denial(const struct set_consent *s, const struct account *account)
{
    return s->answer == CONSENT_FORGET &&
           consents_has_denial(account, s->filter.app, s->is_every ? NULL : &s->scopes, wall_sec());
}

/* The account is found: what is left to be asked is asked about it. */
static void decide_about(struct call *call, const struct account *account, bool is_permitted)
{
    struct set_consent *s = call->state;
    if (!account) {
        policy1_fail_account(call, s->filter.account);
        return;
    }
    s->account = account->row;
    memcpy(s->filter.account, account->id, sizeof(account->id));
    s->filter.uid = account->owner.device ? (uid_t)-1 : account->owner.uid;
    if (is_permitted)
        change_permitted(call);
    else if (s->answer == CONSENT_ALLOW || (!account->owner.device && lifts_denial(s, account)))
        ask_consent(call, account);
    else if (account->owner.device)
        permit_manage(&s->permit, call, "decide about the device's account", change_permitted);
    else
        change(call);
}

/* The caller manages policy; before that was known, nothing told who has an account. */
static void decide_for_user(struct call *call)
{
    struct set_consent *s = call->state;
    uid_t uid;
    const struct account *account = NULL;
    if (policy1_find_owner(call, s->user, &uid))
        account = s->filter.account[0] ? account_find(call->broker, uid, s->filter.account)
                                       : account_find_default(call->broker, false, uid);
    decide_about(call, account && !account->owner.device ? account : NULL, true);
}

static void decide_for_device(struct call *call)
{
    struct set_consent *s = call->state;
    const struct account *account = s->filter.account[0]
                                        ? account_find(call->broker, (uid_t)-1, s->filter.account)
                                        : account_find_default(call->broker, true, (uid_t)-1);
    decide_about(call, account, false);
}

static void authorize_set_consent(struct call *call)
{
    struct set_consent *s = call->state;
    const struct identity *id = &call->peer->identity;
    if (!permit_change(call))
        return;
    if (s->user[0] && !policy1_is_caller(call, s->user)) {
        permit_manage(&s->permit, call, "decide about the accounts of others", decide_for_user);
        return;
    }
    if (s->is_device) {
        decide_for_device(call);
        return;
    }
    const struct account *account = account_for_caller(call->broker, id->uid, s->filter.account);
    if (s->user[0] && account && account->owner.device)
        account = NULL;
    if (account && account_is_locked(account, id->user))
        call_fail(call, BUS_E_ACCESS_DENIED, ACCOUNT_LOCKED_SENTENCE, account->id);
    else
        decide_about(call, account, false);
}

static bool read_answer(struct call *call, const char *answer, struct set_consent *s)
{
    static const char *const names[] = {
        [CONSENT_ALLOW] = "allow", [CONSENT_DENY] = "deny", [CONSENT_FORGET] = "forget"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(names[i], answer) == 0) {
            s->answer = (enum consent_answer)i;
            return true;
        }
    call_fail(call, BUS_E_INVALID_ARGUMENT, "The answer is allow, deny or forget.");
    return false;
}

/* `lasts` and `days` as named; "" and 0 where they are left out. */
static bool read_lasts(struct call *call, const char *lasts, struct set_consent *s)
{
    const char *fault = NULL;
    s->lasts = CONSENT_UNTIL_LOGOUT;
    if (strcmp(lasts, "once") == 0)
        s->lasts = CONSENT_ONCE;
    else if (strcmp(lasts, "days") == 0 || (!lasts[0] && s->days > 0))
        s->lasts = CONSENT_UNTIL;
    else if (lasts[0] && strcmp(lasts, "logout") != 0)
        fault = "lasts is once, logout or days.";
    if (s->answer == CONSENT_FORGET && (lasts[0] || s->days > 0))
        fault = "To forget has no duration.";
    else if (s->answer == CONSENT_DENY && s->lasts == CONSENT_ONCE)
        fault = "A denial lasts until logout or for days.";
    else if (!fault && (s->lasts == CONSENT_UNTIL ? s->days < 1 || s->days > DAYS_MAX : s->days > 0))
        fault = "days is 1 to 3650, and goes with lasts = days.";
    if (fault)
        call_fail(call, BUS_E_INVALID_ARGUMENT, "%s", fault);
    return !fault;
}

/* Whose account, where that is named. */
static bool read_owner(struct call *call, const char *owner, const char *user, struct set_consent *s)
{
    if ((owner[0] && strcmp(owner, "device") != 0) || (owner[0] && user[0])) {
        call_fail(call, BUS_E_INVALID_ARGUMENT, "owner is device, and excludes user.");
        return false;
    }
    s->is_device = owner[0];
    (void)snprintf(s->user, sizeof(s->user), "%s", user);
    return true;
}

/* An empty list is every scope, of which none can be allowed: an owner agrees to what was named. */
static bool read_scopes(struct call *call, struct set_consent *s)
{
    DBusMessageIter args, names;
    (void)dbus_message_iter_init(call->message, &args);
    dbus_message_iter_next(&args);
    dbus_message_iter_next(&args);
    dbus_message_iter_recurse(&args, &names);
    s->is_every = dbus_message_iter_get_arg_type(&names) == DBUS_TYPE_INVALID;
    if (s->is_every && s->answer == CONSENT_ALLOW) {
        call_fail(call, BUS_E_INVALID_ARGUMENT, "Name the scopes that the app may hold.");
        return false;
    }
    return s->is_every || handlers_read_scopes(call, 2, &s->scopes);
}

static bool read_set_consent(struct call *call, struct set_consent *s)
{
    const char *app, *account, *answer, *lasts = "", *owner = "", *user = "";
    DBusMessageIter args;
    struct reader_option options[] = {
        {"lasts", DBUS_TYPE_STRING, &lasts, false},
        {"days", DBUS_TYPE_UINT32, &s->days, false},
        {"owner", DBUS_TYPE_STRING, &owner, false},
        {"user", DBUS_TYPE_STRING, &user, false},
    };
    (void)dbus_message_iter_init(call->message, &args);
    dbus_message_iter_get_basic(&args, &app);
    dbus_message_iter_next(&args);
    dbus_message_iter_get_basic(&args, &account);
    dbus_message_iter_next(&args);
    dbus_message_iter_next(&args);
    dbus_message_iter_get_basic(&args, &answer);
    if (!handlers_read_options(call, 4, options, ARRAY_SIZE(options)) || !policy1_check_app(call, app) ||
        (account[0] && !policy1_check_account(call, account)) || !read_answer(call, answer, s) ||
        !read_lasts(call, lasts, s) || !read_owner(call, owner, user, s) || !read_scopes(call, s))
        return false;
    if (s->answer == CONSENT_ALLOW)
        s->scopes = catalogue_reduce(call->broker->catalogue, s->scopes);
    (void)snprintf(s->filter.app, sizeof(s->filter.app), "%s", app);
    (void)snprintf(s->filter.account, sizeof(s->filter.account), "%s", account);
    return true;
}

void policy1_begin_set_consent(struct call *call)
{
    struct set_consent *s = calloc(1, sizeof(*s));
    if (!s) {
        call_fail_no_memory(call);
        return;
    }
    s->call = call;
    exposure_filter_init(&s->filter);
    call->state = s;
    call->drop_state = drop_set_consent;
    if (read_set_consent(call, s))
        call_identify_outside(call, authorize_set_consent);
}
