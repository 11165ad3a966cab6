/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/consent-prompt.h"

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/consent.h"
#include "broker/peer.h"
#include "broker/trail.h"

#include <string.h>

struct consent_prompt {
    struct peer *peer;
    char app[IDENTITY_APP_SIZE];     /* as it was shown: an app can be renamed when the table is read again */
    char request[CALL_REQUEST_SIZE]; /* which may be over before the answer is remembered */
    struct authorize_question question;
    struct consent_prompt_answer answer;
    struct polkit_check *check;
    struct consent_op *op;
    consent_prompt_callback callback;
    void *userdata;
};

void consent_prompt_drop(struct consent_prompt *p)
{
    if (!p)
        return;
    polkit_check_drop(p->check);
    consent_op_drop(p->op);
    free(p);
}

static void finish(struct consent_prompt *p)
{
    struct consent_prompt_answer answer = p->answer;
    consent_prompt_callback callback = p->callback;
    void *userdata = p->userdata;
    consent_prompt_drop(p);
    callback(&answer, userdata);
}

static void record_refusal(const struct consent_prompt *p)
{
    const struct trail_facts facts = {
        .peer = p->peer,
        .account = p->question.account,
        .owner = &p->question.owner,
        .asked = &p->question.asked,
        .carried = &p->answer.scopes,
        .verdict = "deny",
        .decided_by = "prompt",
        .detail = p->answer.result == POLKIT_DISMISSED ? "dismissed" : "failed",
        .request = p->request,
    };
    trail_write(p->peer->broker, AUDIT_CONSENT_REFUSED, &facts);
}

/* The account that was asked about, if it is still there. */
static struct account *find_account(const struct consent_prompt *p)
{
    struct account *account = account_find(p->peer->broker, p->peer->identity.uid, p->question.account);
    bool is_same =
        account && account->row == p->answer.account && owner_equal(&account->owner, &p->question.owner);
    return is_same ? account : NULL;
}

static void on_remembered(int r, void *userdata)
{
    struct consent_prompt *p = userdata;
    p->op = NULL;
    /* A positive outcome: somebody has decided otherwise meanwhile. Whoever looks again will see. */
    p->answer.r = r < 0 ? r : 0;
    finish(p);
}

/* Of the device's account polkit does not say which administrator it was. */
static void remember(struct consent_prompt *p)
{
    struct account *account = find_account(p);
    if (!account) {
        finish(p);
        return;
    }
    const struct consent_change change = {
        .answer = CONSENT_ALLOW,
        .app = p->app,
        .scopes = &p->answer.scopes,
        .lasts = CONSENT_UNTIL_LOGOUT,
        .how = CONSENT_BY_PROMPT,
        .by_uid = account->owner.uid,
        .by_name = account->owner.name,
        .request = p->request,
    };
    p->answer.r = consent_change(account, &change, on_remembered, p, &p->op);
    if (p->answer.r < 0)
        finish(p);
}

static void on_checked(const struct polkit_answer *answer, void *userdata)
{
    struct consent_prompt *p = userdata;
    p->check = NULL;
    p->answer.result = answer->result;
    p->answer.is_temporary = answer->is_temporary;
    if (answer->result == POLKIT_DISMISSED || answer->result == POLKIT_NO)
        record_refusal(p);
    if (answer->result == POLKIT_YES && !answer->is_temporary)
        remember(p);
    else
        finish(p);
}

const char *consent_prompt_action(const struct account *account)
{
    return account->owner.device ? "org.lwabroker.consent.device" : "org.lwabroker.consent";
}

int consent_prompt_sentence(struct broker *broker, const struct identity *identity,
                            const struct account *account, struct scope_set scopes, char **ret)
{
    const struct subject subject = identity_subject(identity);
    const struct consent_sentence sentence = {
        .app = identity->app,
        .description = table_description(broker->table, &subject),
        .account = account_count_of(broker, &account->owner) > 1 ? account->id : NULL,
        .is_device = account->owner.device,
        .scopes = scopes,
    };
    return consent_sentence_make(broker->catalogue, &sentence, ret);
}

int consent_prompt_new(struct call *call, const struct account *account,
                       const struct authorize_question *question, consent_prompt_callback callback,
                       void *userdata, struct consent_prompt **ret)
{
    _cleanup_free_ char *sentence = NULL;
    struct peer *peer = call->peer;
    int r = consent_prompt_sentence(peer->broker, &peer->identity, account, question->scopes, &sentence);
    if (r != 0)
        return r;
    _cleanup_(consent_prompt_dropp) struct consent_prompt *p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->peer = peer;
    memcpy(p->request, call->request, sizeof(p->request));
    memcpy(p->app, peer->identity.app, sizeof(p->app));
    p->question = *question;
    p->answer.account = account->row;
    p->answer.scopes = catalogue_reduce(peer->broker->catalogue,
                                        scope_set_intersection(question->scopes, question->verdicts.ask));
    p->callback = callback;
    p->userdata = userdata;
    r = authorize_action_with(peer, consent_prompt_action(account), question, sentence, true, on_checked, p,
                              &p->check);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(p);
    return 0;
}
