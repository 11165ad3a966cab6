/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The step of GetToken in which a person is asked. It is come to with a grant chosen, so that nobody is asked
 * for a token that there is not, and with polkit's answers about all that the token would carry:
 *
 * 1. One call of an app asks at a time (prompt-turn.h). Who had to wait starts over.
 * 2. The account's owner is asked, once, about everything (consent-prompt.h). After a yes the pass begins
 *    anew, with the consent as a fact: it authorises nothing by itself.
 * 3. What challenges still is a rule of the administrator's that wants somebody to authenticate. Each such
 *    scope is asked about on its own action, one after another. A yes is good for this call, this question
 *    and this policy, and remembered nowhere else. */

#include "broker/consent-prompt.h"
#include "broker/gettoken.h"
#include "broker/limits.h"
#include "broker/peer.h"
#include "util/clock.h"

static struct scope_set authenticated(const struct get_token *g)
{
    bool is_same = g->authenticated_epoch == g->call->broker->polkit_epoch &&
                   authorize_question_equal(&g->authenticated_for, &g->whole);
    return is_same ? g->authenticated : SCOPE_SET_EMPTY;
}

static void fail_refused(struct get_token *g, struct scope_set scopes, bool is_dismissed)
{
    prompt_turn_pause(g->turn, boottime_usec());
    if (is_dismissed)
        get_token_fail_scopes(g, BUS_E_CANCELLED, "prompt", scopes, "The question whether this app may hold ",
                              " was dismissed; it can be asked again in a minute, or answered with "
                              "`lwactl consent`.");
    else
        get_token_fail_scopes(g, BUS_E_ACCESS_DENIED, "prompt", scopes,
                              "Whoever was asked whether this app may hold ",
                              " did not prove to be allowed to say so; it can be asked again in a minute.");
}

/* Nobody has said no, and nobody yes. */
static void fail_unasked(struct get_token *g, struct scope_set scopes, enum polkit_result result)
{
    if (result == POLKIT_UNAVAILABLE)
        get_token_fail_answer(g, &(struct authorize_answer){.result = AUTHORIZE_UNAVAILABLE});
    else if (result == POLKIT_TIMED_OUT)
        get_token_fail_scopes(g, BUS_E_CONSENT_REQUIRED, "prompt", scopes,
                              "Nobody answered the question whether this app may hold ",
                              "; call again when somebody is there, or answer it with `lwactl consent`.");
    else if (result == POLKIT_CROWDED)
        get_token_fail_scopes(g, BUS_E_CONSENT_REQUIRED, "prompt", scopes,
                              "Too many questions wait for a person to ask whether this app may hold ",
                              "; call again when those are answered, or answer it with `lwactl consent`.");
    else
        get_token_fail_answer(g, &g->answer);
}

static void fail_result(struct get_token *g, struct scope_set scopes, enum polkit_result result)
{
    if (result == POLKIT_NO || result == POLKIT_DISMISSED)
        fail_refused(g, scopes, result == POLKIT_DISMISSED);
    else
        fail_unasked(g, scopes, result);
}

/* --- an administrator's rule ------------------------------------------------------------------------- */

static void on_authenticated(const struct polkit_answer *answer, void *userdata)
{
    struct get_token *g = userdata;
    struct scope_set one = SCOPE_SET_EMPTY;
    g->check = NULL;
    scope_set_add(&one, g->check_scope);
    if (answer->result != POLKIT_YES) {
        fail_result(g, one, answer->result);
        return;
    }
    /* Good for the question as it was asked, by the rules of then: whoever uses it compares. */
    bool is_more = authorize_question_equal(&g->authenticated_for, &g->whole) &&
                   g->authenticated_epoch == g->check_epoch;
    g->authenticated = is_more ? scope_set_union(g->authenticated, one) : one;
    g->authenticated_for = g->whole;
    g->authenticated_epoch = g->check_epoch;
    if (get_token_is_grant_valid(g))
        get_token_ask(g);
    else
        get_token_start_over(g);
}

static void ask_about_scope(struct get_token *g, int scope)
{
    g->check_scope = scope;
    g->check_epoch = g->call->broker->polkit_epoch;
    int r = authorize_scope_by_person(g->peer, &g->whole, scope, on_authenticated, g, &g->check);
    if (r < 0)
        authorize_fail(g->call, r);
}

/* --- the owner --------------------------------------------------------------------------------------- */

static void on_consent(const struct consent_prompt_answer *answer, void *userdata)
{
    struct get_token *g = userdata;
    g->prompt = NULL;
    if (answer->r < 0) {
        call_fail(g->call, BUS_E_STORE_UNAVAILABLE,
                  "The answer cannot be remembered, so no token is given out; see `lwactl status`.");
    } else if (answer->result != POLKIT_YES) {
        fail_result(g, g->answer.unconsented, answer->result);
    } else {
        if (answer->is_temporary)
            get_token_agree(g, answer->account, answer->scopes);
        get_token_decide(g);
    }
}

static void ask_owner(struct get_token *g)
{
    if (g->n_consents++ >= LIMIT_CONSENTS_PER_CALL) {
        get_token_fail_answer(g, &g->answer);
        return;
    }
    int r = consent_prompt_new(g->call, g->account, &g->whole, on_consent, g, &g->prompt);
    if (r == CONSENT_SENTENCE_E_TOO_LONG)
        get_token_fail_answer(g, &g->answer);
    else if (r < 0)
        authorize_fail(g->call, r);
}

/* --- turns ------------------------------------------------------------------------------------------- */

static void on_turn_ended(void *userdata)
{
    struct get_token *g = userdata;
    g->turn_wait = NULL;
    get_token_decide(g);
}

/* True when it is this call's turn; else the call waits or is answered. */
static bool take_turn(struct get_token *g)
{
    struct peer *peer = g->peer;
    if (g->turn)
        return true;
    if (g->n_turns++ >= LIMIT_TURNS_PER_CALL) {
        get_token_fail_answer(g, &g->answer);
        return false;
    }
    int r = prompt_turn_take(&peer->broker->prompt_turns, &peer->identity, boottime_usec(), on_turn_ended, g,
                             &g->turn, &g->turn_wait);
    if (r == PROMPT_TURN_E_PAUSED)
        get_token_fail_scopes(
            g, BUS_E_CONSENT_REQUIRED, "prompt", g->answer.challenged,
            "This app was told no a moment ago, or left its questions again and again, so it is not asked "
            "again whether it may hold ",
            "; call again in a minute, or answer it with `lwactl consent`.");
    else if (r < 0)
        authorize_fail(g->call, r);
    return r == PROMPT_TURN_TAKEN;
}

void get_token_ask(struct get_token *g)
{
    struct scope_set open = scope_set_minus(g->answer.challenged, authenticated(g));
    if (scope_set_is_empty(open)) {
        g->decided_by = authorize_agreed_by(&g->whole);
        get_token_ensure_token(g);
    } else if (!g->may_prompt) {
        get_token_fail_answer(g, &g->answer);
    } else if (take_turn(g)) {
        if (scope_set_is_empty(g->answer.unconsented))
            ask_about_scope(g, scope_set_next(&open, 0));
        else
            ask_owner(g);
    }
}
