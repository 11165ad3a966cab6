/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/recheck.h"

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/peer.h"
#include "broker/stand-in.h"
#include "broker/token.h"
#include "broker/verdict.h"
#include "util/log.h"

#include <string.h>

struct recheck {
    struct broker *broker;
    struct peer stand_in; /* nobody pays: an administrator's edit is no doing of the app's */
    char token_id[TOKEN_ID_SIZE];
    struct authorize_wait *wait;
};

static struct hold *next_hold(struct broker *broker)
{
    struct token *t;
    struct hold *h;
    LIST_FOREACH (t, &broker->tokens, node) {
        if (t->checked_epoch == broker->polkit_epoch || !t->grant || !t->grant->account)
            continue;
        LIST_FOREACH (h, &t->holds, in_token)
            if (h->checked_epoch != broker->polkit_epoch)
                return h;
        t->checked_epoch = broker->polkit_epoch;
    }
    return NULL;
}

/* Only a plain no: a question that polkit would put to a person was perhaps answered when the token was
 * given. */
static void judge(struct recheck *r, const struct authorize_answer *answer)
{
    struct peer *peer = peer_find(r->broker, r->stand_in.name);
    struct token *token = peer ? token_find_held(peer, r->token_id) : NULL;
    if (token && (answer->result == AUTHORIZE_NO || answer->result == AUTHORIZE_NO_DEVICE))
        token_revoke_held(token, peer, "policy");
}

static void go_on(struct recheck *r);

static void on_decided(const struct authorize_answer *answer, void *userdata)
{
    struct recheck *r = userdata;
    r->wait = NULL;
    judge(r, answer);
    go_on(r);
}

static int ask(struct recheck *r, struct hold *h, struct authorize_answer *ret)
{
    const struct account *account = h->token->grant->account;
    struct authorize_question question;
    stand_in_deinit(&r->stand_in);
    stand_in_init(&r->stand_in, h->peer, h->peer->name, &h->peer->identity);
    r->stand_in.quota.parent = &r->broker->quotas.all;
    memcpy(r->token_id, h->token->id, sizeof(r->token_id));
    authorize_question_init(&question);
    memcpy(question.account, account->id, sizeof(account->id));
    question.owner = account->owner;
    question.asked = h->token->may_carry;
    question.scopes = catalogue_expand(r->broker->catalogue, h->token->may_carry);
    verdict_of(r->broker, &h->peer->identity, account, &question.verdicts);
    return authorize_scopes(&r->stand_in, &question, on_decided, r, ret, &r->wait);
}

static void go_on(struct recheck *r)
{
    struct hold *h;
    while ((h = next_hold(r->broker))) {
        struct authorize_answer answer;
        h->checked_epoch = r->broker->polkit_epoch;
        int result = ask(r, h, &answer);
        if (result == 0)
            return;
        if (result == AUTHORIZE_ANSWERED)
            judge(r, &answer);
        else
            log_warning("polkit could not be asked again about a token that is held");
    }
}

void recheck_start(struct broker *broker)
{
    if (!broker->recheck) {
        broker->recheck = calloc(1, sizeof(*broker->recheck));
        if (!broker->recheck)
            return;
        broker->recheck->broker = broker;
    }
    /* One that is under way goes on with the new epoch, in which nobody has been checked. */
    if (!broker->recheck->wait)
        go_on(broker->recheck);
}

void recheck_free(struct recheck *r)
{
    if (!r)
        return;
    authorize_wait_drop(r->wait);
    stand_in_deinit(&r->stand_in);
    free(r);
}
