/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Leave for a method to go on: one action, put to polkit once, with a prompt if the caller allowed one. It is
 * a member of the method's own state, which drops it; a refusal has answered the call. */

#include "broker/authorize.h"
#include "broker/call.h"

#define ACTION_POLICY_MANAGE "org.lwabroker.policy.manage"

struct permit {
    struct call *call;
    const char *action;
    const char *what; /* in words: "read the consents of all users" */
    void (*next)(struct call *call);
    struct polkit_check *check;
};

/* Goes on with `next` after a yes, never from within this call. What is known of `question` is told to polkit
 * (NULL: nothing). */
void permit_ask(struct permit *p, struct call *call, const char *action, const char *what,
                const struct authorize_question *question, void (*next)(struct call *call));
/* The same about a stand-in for an app (stand-in.h), with the sentence that a person is shown. */
void permit_ask_for(struct permit *p, struct call *call, struct peer *stand_in, const char *action,
                    const char *what, const struct authorize_question *question, const char *sentence,
                    void (*next)(struct call *call));
/* policy.manage: for what concerns others. */
void permit_manage(struct permit *p, struct call *call, const char *what, void (*next)(struct call *call));
void permit_drop(struct permit *p);
/* Of what is put on the trail each time it is asked for, before that is authorised: ends the call and returns
 * false when its user has made too much of it. */
bool permit_change(struct call *call);
