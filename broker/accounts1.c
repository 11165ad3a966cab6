/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.lwabroker.Accounts1: the caller's accounts, and the device's. Reading is for whoever may see them;
 * changing them is polkit's to decide (accounts.manage, with the owner as a fact). */

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/handlers.h"
#include "broker/notify.h"
#include "broker/peer.h"
#include "broker/permit.h"
#include "broker/trail.h"

#include <string.h>

#define ACTION_MANAGE "org.lwabroker.accounts.manage"

/* --- List -------------------------------------------------------------------------------------------- */

static bool needs_login(const struct account *account)
{
    struct grant *grant;
    LIST_FOREACH (grant, &account->grants, node)
        if (!grant->is_dead && !renewal_is_foreign(grant))
            return false;
    return true;
}

static bool is_claimed(const struct account *account)
{
    struct grant *grant;
    LIST_FOREACH (grant, &account->grants, node)
        if (grant->is_claimed)
            return true;
    return false;
}

static void write_grants(struct writer *w, const struct account *account)
{
    struct grant *grant;
    writer_entry_array_open(w, "grants", "as", "s");
    LIST_FOREACH (grant, &account->grants, node) {
        _cleanup_free_ char *scopes = catalogue_join(account->broker->catalogue, grant->carries);
        if (!scopes)
            w->error = -ENOMEM;
        writer_string(w, scopes);
    }
    writer_entry_array_close(w);
}

static void write_account(struct writer *w, const struct account *account, const char *user)
{
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_string(w, "id", account->id);
    writer_entry_string(w, "label", account->label);
    writer_entry_string(w, "owner", owner_text(&account->owner));
    writer_entry_bool(w, "default", account->is_default);
    writer_entry_bool(w, "locked", account_is_locked(account, user));
    writer_entry_bool(w, "needs_login", needs_login(account));
    writer_entry_bool(w, "claimed", is_claimed(account));
    writer_entry_uint64(w, "created_at", (uint64_t)account->created_sec);
    write_grants(w, account);
    writer_close(w);
}

static void list_accounts(struct call *call)
{
    const struct identity *id = &call->peer->identity;
    struct broker *broker = call->broker;
    call->peer->wants_attention = true;
    struct writer w;
    DBusMessage *reply = call_reply(call, &w);
    if (reply) {
        struct account *account;
        writer_open(&w, DBUS_TYPE_ARRAY, "a{sv}");
        LIST_FOREACH (account, &broker->accounts, node)
            if (account->owner.device || account->owner.uid == id->uid)
                write_account(&w, account, id->user);
        writer_close(&w);
    }
    call_send(call, reply, &w);
}

static void begin_list(struct call *call)
{
    if (handlers_read_options(call, 0, NULL, 0))
        call_identify_outside(call, list_accounts);
}

/* --- changes ----------------------------------------------------------------------------------------- */

enum change_kind { CHANGE_REMOVE, CHANGE_RENAME, CHANGE_DEFAULT };

/* Hangs from its call until the store has it. Then it has to reach memory too, whether or not the caller is
 * still there, so on_stored() owns it. */
struct change {
    struct call *call; /* NULL when the caller left while the store worked */
    struct broker *broker;
    uid_t uid; /* of the caller */
    enum change_kind kind;
    char account_name[LWA_ACCOUNT_ID_BYTES_MAX + 1];
    char *label; /* of a rename */
    struct polkit_check *check;
    struct store_op *op;
    int64_t row; /* of the account, while the store works */
};

static void change_free(struct change *c)
{
    polkit_check_drop(c->check);
    free(c->label);
    free(c);
}

static void drop_change(void *state)
{
    struct change *c = state;
    c->call = NULL;
    if (!c->op)
        change_free(c);
}

static struct account *find(struct change *c)
{
    return account_find(c->broker, c->uid, c->account_name);
}

static struct audit_record *new_record(struct change *c, const struct account *account,
                                       enum audit_event event, const char *detail)
{
    const struct trail_facts facts = {
        .peer = c->call->peer,
        .account = account->id,
        .owner = &account->owner,
        .detail = detail,
        .request = c->call->request,
    };
    return trail_new(c->call->broker, event, &facts);
}

static void make_default(struct account *account)
{
    struct account *other;
    LIST_FOREACH (other, &account->broker->accounts, node)
        if (other->owner.device == account->owner.device && other->owner.uid == account->owner.uid)
            other->is_default = other == account;
}

/* As the store does it. */
static void hand_over_default(struct broker *broker, const struct owner *owner)
{
    if (account_find_default(broker, owner->device, owner->uid))
        return;
    struct account *left;
    LIST_FOREACH (left, &broker->accounts, node)
        if (owner_equal(&left->owner, owner)) {
            left->is_default = true;
            return;
        }
}

/* The store has it; now memory. A removal holds from here on for every call that is received. */
static void apply(struct change *c, struct account *account)
{
    struct broker *broker = c->broker;
    struct owner owner = account->owner;
    switch (c->kind) {
    case CHANGE_REMOVE:
        account_remove(account);
        hand_over_default(broker, &owner);
        broker_policy_changed(broker);
        break;
    case CHANGE_RENAME:
        free(account->label);
        account->label = TAKE_PTR(c->label);
        break;
    case CHANGE_DEFAULT:
        make_default(account);
        break;
    }
    notify_accounts_changed(broker, &owner);
}

