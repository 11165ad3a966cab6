/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/gettoken.h"
#include "broker/limits.h"
#include "broker/peer.h"
#include "broker/token.h"
#include "policy/select.h"

/* There is an answer about all that the token of the chosen grant may carry. */
static void settle(struct get_token *g)
{
    const struct authorize_answer *answer = &g->answer;
    struct scope_set extras = scope_set_minus(g->whole.scopes, g->question.scopes);
    struct scope_set known = scope_set_union(g->asking, g->whole.verdicts.ask);
    struct scope_set asking = scope_set_minus(scope_set_intersection(answer->challenged, extras), known);
    if (answer->result == AUTHORIZE_YES) {
        g->decided_by = answer->decided_by;
        get_token_ensure_token(g);
    } else if (answer->result == AUTHORIZE_NO) {
        /* Each turn refuses at least one more scope, so this ends. */
        g->refused = scope_set_union(g->refused, answer->refused);
        get_token_choose_grant(g);
    } else if (answer->result == AUTHORIZE_CHALLENGE && !scope_set_is_empty(asking)) {
        /* Perhaps another grant does without asking. This ends for the same reason. */
        g->asking = scope_set_union(g->asking, asking);
        get_token_choose_grant(g);
    } else if (answer->result == AUTHORIZE_CHALLENGE) {
        get_token_ask(g);
    } else {
        get_token_fail_answer(g, answer);
    }
}

static void on_whole_decided(const struct authorize_answer *answer, void *userdata)
{
    struct get_token *g = userdata;
    g->authorize_wait = NULL;
    if (answer->result == AUTHORIZE_NO)
        g->refused = scope_set_union(g->refused, answer->refused);
    /* Not from the start if the world stood still: there may be many logins to try. */
    if (get_token_is_grant_valid(g)) {
        g->answer = *answer;
        g->is_answered = true;
        settle(g);
    } else if (answer->result == AUTHORIZE_UNAVAILABLE) {
        get_token_fail_answer(g, answer);
    } else {
        get_token_start_over(g);
    }
}

/* The token may carry more than was asked: all of it must be allowed. */
static void decide_whole(struct get_token *g, struct scope_set may_carry)
{
    struct authorize_question question = g->question;
    question.scopes = may_carry;
    if (g->is_answered && authorize_question_equal(&question, &g->whole)) {
        settle(g);
        return;
    }
    g->whole = question;
    g->is_answered = false;
    int r = authorize_scopes(g->peer, &question, on_whole_decided, g, &g->answer, &g->authorize_wait);
    if (r < 0) {
        authorize_fail(g->call, r);
    } else if (r == AUTHORIZE_ANSWERED) {
        g->is_answered = true;
        settle(g);
    }
}

static bool covers(struct broker *broker, const struct grant *grant, struct scope_set asked)
{
    return scope_set_is_subset(catalogue_expand(broker->catalogue, asked),
                               catalogue_expand(broker->catalogue, grant->carries));
}

/* The account's grants that can be used now. Notes whether one that cannot would have done. */
static size_t collect_grants(struct get_token *g, struct select_grant *ret, struct grant **ret_grants,
                             size_t max, bool *ret_foreign)
{
    size_t n = 0;
    struct grant *grant;
    *ret_foreign = false;
    LIST_FOREACH (grant, &g->account->grants, node) {
        if (grant->is_dead || n == max)
            continue;
        if (renewal_is_foreign(grant)) {
            *ret_foreign = *ret_foreign || covers(g->call->broker, grant, g->asked);
            continue;
        }
        ret_grants[n] = grant;
        ret[n++] = (struct select_grant){(uint64_t)grant->row, grant->carries, grant->may_carry,
                                         grant->token ? grant->token->expires_usec : 0};
    }
    return n;
}

static void fail_selection(struct get_token *g, int outcome, bool is_foreign, struct scope_set log_in_with)
{
    if (outcome == SELECT_E_NARROWER_LOGIN)
        get_token_ask_for_login(
            g, BUS_E_NARROWER_LOGIN_REQUIRED, "grant", log_in_with,
            "Every login that would serve may carry more than this app may hold; log in with fewer "
            "scopes");
    else if (is_foreign && g->ended)
        g->ended(g, BUS_E_PROVIDER_MISCONFIGURED, g->asked);
    else if (is_foreign)
        handlers_fail_foreign(g->call, g->account);
    else
        get_token_ask_for_login(g, BUS_E_LOGIN_REQUIRED, "grant", g->asked,
                                "No login of this account carries what was asked; log in");
}

void get_token_choose_grant(struct get_token *g)
{
    struct broker *broker = g->call->broker;
    struct select_grant choices[LIMIT_GRANTS_PER_ACCOUNT];
    struct grant *grants[LIMIT_GRANTS_PER_ACCOUNT];
    bool is_foreign;
    size_t n = collect_grants(g, choices, grants, LIMIT_GRANTS_PER_ACCOUNT, &is_foreign);

    struct verdicts verdicts = g->question.verdicts;
    verdicts.allow = scope_set_minus(verdicts.allow, g->refused);
    verdicts.allow = scope_set_minus(verdicts.allow, g->asking);
    verdicts.ask = scope_set_minus(scope_set_union(verdicts.ask, g->asking), g->refused);
    size_t chosen;
    struct scope_set may_carry = SCOPE_SET_EMPTY; /* not set where no login covers the request */
    /* A grant has one token, as wide as the grant: no refresh asks for less, so no provider narrows it. */
    int r = select_grant(broker->catalogue, choices, n, g->asked, &verdicts, false, &chosen, &may_carry);
    if (r != 0) {
        fail_selection(g, r, is_foreign, may_carry);
        return;
    }
    g->grant = grants[chosen];
    g->grant_row = g->grant->row;
    decide_whole(g, may_carry);
}
