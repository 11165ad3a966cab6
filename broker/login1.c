/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.lwabroker.Login1, and its request objects. */

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/handlers.h"
#include "broker/limits.h"
#include "broker/login.h"
#include "broker/peer.h"
#include "broker/trail.h"

#include <string.h>

#define ACTION_LOGIN "org.lwabroker.login"

struct begin {
    struct call *call;
    const struct login_flow *flow;
    struct scope_set scopes;
    char account_name[LWA_ACCOUNT_ID_BYTES_MAX + 1];
    bool is_for_device;
    char *label;
    char *locale;
    char *scope_data;
    struct owner owner;
    struct polkit_check *check;
};

static void begin_free(void *state)
{
    struct begin *b = state;
    polkit_check_drop(b->check);
    free(b->label);
    free(b->locale);
    free(b->scope_data);
    free(b);
}

/* --- act --------------------------------------------------------------------------------------------- */

static void record_begun(struct begin *b)
{
    const struct trail_facts facts = {
        .peer = b->call->peer,
        .account = b->account_name,
        .owner = &b->owner,
        .asked = &b->scopes,
        .detail = b->flow->name,
    };
    trail_write(b->call->broker, AUDIT_LOGIN_BEGUN, &facts);
}

static void start_login(struct begin *b)
{
    struct call *call = b->call;
    struct login *login;
    struct refusal refusal;
    int r = login_new(call->peer, b->flow, &login, &refusal);
    if (r < 0) {
        call_fail_errno(call, r, &refusal);
        return;
    }
    login->scopes = b->scopes;
    login->owner = b->owner;
    memcpy(login->target, b->account_name, sizeof(login->target));
    if (b->label) {
        free(login->label);
        login->label = TAKE_PTR(b->label);
    }
    login->locale = TAKE_PTR(b->locale);
    login->scope_data = TAKE_PTR(b->scope_data);
    record_begun(b);

    struct writer w;
    DBusMessage *reply = call_reply(call, &w);
    if (reply)
        writer_object_path(&w, login->path);
    call_send(call, reply, &w);
    if (login->flow->start(login) < 0)
        login_fail(login, LOGIN_R_MEMORY);
}

static void on_authorized(const struct polkit_answer *answer, void *userdata)
{
    struct begin *b = userdata;
    b->check = NULL;
    switch (answer->result) {
    case POLKIT_YES:
        start_login(b);
        break;
    case POLKIT_CHALLENGE:
    case POLKIT_TIMED_OUT:
        call_fail(b->call, BUS_E_CONSENT_REQUIRED,
                  "Logging in needs authentication; call from a session with a polkit agent, or as an "
                  "administrator.");
        break;
    case POLKIT_DISMISSED:
        call_fail(b->call, BUS_E_CANCELLED, "The question whether to log in was dismissed.");
        break;
    default:
        call_fail(b->call, BUS_E_ACCESS_DENIED, "This user may not log in; a polkit rule for %s decides.",
                  ACTION_LOGIN);
        break;
    }
}

/* --- authorise --------------------------------------------------------------------------------------- */

/* For whom: the device, the owner of the account to extend, or the caller. */
static bool find_owner(struct begin *b)
{
    const struct identity *id = &b->call->peer->identity;
    if (b->account_name[0]) {
        const struct account *account = account_find(b->call->broker, id->uid, b->account_name);
        if (!account || (b->is_for_device && !account->owner.device)) {
            call_fail(b->call, BUS_E_NO_SUCH_ACCOUNT,
                      "There is no account %s to extend; see `lwactl accounts`.", b->account_name);
            return false;
        }
        if (account_is_locked(account, id->user)) {
            call_fail(
                b->call, BUS_E_ACCESS_DENIED,
                "Account %s belongs to a user whose name and uid came apart; an administrator must decide.",
                b->account_name);
            return false;
        }
        b->owner = account->owner;
        return true;
    }
    b->owner = (struct owner){.device = b->is_for_device, .uid = b->is_for_device ? (uid_t)-1 : id->uid};
    if (!b->is_for_device)
        (void)snprintf(b->owner.name, sizeof(b->owner.name), "%s", id->user);
    return true;
}

static void authorize(struct call *call)
{
    struct begin *b = call->state;
    if (!find_owner(b))
        return;
    struct authorize_question question;
    authorize_question_init(&question);
    memcpy(question.account, b->account_name, sizeof(b->account_name));
    question.owner = b->owner;
    question.asked = b->scopes;
    bool may_prompt = dbus_message_get_allow_interactive_authorization(call->message);
    int r = authorize_action(call->peer, ACTION_LOGIN, &question, may_prompt, on_authorized, b, &b->check);
    if (r < 0)
        authorize_fail(call, r);
}