static void on_stored(struct store_reply *reply, void *userdata)
{
    struct change *c = userdata;
    c->op = NULL;
    struct account *account = find(c);
    bool is_there = account && account->row == c->row;
    if (reply->r == 0 && is_there)
        apply(c, account);

    if (!c->call)
        change_free(c);
    else if (reply->r < 0)
        call_fail(c->call, BUS_E_STORE_UNAVAILABLE,
                  "The login store cannot be written, so nothing was changed; see `lwactl status`.");
    else if (reply->r != 0 || !is_there)
        call_fail(c->call, BUS_E_NO_SUCH_ACCOUNT, "The account %s is gone.", c->account_name);
    else
        call_done(c->call);
}

static int store_change(struct change *c, struct account *account)
{
    struct store *store = c->broker->store;
    c->row = account->row;
    switch (c->kind) {
    case CHANGE_REMOVE:
        return store_remove_account(store, account->row, new_record(c, account, AUDIT_ACCOUNT_REMOVED, ""),
                                    on_stored, c, &c->op);
    case CHANGE_RENAME:
        return store_change_account(store, account->row, c->label, false,
                                    new_record(c, account, AUDIT_ACCOUNT_RENAMED, ""), on_stored, c, &c->op);
    case CHANGE_DEFAULT:
        break;
    }
    return store_change_account(store, account->row, NULL, true,
                                new_record(c, account, AUDIT_ACCOUNT_CHANGED, "default"), on_stored, c,
                                &c->op);
}

static void on_authorized(const struct polkit_answer *answer, void *userdata)
{
    struct change *c = userdata;
    c->check = NULL;
    if (!authorize_answer_action(c->call, answer, ACTION_MANAGE, "change the account"))
        return;
    struct account *account = find(c);
    int r = account ? store_change(c, account) : 0;
    if (!account)
        call_fail(c->call, BUS_E_NO_SUCH_ACCOUNT, "The account %s is gone.", c->account_name);
    else if (r < 0)
        call_fail_errno(c->call, r, NULL);
}

static void authorize(struct call *call)
{
    struct change *c = call->state;
    c->uid = call->peer->identity.uid;
    const struct account *account = find(c);
    if (!account) {
        call_fail(call, BUS_E_NO_SUCH_ACCOUNT, "This user has no account %s; see `lwactl accounts`.",
                  c->account_name);
        return;
    }
    if (account_is_locked(account, call->peer->identity.user)) {
        call_fail(call, BUS_E_ACCESS_DENIED, ACCOUNT_LOCKED_SENTENCE, account->id);
        return;
    }
    if (!permit_change(call))
        return;
    struct authorize_question question;
    authorize_question_init(&question);
    memcpy(question.account, account->id, sizeof(account->id));
    question.owner = account->owner;
    bool may_prompt = dbus_message_get_allow_interactive_authorization(call->message);
    int r = authorize_action(call->peer, ACTION_MANAGE, &question, may_prompt, on_authorized, c, &c->check);
    if (r < 0)
        authorize_fail(call, r);
}

static void begin_change(struct call *call, enum change_kind kind)
{
    const char *account = "", *label = NULL;
    DBusMessageIter args;
    (void)dbus_message_iter_init(call->message, &args);
    dbus_message_iter_get_basic(&args, &account);
    if (kind == CHANGE_RENAME && dbus_message_iter_next(&args))
        dbus_message_iter_get_basic(&args, &label);
    if (!account_id_is_valid(account) || (label && (!label[0] || !account_label_is_valid(label)))) {
        call_fail(
            call, BUS_E_INVALID_ARGUMENT,
            "An account id is 1 to 32 of a-z, 0-9 and -; a label 1 to 128 bytes without control characters.");
        return;
    }
    struct change *c = calloc(1, sizeof(*c));
    if (c && label)
        c->label = strdup(label);
    if (!c || (label && !c->label)) {
        free(c);
        call_fail_no_memory(call);
        return;
    }
    c->call = call;
    c->broker = call->broker;
    c->kind = kind;
    (void)snprintf(c->account_name, sizeof(c->account_name), "%s", account);
    call->state = c;
    call->drop_state = drop_change;
    call_identify_outside(call, authorize);
}

static void begin_remove(struct call *call)
{
    begin_change(call, CHANGE_REMOVE);
}

static void begin_rename(struct call *call)
{
    begin_change(call, CHANGE_RENAME);
}

static void begin_set_default(struct call *call)
{
    begin_change(call, CHANGE_DEFAULT);
}

const struct method accounts1_methods[] = {
    {LWA_INTERFACE_ACCOUNTS, "List", "a{sv}", begin_list},
    {LWA_INTERFACE_ACCOUNTS, "Remove", "s", begin_remove},
    {LWA_INTERFACE_ACCOUNTS, "Rename", "ss", begin_rename},
    {LWA_INTERFACE_ACCOUNTS, "SetDefault", "s", begin_set_default},
    {NULL, NULL, NULL, NULL},
};
