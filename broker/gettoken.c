/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Broker1.GetToken, the main job, as steps. Whatever a step had to wait for, the request starts over from
 * decide(): while it waited the policy, the account, the grant and the token may all have changed, and what
 * was learned is remembered where it belongs (the decision with the peer, the token with the grant, the
 * record with the token), so that starting over is cheap and the last pass waits for nothing.
 *
 *   read       the arguments                                     InvalidArgument InvalidScope
 *   identify   the caller                                        AccessDenied
 *   decide     verdict on what was asked, by table, consent     AccessDenied ConsentRequired
 *              and polkit
 *   account    the one named, the caller's, the device's         NoSuchAccount LoginRequired
 *   grant      the one that may carry least; verdict on all      LoginRequired NarrowerLoginRequired
 *              that it may carry (I1)
 *   ask        a person, where one may be asked; then from       Cancelled ConsentRequired AccessDenied
 *              decide again
 *   token      fresh enough, or renewed                          ProviderUnavailable ...
 *   disclose   a durable record first (I3), which uses up a      AuditUnavailable
 *              consent that was given once
 *   deliver    a fresh read-only descriptor */

#include "broker/gettoken.h"
#include "broker/consent-prompt.h"
#include "broker/limits.h"
#include "broker/peer.h"
#include "broker/verdict.h"
#include "util/clock.h"

#include <string.h>

void get_token_deinit(struct get_token *g)
{
    authorize_wait_drop(g->authorize_wait);
    renewal_wait_drop(g->renewal_wait);
    disclosure_wait_drop(g->disclosure_wait);
    prompt_wait_drop(g->turn_wait);
    if (g->turn && (g->prompt || g->check))
        prompt_turn_leave(g->turn, boottime_usec());
    consent_prompt_drop(g->prompt);
    polkit_check_drop(g->check);
    prompt_turn_drop(g->turn);
}

static void get_token_free(void *state)
{
    get_token_deinit(state);
    free(state);
}

struct account *get_token_find_account(struct get_token *g)
{
    return account_for_caller(g->call->broker, g->peer->identity.uid, g->account_name);
}

void get_token_start_over(struct get_token *g)
{
    if (g->restarts++ < LIMIT_RESTARTS_PER_CALL)
        get_token_decide(g);
    else
        call_fail(g->call, BUS_E_PROVIDER_UNAVAILABLE,
                  "Logins or policy keep changing; try again in a second.");
}

/* --- account ----------------------------------------------------------------------------------------- */

static void check_account(struct get_token *g, bool may_use_device)
{
    bool is_usable = g->account && (may_use_device || !g->account->owner.device);
    bool is_locked = is_usable && account_is_locked(g->account, g->peer->identity.user);
    if (g->ended && (is_locked || (!is_usable && g->account_name[0])))
        g->ended(g, is_locked ? BUS_E_ACCESS_DENIED : BUS_E_NO_SUCH_ACCOUNT, SCOPE_SET_EMPTY);
    else if (!is_usable && g->account_name[0])
        call_fail(g->call, BUS_E_NO_SUCH_ACCOUNT, "This user has no account %s; see `lwactl accounts`.",
                  g->account_name);
    else if (!is_usable)
        get_token_fail_scopes(g, BUS_E_LOGIN_REQUIRED, "account", g->asked,
                              "Nobody has logged in; log in, with --device for all users: lwactl login ", "");
    else if (is_locked)
        call_fail(g->call, BUS_E_ACCESS_DENIED, ACCOUNT_LOCKED_SENTENCE, g->account->id);
    else
        get_token_choose_grant(g);
}

/* --- decide ------------------------------------------------------------------------------------------ */

struct scope_set get_token_agreed(const struct get_token *g)
{
    return g->account && g->account->row == g->agreed_row ? g->agreed : SCOPE_SET_EMPTY;
}

void get_token_agree(struct get_token *g, int64_t account, struct scope_set scopes)
{
    g->agreed = account == g->agreed_row ? scope_set_union(g->agreed, scopes) : scopes;
    g->agreed_row = account;
}

static void fill_question(struct get_token *g)
{
    struct broker *broker = g->call->broker;
    struct authorize_question *q = &g->question;
    authorize_question_init(q);
    if (g->account) {
        memcpy(q->account, g->account->id, sizeof(g->account->id));
        q->owner = g->account->owner;
    }
    q->asked = g->asked;
    q->scopes = catalogue_expand(broker->catalogue, g->asked);
    verdict_of_used(broker, &g->peer->identity, g->account, get_token_agreed(g), &q->verdicts);
}

static void on_answer(struct get_token *g, const struct authorize_answer *answer)
{
    bool may_ask = answer->result == AUTHORIZE_CHALLENGE && g->may_prompt;
    g->decided_by = answer->decided_by;
    g->whole = g->question;
    g->answer = *answer;
    g->is_answered = true;
    if (answer->result == AUTHORIZE_YES || answer->result == AUTHORIZE_NO_DEVICE || may_ask)
        check_account(g, !answer->is_device_refused);
    else
        get_token_fail_answer(g, answer);
}

static void on_decided(const struct authorize_answer *answer, void *userdata)
{
    struct get_token *g = userdata;
    g->authorize_wait = NULL;
    /* The answer is good for the question as it was asked. A yes that is not remembered (it rests on a
     * temporary authorisation, or no memory is configured) has to be used here: asking again would not find
     * it. */
    struct authorize_question before = g->question;
    g->account = get_token_find_account(g);
    fill_question(g);
    if (g->epoch == g->call->broker->policy_epoch && authorize_question_equal(&before, &g->question))
        on_answer(g, answer);
    else
        get_token_start_over(g);
}

void get_token_decide(struct get_token *g)
{
    g->epoch = g->call->broker->policy_epoch;
    g->account = get_token_find_account(g);
    g->grant = NULL;
    g->is_answered = false;
    g->asking = SCOPE_SET_EMPTY;
    fill_question(g);
    struct authorize_answer answer;
    int r = authorize_scopes(g->peer, &g->question, on_decided, g, &answer, &g->authorize_wait);
    if (r < 0)
        authorize_fail(g->call, r);
    else if (r == AUTHORIZE_ANSWERED)
        on_answer(g, &answer);
}

static void begin(struct call *call)
{
    call->peer->wants_accounts_changed = true;
    get_token_decide(call->state);
}

/* --- read -------------------------------------------------------------------------------------------- */

void broker1_get_token(struct call *call)
{
    struct scope_set asked;
    const char *account = NULL;
    dbus_uint32_t min_valid = 0;
    struct reader_option options[] = {
        {"account", DBUS_TYPE_STRING, &account, false},
        {"min_valid", DBUS_TYPE_UINT32, &min_valid, false},
    };
    if (!handlers_read_options(call, 1, options, ARRAY_SIZE(options)) ||
        !handlers_read_scopes(call, 0, &asked))
        return;
    if (account && !account_id_is_valid(account)) {
        call_fail(call, BUS_E_INVALID_ARGUMENT, "An account id is 1 to 32 of a-z, 0-9 and -.");
        return;
    }
    struct get_token *g = calloc(1, sizeof(*g));
    if (!g) {
        call_fail_no_memory(call);
        return;
    }
    g->call = call;
    g->peer = call->peer;
    g->asked = catalogue_reduce(call->broker->catalogue, asked);
    (void)snprintf(g->account_name, sizeof(g->account_name), "%s", account ? account : "");
    g->min_valid_sec = min_valid;
    g->may_prompt = dbus_message_get_allow_interactive_authorization(call->message);
    call->state = g;
    call->drop_state = get_token_free;
    call_identify(call, begin);
}
