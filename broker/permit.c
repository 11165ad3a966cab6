/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/permit.h"

#include "broker/peer.h"
#include "util/clock.h"

bool permit_change(struct call *call)
{
    struct refusal refusal;
    int r = quota_take_change(&call->peer->quota, boottime_usec(), &refusal);
    if (r < 0)
        call_fail_errno(call, r, &refusal);
    return r == 0;
}

static void on_answer(const struct polkit_answer *answer, void *userdata)
{
    struct permit *p = userdata;
    p->check = NULL;
    if (authorize_answer_action(p->call, answer, p->action, p->what))
        p->next(p->call);
}

void permit_ask(struct permit *p, struct call *call, const char *action, const char *what,
                const struct authorize_question *question, void (*next)(struct call *call))
{
    struct authorize_question nothing;
    authorize_question_init(&nothing);
    permit_ask_for(p, call, call->peer, action, what, question ? question : &nothing, NULL, next);
}

void permit_ask_for(struct permit *p, struct call *call, struct peer *stand_in, const char *action,
                    const char *what, const struct authorize_question *question, const char *sentence,
                    void (*next)(struct call *call))
{
    p->call = call;
    p->action = action;
    p->what = what;
    p->next = next;
    bool may_prompt = dbus_message_get_allow_interactive_authorization(call->message);
    int r = authorize_action_with(stand_in, action, question, sentence, may_prompt, on_answer, p, &p->check);
    if (r < 0)
        authorize_fail(call, r);
}

void permit_manage(struct permit *p, struct call *call, const char *what, void (*next)(struct call *call))
{
    permit_ask(p, call, ACTION_POLICY_MANAGE, what, NULL, next);
}

void permit_drop(struct permit *p)
{
    polkit_check_drop(p->check);
}
