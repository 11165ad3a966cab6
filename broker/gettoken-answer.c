/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/gettoken.h"
#include "broker/notify.h"
#include "broker/peer.h"

#include <string.h>

/* The app cannot log in; who can is told that a login is missing. */
static void tell_owner(struct get_token *g)
{
    struct owner caller = {.uid = g->peer->identity.uid};
    const struct owner *owner = g->account ? &g->account->owner : &caller;
    notify_attention(g->call->broker, owner, g->account ? g->account->id : "", "missing");
}

/* What came of asking polkit, or through it a person. */
static const char *word_of_refusal(enum bus_error error, const char *decided_by)
{
    if (strcmp(decided_by, "prompt") == 0)
        return error == BUS_E_CANCELLED       ? "prompt dismissed"
               : error == BUS_E_ACCESS_DENIED ? "prompt failed"
                                              : "prompt not answered";
    if (strcmp(decided_by, "polkit-unavailable") == 0)
        return "polkit unavailable";
    if (strcmp(decided_by, "polkit") != 0)
        return NULL;
    return error == BUS_E_CONSENT_REQUIRED ? "polkit challenge" : "polkit no";
}

void get_token_fail_scopes(struct get_token *g, enum bus_error error, const char *decided_by,
                           struct scope_set scopes, const char *before, const char *after)
{
    const struct catalogue *catalogue = g->call->broker->catalogue;
    if (g->ended) {
        g->ended(g, error, scopes);
        return;
    }
    const struct chain chain = {
        .peer = g->peer,
        .account = g->account,
        .verdicts = &g->question.verdicts,
        .scopes = scope_set_is_empty(scopes) ? g->question.scopes : scopes,
        .polkit = word_of_refusal(error, decided_by),
    };
    bool is_new = denials_add(g->call, &g->question, error, decided_by, &chain);
    if (is_new && (error == BUS_E_LOGIN_REQUIRED || error == BUS_E_NARROWER_LOGIN_REQUIRED))
        tell_owner(g);
    _cleanup_free_ char *names = catalogue_join(catalogue, catalogue_reduce(catalogue, scopes));
    call_fail(g->call, error, "%s%s%s", before, names ? names : "", after);
}

void get_token_ask_for_login(struct get_token *g, enum bus_error error, const char *decided_by,
                             struct scope_set scopes, const char *sentence)
{
    char before[256];
    bool is_device = g->account && g->account->owner.device;
    (void)snprintf(before, sizeof(before), "%s: lwactl login %s", sentence, is_device ? "--device " : "");
    get_token_fail_scopes(g, error, decided_by, scopes, before, "");
}

/* The whole command: it goes into a terminal as it stands. */
static char *consent_advice(const struct get_token *g, struct scope_set scopes)
{
    const struct catalogue *catalogue = g->call->broker->catalogue;
    const struct account *account = g->account;
    _cleanup_free_ char *names = catalogue_join(catalogue, catalogue_reduce(catalogue, scopes));
    char *text;
    if (!names ||
        asprintf(&text,
                 "; let it ask interactively while a polkit agent runs, or use `lwactl consent allow "
                 "%s %s%s%s%s`. `lwactl explain` says more.",
                 g->peer->identity.app, names, account ? " --account " : "", account ? account->id : "",
                 account && account->owner.device ? " --device" : "") < 0)
        return NULL;
    return text;
}

/* Nobody could be asked, or may be. */
static void fail_challenge(struct get_token *g, const struct authorize_answer *answer)
{
    char before[128];
    _cleanup_free_ char *after = NULL;
    bool is_device = g->account && g->account->owner.device;
    if (scope_set_is_empty(answer->unconsented)) {
        get_token_fail_scopes(g, BUS_E_CONSENT_REQUIRED, answer->decided_by, answer->challenged,
                              "A polkit rule wants somebody to authenticate before this app holds ",
                              "; let it ask again interactively while a polkit agent runs. `lwactl explain` "
                              "says more.");
        return;
    }
    (void)snprintf(before, sizeof(before), "%s must agree that this app holds ",
                   is_device ? "An administrator" : "The owner of the account");
    after = consent_advice(g, answer->unconsented);
    get_token_fail_scopes(g, BUS_E_CONSENT_REQUIRED, answer->decided_by, answer->challenged, before,
                          after ? after : "; `lwactl explain` says more.");
}

/* Who said no is who can say otherwise. */
static void fail_refusal(struct get_token *g, const struct authorize_answer *answer)
{
    if (strcmp(answer->decided_by, "consent") != 0) {
        get_token_fail_scopes(
            g, BUS_E_ACCESS_DENIED, answer->decided_by, answer->refused, "This app may not hold ",
            "; an administrator allows it in grants.d or by a polkit rule. `lwactl explain` "
            "says more.");
        return;
    }
    char after[512];
    bool is_device = g->account && g->account->owner.device;
    (void)snprintf(after, sizeof(after),
                   "; `lwactl consent revoke %s%s` takes that back. `lwactl explain` says more.",
                   g->peer->identity.app, is_device ? " --device" : "");
    get_token_fail_scopes(g, BUS_E_ACCESS_DENIED, answer->decided_by, answer->refused,
                          is_device ? "An administrator keeps this app from "
                                    : "The owner of the account keeps this app from ",
                          after);
}

void get_token_fail_answer(struct get_token *g, const struct authorize_answer *answer)
{
    switch (answer->result) {
    case AUTHORIZE_NO:
        fail_refusal(g, answer);
        break;
    case AUTHORIZE_CHALLENGE:
        fail_challenge(g, answer);
        break;
    default:
        get_token_fail_scopes(g, BUS_E_ACCESS_DENIED, "polkit-unavailable", SCOPE_SET_EMPTY,
                              "polkit cannot be asked, and without it nothing is given out",
                              "; see `lwactl status`.");
        break;
    }
}
