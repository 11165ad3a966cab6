/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Broker1.CheckScopes: what GetToken would say to each scope, without any effect. */

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/handlers.h"
#include "broker/peer.h"
#include "broker/verdict.h"
#include "policy/select.h"

#include <string.h>

struct check_scopes {
    struct call *call;
    struct scope_set named; /* as the caller named them, not reduced */
    char account_name[LWA_ACCOUNT_ID_BYTES_MAX + 1];
    struct authorize_question question;
    struct authorize_wait *wait;
};

static void check_scopes_free(void *state)
{
    struct check_scopes *c = state;
    authorize_wait_drop(c->wait);
    free(c);
}

static struct account *find_account(struct check_scopes *c)
{
    return account_for_caller(c->call->broker, c->call->peer->identity.uid, c->account_name);
}

static bool is_usable(const struct grant *grant)
{
    return !grant->is_dead && !renewal_is_foreign(grant);
}

/* What the tokens of the account's grants may carry, expanded. */
static struct scope_set all_may_carry(const struct broker *broker, const struct account *account)
{
    struct scope_set all = SCOPE_SET_EMPTY;
    const struct grant *grant;
    LIST_FOREACH (grant, &account->grants, node)
        if (is_usable(grant))
            all = scope_set_union(all, scope_set_union(grant->may_carry, grant->carries));
    return catalogue_expand(broker->catalogue, all);
}

/* The verdicts as polkit left them. */
static struct verdicts final_verdicts(const struct check_scopes *c, const struct authorize_answer *answer)
{
    struct scope_set open = scope_set_union(answer->refused, answer->challenged);
    return (struct verdicts){
        .allow = scope_set_minus(c->question.scopes, open),
        .ask = answer->challenged,
        .mentioned = c->question.verdicts.mentioned,
    };
}

/* Does a grant of the account serve this one scope, with all that its token may carry besides? */
static const char *verdict_of_grants(const struct check_scopes *c, const struct account *account,
                                     const struct verdicts *verdicts, struct scope_set asked)
{
    const struct catalogue *catalogue = c->call->broker->catalogue;
    const char *best = "login-required";
    struct grant *grant;
    LIST_FOREACH (grant, &account->grants, node) {
        struct select_grant choice = {0, grant->carries, grant->may_carry, 0};
        size_t index;
        struct scope_set may_carry;
        if (!is_usable(grant) ||
            select_grant(catalogue, &choice, 1, asked, verdicts, false, &index, &may_carry) != 0)
            continue;
        if (verdicts_least(verdicts, may_carry) == VERDICT_ALLOW)
            return "allow";
        best = "ask";
    }
    return best;
}

static const char *word_for(struct check_scopes *c, const struct account *account,
                            const struct authorize_answer *answer, int scope)
{
    struct verdicts verdicts = final_verdicts(c, answer);
    struct scope_set one = SCOPE_SET_EMPTY;
    scope_set_add(&one, scope);
    enum verdict verdict = verdicts_least(&verdicts, catalogue_expand(c->call->broker->catalogue, one));
    if (verdict == VERDICT_DENY || answer->result == AUTHORIZE_UNAVAILABLE)
        return "deny";
    if (verdict == VERDICT_ASK)
        return "ask";
    if (!account || answer->result == AUTHORIZE_NO_DEVICE ||
        account_is_locked(account, c->call->peer->identity.user))
        return "login-required";
    return verdict_of_grants(c, account, &verdicts, one);
}

/* An app that may hold nothing of what it asks about does not learn whether the account exists. */
static bool is_all_denied(struct check_scopes *c, const struct authorize_answer *answer)
{
    for (int i = scope_set_next(&c->named, 0); i >= 0; i = scope_set_next(&c->named, i + 1))
        if (strcmp(word_for(c, NULL, answer, i), "deny") != 0)
            return false;
    return true;
}

static void reply(struct check_scopes *c, const struct authorize_answer *answer)
{
    struct call *call = c->call;
    struct account *account = find_account(c);
    if (account &&
        (strcmp(account->id, c->question.account) != 0 || !owner_equal(&account->owner, &c->question.owner)))
        account = NULL; /* another one than polkit was asked about: it came while polkit thought */
    if (c->account_name[0] && (!account || answer->result == AUTHORIZE_NO_DEVICE) &&
        !is_all_denied(c, answer)) {
        call_fail(call, BUS_E_NO_SUCH_ACCOUNT, "This user has no account %s; see `lwactl accounts`.",
                  c->account_name);
        return;
    }
    struct writer w;
    DBusMessage *message = call_reply(call, &w);
    if (message) {
        writer_open(&w, DBUS_TYPE_ARRAY, "{ss}");
        for (int i = scope_set_next(&c->named, 0); i >= 0; i = scope_set_next(&c->named, i + 1))
            writer_pair(&w, catalogue_get(call->broker->catalogue, i)->name, word_for(c, account, answer, i));
        writer_close(&w);
    }
    call_send(call, message, &w);
}

static void on_decided(const struct authorize_answer *answer, void *userdata)
{
    struct check_scopes *c = userdata;
    c->wait = NULL;
    reply(c, answer);
}

static void begin(struct call *call)
{
    struct check_scopes *c = call->state;
    struct broker *broker = call->broker;
    struct authorize_question *q = &c->question;
    const struct account *account = find_account(c);
    authorize_question_init(q);
    if (account) {
        memcpy(q->account, account->id, sizeof(account->id));
        q->owner = account->owner;
    }
    verdict_of(broker, &call->peer->identity, account, &q->verdicts);

    /* What is denied by the broker's own verdict would end the question for all, so it is left out of it.
     * What a token would carry besides is asked about as well: it decides whether there would be one. */
    struct scope_set granted = authorize_not_denied(call->peer, &q->verdicts);
    struct scope_set all = catalogue_expand(broker->catalogue, c->named);
    q->asked = catalogue_reduce(broker->catalogue, scope_set_intersection(all, granted));
    if (account && !scope_set_is_empty(q->asked))
        all = scope_set_union(all, all_may_carry(broker, account));
    q->scopes = scope_set_intersection(all, granted);

    struct authorize_answer answer = {.result = AUTHORIZE_YES};
    int r = AUTHORIZE_ANSWERED;
    if (!scope_set_is_empty(q->scopes))
        r = authorize_scopes(call->peer, q, on_decided, c, &answer, &c->wait);
    if (r == AUTHORIZE_ANSWERED)
        reply(c, &answer);
    else if (r < 0)
        authorize_fail(call, r);
}

void broker1_check_scopes(struct call *call)
{
    const char *account = NULL;
    struct reader_option options[] = {{"account", DBUS_TYPE_STRING, &account, false}};
    struct check_scopes *c = calloc(1, sizeof(*c));
    if (!c) {
        call_fail_no_memory(call);
        return;
    }
    c->call = call;
    call->state = c;
    call->drop_state = check_scopes_free;
    if (!handlers_read_options(call, 1, options, ARRAY_SIZE(options)) ||
        !handlers_read_scopes(call, 0, &c->named))
        return;
    if (account && !account_id_is_valid(account)) {
        call_fail(call, BUS_E_INVALID_ARGUMENT, "An account id is 1 to 32 of a-z, 0-9 and -.");
        return;
    }
    (void)snprintf(c->account_name, sizeof(c->account_name), "%s", account ? account : "");
    call_identify(call, begin);
}
