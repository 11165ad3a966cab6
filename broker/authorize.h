/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* May this app hold these scopes of this account?
 *
 * 1. The broker's own verdict comes first: one denied scope is a no, final, and polkit is not asked.
 * 2. For uid 0 the verdict alone counts, allow or nothing: polkit up to 124 authorises uid 0 without running
 *    a rule, so its yes would mean nothing.
 * 3. Everyone else: polkit is asked for every scope of the expanded set, one action each, all at once, with
 *    the verdict as a fact. Only a plain yes to every one is a yes. An account of the device needs the action
 *    device.use besides.
 * 4. A yes to all is remembered for the connection that asked, for this very question, until polkit or the
 *    policy changes (broker->policy_epoch), polkit leaves, the caller leaves, or decision_cache_seconds pass;
 *    unless it rests on a temporary authorisation. Nothing else is remembered.
 * 5. The same question of the same connection, asked while the answer is under way, joins it. */

#include "broker/owner.h"
#include "broker/polkit.h"
#include "dbus/names.h"
#include "policy/table.h"

struct broker;
struct call;
struct peer;
struct authorize_wait;

/* The question; it is its own key in the memory of answers, so everything that polkit is told follows from
 * it and from the peer. */
struct authorize_question {
    char account[LWA_ACCOUNT_ID_BYTES_MAX + 1]; /* id, "" for none */
    struct owner owner;
    struct scope_set asked;  /* canonical: what the app asked for */
    struct scope_set scopes; /* expanded: what must be allowed */
    struct verdicts verdicts;
    const char *flow; /* of a login, a fixed word; NULL elsewhere */
};

enum authorize_result {
    AUTHORIZE_YES,
    AUTHORIZE_NO,
    AUTHORIZE_NO_DEVICE,   /* the scopes would do, but not of the device's account */
    AUTHORIZE_CHALLENGE,   /* someone's consent or authentication is missing */
    AUTHORIZE_UNAVAILABLE, /* polkit cannot be asked */
};

struct authorize_answer {
    enum authorize_result result;
    struct scope_set refused;
    struct scope_set challenged;
    struct scope_set
        unconsented;        /* of these: the owner has not been asked. The others want to know who it is */
    bool is_alone;          /* polkit was not asked: the broker's own verdict is final */
    bool is_device_refused; /* whatever the result: not of the device's account */
    const char *decided_by; /* a fixed word for the trail, as authorize_agreed_by(), or what said no:
                             * table, default, consent, polkit */
};

typedef void (*authorize_callback)(const struct authorize_answer *answer, void *userdata);

void authorize_question_init(struct authorize_question *q);
bool authorize_question_equal(const struct authorize_question *a, const struct authorize_question *b);

/* A fixed word for the trail, of a yes: polkit, table+polkit, consent+polkit. */
const char *authorize_agreed_by(const struct authorize_question *q);

/* What the broker's own verdict leaves to this caller: of the rest nothing is given, whatever polkit says. */
struct scope_set authorize_not_denied(const struct peer *peer, const struct verdicts *verdicts);

/* A peer without a name is an app that is spoken of and is no connection (stand-in.h): polkit cannot be asked
 * about it, and what the shipped rule would say is taken. */
enum { AUTHORIZE_ANSWERED = 1 };

/* AUTHORIZE_ANSWERED with *ret_answer and no slot; or 0, and the callback will run; or a negative errno. */
int authorize_scopes(struct peer *peer, const struct authorize_question *question,
                     authorize_callback callback, void *userdata, struct authorize_answer *ret_answer,
                     struct authorize_wait **ret) _must_check_;
void authorize_wait_drop(struct authorize_wait *wait);
DEFINE_CLEANUP(struct authorize_wait, authorize_wait_drop);

/* A single action that is no scope (login, accounts.manage, device.use, ...), asked of polkit each time. The
 * question's scopes may be empty. */
int authorize_action(struct peer *peer, const char *action, const struct authorize_question *question,
                     bool may_prompt, polkit_callback callback, void *userdata,
                     struct polkit_check **ret) _must_check_;

/* The same, with the sentence that a person is shown; NULL for the action's own. */
int authorize_action_with(struct peer *peer, const char *action, const struct authorize_question *question,
                          const char *message, bool may_prompt, polkit_callback callback, void *userdata,
                          struct polkit_check **ret) _must_check_;

/* One scope of the question, on its own action, of whoever can authenticate: for one that challenges although
 * the verdict is to allow it. */
int authorize_scope_by_person(struct peer *peer, const struct authorize_question *question, int scope,
                              polkit_callback callback, void *userdata,
                              struct polkit_check **ret) _must_check_;

/* What polkit said of an action, `what` in words ("log in"): true for a yes; else the call is answered. */
bool authorize_answer_action(struct call *call, const struct polkit_answer *answer, const char *action,
                             const char *what);
/* Answers the call whose question could not be asked. */
void authorize_fail(struct call *call, int error);

/* The peer is going: all waits have been dropped. */
void authorize_forget_peer(struct peer *peer);
