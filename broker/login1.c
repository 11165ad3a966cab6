/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.lwabroker.Login1, and its request objects. */

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/handed-token.h"
#include "broker/handlers.h"
#include "broker/limits.h"
#include "broker/login.h"
#include "broker/peer.h"
#include "broker/permit.h"
#include "broker/trail.h"

#include <string.h>

#define ACTION_LOGIN "org.lwabroker.login"

struct begin {
    struct call *call;
    const struct login_flow *flow;
    struct scope_set scopes;
    char account_name[LWA_ACCOUNT_ID_BYTES_MAX + 1];
    bool is_for_device;
    struct login_options options;
    struct owner owner;
    struct polkit_check *check;
};

static void begin_free(void *state)
{
    struct begin *b = state;
    polkit_check_drop(b->check);
    login_options_clear(&b->options);
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
        .request = b->call->request,
    };
    trail_write(b->call->broker, AUDIT_LOGIN_BEGUN, &facts);
}

static void start_login(struct begin *b)
{
    struct call *call = b->call;
    struct login *login;
    struct refusal refusal;
    int r = login_new(call, b->flow, &login, &refusal);
    if (r < 0) {
        call_fail_errno(call, r, &refusal);
        return;
    }
    struct writer w;
    DBusMessage *reply = call_reply(call, &w);
    if (reply)
        writer_object_path(&w, login->path);
    if (!reply || w.error < 0) {
        /* A login whose path its creator does not know is none. */
        login_free(login);
        call_send(call, reply, &w);
        return;
    }
    login->scopes = login->may_carry = login->carries = b->scopes;
    login->owner = b->owner;
    memcpy(login->target, b->account_name, sizeof(login->target));
    login->options = b->options;
    b->options = (struct login_options){NULL};
    record_begun(b);
    call_send(call, reply, &w);
    if (login->flow->start(login) < 0)
        login_fail(login, LOGIN_R_MEMORY);
}

static void on_authorized(const struct polkit_answer *answer, void *userdata)
{
    struct begin *b = userdata;
    b->check = NULL;
    if (authorize_answer_action(b->call, answer, ACTION_LOGIN, "log in"))
        start_login(b);
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
            call_fail(b->call, BUS_E_ACCESS_DENIED, ACCOUNT_LOCKED_SENTENCE, b->account_name);
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
    if (!find_owner(b) || !permit_change(call))
        return;
    struct authorize_question question;
    authorize_question_init(&question);
    memcpy(question.account, b->account_name, sizeof(b->account_name));
    question.owner = b->owner;
    question.asked = b->scopes;
    question.flow = b->flow->name;
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

/* What Begin was given, as it stands in the message. */
struct begin_arguments {
    const char *account;
    const char *owner;
    const char *label;
    const char *locale;
    const char *scope_data;
    const char *redirect_uri;
    int token;
};

static const char *find_fault(const struct begin_arguments *a)
{
    if (a->account && !account_id_is_valid(a->account))
        return "An account id is 1 to 32 of a-z, 0-9 and -.";
    if (a->owner && strcmp(a->owner, "device") != 0)
        return "The option owner can only be device.";
    if (a->label && !account_label_is_valid(a->label))
        return "A label is at most 128 bytes of text without control characters.";
    if (a->locale && (!is_plain_text(a->locale, LIMIT_LOCALE_BYTES) ||
                      strspn(a->locale, "abcdefghijklmnopqrstuvwxyz"
                                        "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                        "0123456789-") != strlen(a->locale)))
        return "A locale is a language tag such as en-US.";
    if (a->scope_data && !is_plain_text(a->scope_data, LIMIT_SCOPE_DATA_BYTES))
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

static int copy_options(const struct begin_arguments *a, struct login_options *ret)
{
    if (copy(a->label, &ret->label) < 0 || copy(a->locale, &ret->locale) < 0 ||
        copy(a->scope_data, &ret->scope_data) < 0 || copy(a->redirect_uri, &ret->redirect_uri) < 0)
        return -ENOMEM;
    return a->token >= 0 ? handed_token_read(a->token, &ret->token) : 0;
}

static bool read_flow(struct call *call, const struct login_flow **ret)
{
    const char *name = NULL;
    DBusMessageIter args;
    (void)dbus_message_iter_init(call->message, &args);
    dbus_message_iter_get_basic(&args, &name);
    const struct login_flow *flow = login_flow_find(name);
    if (!flow) {
        call_fail(call, BUS_E_INVALID_ARGUMENT,
                  "The flows are device-code, authorization-code and import; see the Features property.");
        return false;
    }
    *ret = flow;
    return true;
}

/* Checks and keeps what was read; false when the call is answered. */
static bool keep_arguments(struct begin *b, const struct begin_arguments *a)
{
    struct call *call = b->call;
    const char *fault = find_fault(a);
    int r = fault ? 0 : copy_options(a, &b->options);
    if (r == -ENOMEM) {
        call_fail_no_memory(call);
        return false;
    }
    if (r < 0)
        fault = "A token is a memfd, sealed against writing, growing and shrinking, with 1 to 2048 bytes of "
                "printable ASCII.";
    if (!fault)
        fault = b->flow->find_fault(&b->options);
    if (fault) {
        call_fail(call, BUS_E_INVALID_ARGUMENT, "%s", fault);
        return false;
    }
    (void)snprintf(b->account_name, sizeof(b->account_name), "%s", a->account ? a->account : "");
    b->is_for_device = a->owner != NULL;
    return true;
}

static bool read_arguments(struct begin *b, struct begin_arguments *a)
{
    struct reader_option options[] = {
        {"account", DBUS_TYPE_STRING, &a->account, false},
        {"owner", DBUS_TYPE_STRING, &a->owner, false},
        {"label", DBUS_TYPE_STRING, &a->label, false},
        {"locale", DBUS_TYPE_STRING, &a->locale, false},
        {"scope_data", DBUS_TYPE_STRING, &a->scope_data, false},
        {"redirect_uri", DBUS_TYPE_STRING, &a->redirect_uri, false},
        {"token", DBUS_TYPE_UNIX_FD, &a->token, false},
    };
    if (!read_flow(b->call, &b->flow) || !handlers_read_options(b->call, 2, options, ARRAY_SIZE(options)) ||
        !handlers_read_scopes(b->call, 1, &b->scopes))
        return false;
    if (options[ARRAY_SIZE(options) - 1].seen && a->token < 0) {
        call_fail_dbus(b->call, DBUS_ERROR_LIMITS_EXCEEDED, "The broker is short of descriptors; try again.");
        return false;
    }
    b->scopes = catalogue_reduce(b->call->broker->catalogue, b->scopes);
    return keep_arguments(b, a);
}

static void begin(struct call *call)
{
    struct begin *b = calloc(1, sizeof(*b));
    if (!b) {
        call_fail_no_memory(call);
        return;
    }
    b->call = call;
    call->state = b;
    call->drop_state = begin_free;
    struct begin_arguments arguments = {.token = -1};
    bool is_read = read_arguments(b, &arguments); /* false: the call is gone */
    close_fd(arguments.token);
    if (!is_read)
        return;
    if (call_release_body(call) < 0) {
        call_fail_no_memory(call);
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
    struct login *login = login_find(call->peer, dbus_message_get_path(call->message));
    if (login->flow->complete)
        login->flow->complete(login, call);
    else
        call_fail(call, BUS_E_NOT_SUPPORTED,
                  "A login by %s completes by itself; there is nothing to hand in.", login->flow->name);
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