/* --- read -------------------------------------------------------------------------------------------- */

static bool is_plain_text(const char *s, size_t max)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i++)
        if (s[i] < 0x20 || s[i] > 0x7e)
            return false;
    return n >= 1 && n <= max;
}

static const char *find_fault(const char *account, const char *owner, const char *label, const char *locale,
                              const char *scope_data)
{
    if (account && !account_id_is_valid(account))
        return "An account id is 1 to 32 of a-z, 0-9 and -.";
    if (owner && strcmp(owner, "device") != 0)
        return "The option owner can only be device.";
    if (label && !account_label_is_valid(label))
        return "A label is at most 128 bytes of text without control characters.";
    if (locale &&
        (!is_plain_text(locale, LIMIT_LOCALE_BYTES) || strspn(locale, "abcdefghijklmnopqrstuvwxyz"
                                                                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                                      "0123456789-") != strlen(locale)))
        return "A locale is a language tag such as en-US.";
    if (scope_data && !is_plain_text(scope_data, LIMIT_SCOPE_DATA_BYTES))
        return "scope_data is at most 4096 bytes of ASCII JSON.";
    return NULL;
}

static int copy(const char *s, char **ret)
{
    if (!s)
        return 0;
    *ret = strdup(s);
    return *ret ? 0 : -ENOMEM;
}

static bool read_flow(struct call *call, const struct login_flow **ret)
{
    const char *name = NULL;
    DBusMessageIter args;
    (void)dbus_message_iter_init(call->message, &args);
    dbus_message_iter_get_basic(&args, &name);
    if (strcmp(name, login_flow_device.name) == 0) {
        *ret = &login_flow_device;
        return true;
    }
    bool is_planned = strcmp(name, "authorization-code") == 0 || strcmp(name, "import") == 0;
    call_fail(call, is_planned ? BUS_E_NOT_SUPPORTED : BUS_E_INVALID_ARGUMENT,
              "This broker has one login flow, device-code; see the Features property.");
    return false;
}

static void begin(struct call *call)
{
    const char *account = NULL, *owner = NULL, *label = NULL, *locale = NULL, *scope_data = NULL;
    struct reader_option options[] = {
        {"account", DBUS_TYPE_STRING, &account, false},       {"owner", DBUS_TYPE_STRING, &owner, false},
        {"label", DBUS_TYPE_STRING, &label, false},           {"locale", DBUS_TYPE_STRING, &locale, false},
        {"scope_data", DBUS_TYPE_STRING, &scope_data, false},
    };
    struct begin *b = calloc(1, sizeof(*b));
    if (!b) {
        call_fail_dbus(call, DBUS_ERROR_NO_MEMORY, "Out of memory; try again.");
        return;
    }
    b->call = call;
    call->state = b;
    call->drop_state = begin_free;
    if (!read_flow(call, &b->flow) || !handlers_read_options(call, 2, options, ARRAY_SIZE(options)) ||
        !handlers_read_scopes(call, 1, &b->scopes))
        return;
    b->scopes = catalogue_reduce(call->broker->catalogue, b->scopes);
    const char *fault = find_fault(account, owner, label, locale, scope_data);
    if (fault) {
        call_fail(call, BUS_E_INVALID_ARGUMENT, "%s", fault);
        return;
    }
    (void)snprintf(b->account_name, sizeof(b->account_name), "%s", account ? account : "");
    b->is_for_device = owner != NULL;
    if (copy(label, &b->label) < 0 || copy(locale, &b->locale) < 0 || copy(scope_data, &b->scope_data) < 0) {
        call_fail_dbus(call, DBUS_ERROR_NO_MEMORY, "Out of memory; try again.");
        return;
    }
    call_identify_outside(call, authorize);
}

/* --- request objects --------------------------------------------------------------------------------- */

/* server.c hands only the creator's calls on. */
static void cancel(struct call *call)
{
    struct login *login = login_find(call->peer, dbus_message_get_path(call->message));
    call_done(call);
    login_cancel(login);
}

static void complete(struct call *call)
{
    call_fail(call, BUS_E_NOT_SUPPORTED,
              "A device-code login completes by itself; there is nothing to hand in.");
}

const struct method login1_methods[] = {
    {LWA_INTERFACE_LOGIN, "Begin", "sasa{sv}", begin},
    {NULL, NULL, NULL, NULL},
};

const struct method login1_request_methods[] = {
    {LWA_INTERFACE_LOGIN_REQUEST, "Cancel", "", cancel},
    {LWA_INTERFACE_LOGIN_REQUEST, "Complete", "a{sv}", complete},
    {NULL, NULL, NULL, NULL},
};
