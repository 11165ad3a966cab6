/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/authorize.h"

#include "broker/broker.h"
#include "broker/call.h"
#include "broker/limits.h"
#include "broker/peer.h"
#include "broker/polkit-facts.h"
#include "util/clock.h"

#include <string.h>

#define ACTION_DEVICE_USE "org.lwabroker.device.use"

struct decision {
    struct list node; /* in peer->decisions */
    struct peer *peer;
    struct authorize_question question;
    uint64_t epoch;
    uint64_t expires_usec;
    bool is_pending;
    struct list waits; /* while pending */
    struct scope_check *checks;
    size_t n_checks;
    size_t n_open;
    struct scope_set refused;
    struct scope_set challenged;
    bool is_device_refused;
    bool is_unavailable;
    bool is_temporary;
};

#define SCOPE_NONE (-1) /* the check of device.use */

struct scope_check {
    struct decision *decision;
    int scope; /* or SCOPE_NONE */
    struct polkit_check *slot;
};

struct authorize_wait {
    struct list node; /* in decision->waits */
    authorize_callback callback;
    void *userdata;
};

void authorize_question_init(struct authorize_question *q)
{
    memset(q, 0, sizeof(*q));
    q->owner.uid = (uid_t)-1;
}

static bool verdicts_equal(const struct verdicts *a, const struct verdicts *b)
{
    return scope_set_equal(a->allow, b->allow) && scope_set_equal(a->ask, b->ask) &&
           scope_set_equal(a->mentioned, b->mentioned) && scope_set_equal(a->consented, b->consented);
}

bool authorize_question_equal(const struct authorize_question *a, const struct authorize_question *b)
{
    return strcmp(a->account, b->account) == 0 && a->owner.device == b->owner.device &&
           a->owner.uid == b->owner.uid && strcmp(a->owner.name, b->owner.name) == 0 &&
           scope_set_equal(a->asked, b->asked) && scope_set_equal(a->scopes, b->scopes) &&
           verdicts_equal(&a->verdicts, &b->verdicts) && a->flow == b->flow;
}

/* --- deciding ---------------------------------------------------------------------------------------- */

static void decision_free(struct decision *d)
{
    /* Last first: dropping one that is under way lets a queued one go out, which must not be one of ours. */
    for (size_t i = d->n_checks; i > 0; i--)
        polkit_check_drop(d->checks[i - 1].slot);
    list_remove(&d->node);
    free(d->checks);
    free(d);
}

/* Whose word the broker's own verdict is. */
static const char *verdict_by(const struct authorize_question *q, struct scope_set scopes)
{
    if (!scope_set_is_empty(scope_set_intersection(scopes, q->verdicts.consented)))
        return "consent";
    return scope_set_is_subset(scopes, q->verdicts.mentioned) ? "table" : "default";
}

const char *authorize_agreed_by(const struct authorize_question *q)
{
    const char *by = verdict_by(q, q->scopes);
    if (strcmp(by, "consent") == 0)
        return "consent+polkit";
    return strcmp(by, "table") == 0 ? "table+polkit" : "polkit";
}

struct scope_set authorize_not_denied(const struct peer *peer, const struct verdicts *verdicts)
{
    return peer->identity.uid == 0 ? verdicts->allow : scope_set_union(verdicts->allow, verdicts->ask);
}

/* The broker's own verdict, where it is final. */
static bool decide_alone(const struct peer *peer, const struct authorize_question *q,
                         struct authorize_answer *ret)
{
    struct scope_set refused = scope_set_minus(q->scopes, authorize_not_denied(peer, &q->verdicts));
    if (scope_set_is_empty(refused) && peer->identity.uid != 0)
        return false;
    *ret = (struct authorize_answer){
        .result = scope_set_is_empty(refused) ? AUTHORIZE_YES : AUTHORIZE_NO,
        .refused = refused,
        .is_alone = true,
        .decided_by = verdict_by(q, scope_set_is_empty(refused) ? q->scopes : refused),
    };
    return true;
}

static struct authorize_answer answer_of(const struct decision *d)
{
    struct authorize_answer answer = {
        .result = AUTHORIZE_YES,
        .refused = d->refused,
        .challenged = d->challenged,
        .unconsented = scope_set_intersection(d->challenged, d->question.verdicts.ask),
        .is_device_refused = d->is_device_refused,
        .decided_by = authorize_agreed_by(&d->question),
    };
    if (!scope_set_is_empty(d->refused))
        answer.result = AUTHORIZE_NO;
    else if (d->is_unavailable)
        answer.result = AUTHORIZE_UNAVAILABLE;
    else if (!scope_set_is_empty(d->challenged))
        answer.result = AUTHORIZE_CHALLENGE;
    else if (d->is_device_refused)
        answer.result = AUTHORIZE_NO_DEVICE;
    if (answer.result != AUTHORIZE_YES)
        answer.decided_by = "polkit";
    return answer;
}

static void drop_oldest(struct peer *peer)
{
    unsigned n = 0;
    struct decision *d, *oldest = NULL;
    LIST_FOREACH (d, &peer->decisions, node) {
        if (d->is_pending)
            continue;
        oldest = oldest ? oldest : d;
        n++;
    }
    if (n > LIMIT_DECISIONS_PER_PEER)
        decision_free(oldest);
}

static void remember(struct decision *d)
{
    struct peer *peer = d->peer;
    d->expires_usec = boottime_usec() + peer->broker->config->decision_cache_sec * USEC_PER_SEC;
    list_remove(&d->node);
    list_append(&peer->decisions, &d->node);
    drop_oldest(peer);
}

static void conclude(struct decision *d)
{
    struct authorize_answer answer = answer_of(d);
    d->is_pending = false;

    /* The waits are taken off first: a callback may drop the others, or ask the next question. */
    struct list waits;
    list_init(&waits);
    list_move_all(&d->waits, &waits);
    if (answer.result != AUTHORIZE_YES || d->is_temporary || d->epoch != d->peer->broker->policy_epoch)
        decision_free(d);
    else
        remember(d);

    while (!list_is_empty(&waits)) {
        struct authorize_wait *wait = LIST_ENTRY(waits.next, struct authorize_wait, node);
        authorize_callback callback = wait->callback;
        void *userdata = wait->userdata;
        authorize_wait_drop(wait);
        callback(&answer, userdata);
    }
}

static void note_refusal(struct decision *d, int scope, enum polkit_result result)
{
    if (result == POLKIT_UNAVAILABLE)
        d->is_unavailable = true;
    else if (scope == SCOPE_NONE)
        d->is_device_refused = true;
    else if (result == POLKIT_NO)
        scope_set_add(&d->refused, scope);
    else
        scope_set_add(&d->challenged, scope);
}

static void on_checked(const struct polkit_answer *answer, void *userdata)
{
    struct scope_check *check = userdata;
    struct decision *d = check->decision;
    check->slot = NULL;
    d->n_open--;
    if (answer->result == POLKIT_YES)
        d->is_temporary = d->is_temporary || answer->is_temporary;
    else
        note_refusal(d, check->scope, answer->result);
    if (d->n_open == 0)
        conclude(d);
}

static int start_check(struct decision *d, const struct polkit_facts *facts, int scope, const char *action)
{
    quota_force(&d->peer->quota, COST_POLKIT_CHECK, boottime_usec());
    struct scope_check *check = &d->checks[d->n_checks];
    *check = (struct scope_check){d, scope, NULL};
    int r = polkit_check(d->peer->broker->polkit, d->peer->name, d->peer->identity.uid, action,
                         facts->details, facts->n, 0, on_checked, check, &check->slot);
    if (r < 0)
        return r;
    d->n_checks++;
    d->n_open++;
    return 0;
}

static int start_scope_check(struct decision *d, const struct polkit_facts *facts, int scope)
{
    struct polkit_facts own = *facts;
    polkit_facts_add_scope(&own, d->peer, &d->question, scope);
    return start_check(d, &own, scope, catalogue_get(d->peer->broker->catalogue, scope)->action_id);
}

static int start_device_check(struct decision *d, const struct polkit_facts *facts)
{
    struct polkit_facts own = *facts;
    polkit_facts_add_verdict(&own, &d->question, d->question.scopes);
    polkit_facts_add(&own, "table", "none");
    return start_check(d, &own, SCOPE_NONE, ACTION_DEVICE_USE);
}

static int ask_polkit(struct decision *d)
{
    const struct authorize_question *q = &d->question;
    _cleanup_(polkit_facts_clear) struct polkit_facts facts = {.scopes = NULL};
    int r = polkit_facts_collect(d->peer, q, &facts);
    if (r < 0)
        return r;
    d->checks = calloc(scope_set_count(&q->scopes) + 1, sizeof(*d->checks));
    if (!d->checks)
        return -ENOMEM;
    for (int i = scope_set_next(&q->scopes, 0); i >= 0 && r == 0; i = scope_set_next(&q->scopes, i + 1))
        r = start_scope_check(d, &facts, i);
    if (r == 0 && q->owner.device)
        r = start_device_check(d, &facts);
    return r;
}

/* --- memory of answers ------------------------------------------------------------------------------- */

/* The remembered or pending decision for this very question; those that have run out are dropped on the way.
 */
static struct decision *find_decision(struct peer *peer, const struct authorize_question *q)
{
    uint64_t now = boottime_usec(), epoch = peer->broker->policy_epoch;
    struct decision *d, *after, *found = NULL;
    LIST_FOREACH_SAFE (d, after, &peer->decisions, node) {
        if (!d->is_pending && (d->epoch != epoch || d->expires_usec <= now))
            decision_free(d);
        else if (d->epoch == epoch && authorize_question_equal(&d->question, q))
            found = d;
    }
    return found;
}

static int new_decision(struct peer *peer, const struct authorize_question *q, struct decision **ret)
{
    struct decision *d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    d->peer = peer;
    d->question = *q;
    d->epoch = peer->broker->policy_epoch;
    d->is_pending = true;
    list_init(&d->waits);
    list_append(&peer->decisions, &d->node);
    int r = ask_polkit(d);
    if (r < 0) {
        decision_free(d);
        return r;
    }
    *ret = d;
    return 0;
}

/* Nothing of the question is denied. */
static struct authorize_answer decide_unasked(const struct authorize_question *q)
{
    struct scope_set asks = scope_set_intersection(q->scopes, q->verdicts.ask);
    return (struct authorize_answer){
        .result = scope_set_is_empty(asks) ? AUTHORIZE_YES : AUTHORIZE_CHALLENGE,
        .challenged = asks,
        .unconsented = asks,
        .decided_by = authorize_agreed_by(q),
    };
}

int authorize_scopes(struct peer *peer, const struct authorize_question *question,
                     authorize_callback callback, void *userdata, struct authorize_answer *ret_answer,
                     struct authorize_wait **ret)
{
    if (decide_alone(peer, question, ret_answer))
        return AUTHORIZE_ANSWERED;

    if (!peer->name[0]) {
        *ret_answer = decide_unasked(question);
        return AUTHORIZE_ANSWERED;
    }
    struct decision *d = find_decision(peer, question);
    if (d && !d->is_pending) {
        *ret_answer = answer_of(d);
        return AUTHORIZE_ANSWERED;
    }
    _cleanup_free_ struct authorize_wait *wait = calloc(1, sizeof(*wait));
    if (!wait)
        return -ENOMEM;
    if (!d) {
        int r = new_decision(peer, question, &d);
        if (r < 0)
            return r;
    }
    wait->callback = callback;
    wait->userdata = userdata;
    list_append(&d->waits, &wait->node);
    *ret = TAKE_PTR(wait);
    return 0;
}

void authorize_wait_drop(struct authorize_wait *wait)
{
    if (!wait)
        return;
    list_remove(&wait->node);
    free(wait);
}

bool authorize_answer_action(struct call *call, const struct polkit_answer *answer, const char *action,
                             const char *what)
{
    switch (answer->result) {
    case POLKIT_YES:
        return true;
    case POLKIT_DISMISSED:
        call_fail(call, BUS_E_CANCELLED,
                  "The question whether to %s was dismissed; call again to be asked again.", what);
        break;
    case POLKIT_CHALLENGE:
    case POLKIT_TIMED_OUT:
        call_fail(call, BUS_E_CONSENT_REQUIRED,
                  "Authentication is needed to %s; call from a session with a polkit agent, or as an "
                  "administrator.",
                  what);
        break;
    case POLKIT_CROWDED:
        call_fail(call, BUS_E_CONSENT_REQUIRED,
                  "Authentication is needed to %s, and too many questions wait for a person already; answer "
                  "those, then call again.",
                  what);
        break;
    case POLKIT_UNAVAILABLE:
        call_fail(call, BUS_E_ACCESS_DENIED,
                  "polkit cannot be asked, and without it nothing is allowed; see `lwactl status`.");
        break;
    case POLKIT_NO:
        call_fail(call, BUS_E_ACCESS_DENIED, "This user may not %s; a polkit rule for %s decides.", what,
                  action);
        break;
    }
    return false;
}

void authorize_fail(struct call *call, int error)
{
    const struct refusal refusal = {
        .what = "Too many questions wait for polkit",
        .wait_usec = polkit_wait_usec(call->broker->polkit),
    };
    call_fail_errno(call, error, &refusal);
}

void authorize_forget_peer(struct peer *peer)
{
    while (!list_is_empty(&peer->decisions))
        decision_free(LIST_ENTRY(peer->decisions.next, struct decision, node));
}

/* --- single actions ---------------------------------------------------------------------------------- */

static int check_action(struct peer *peer, const char *action, const struct polkit_facts *facts,
                        bool may_prompt, polkit_callback callback, void *userdata, struct polkit_check **ret)
{
    quota_force(&peer->quota, COST_POLKIT_CHECK, boottime_usec());
    unsigned prompt = may_prompt ? peer->broker->config->prompt_timeout_sec : 0;
    return polkit_check(peer->broker->polkit, peer->name, peer->identity.uid, action, facts->details,
                        facts->n, prompt, callback, userdata, ret);
}

int authorize_action(struct peer *peer, const char *action, const struct authorize_question *question,
                     bool may_prompt, polkit_callback callback, void *userdata, struct polkit_check **ret)
{
    return authorize_action_with(peer, action, question, NULL, may_prompt, callback, userdata, ret);
}

int authorize_action_with(struct peer *peer, const char *action, const struct authorize_question *question,
                          const char *message, bool may_prompt, polkit_callback callback, void *userdata,
                          struct polkit_check **ret)
{
    _cleanup_(polkit_facts_clear) struct polkit_facts facts = {.scopes = NULL};
    int r = polkit_facts_collect(peer, question, &facts);
    if (r < 0)
        return r;
    if (scope_set_is_empty(question->scopes))
        polkit_facts_add(&facts, "consent", "none");
    else
        polkit_facts_add_verdict(&facts, question, question->scopes);
    if (message)
        polkit_facts_add(&facts, "polkit.message", message);
    return check_action(peer, action, &facts, may_prompt, callback, userdata, ret);
}

int authorize_scope_by_person(struct peer *peer, const struct authorize_question *question, int scope,
                              polkit_callback callback, void *userdata, struct polkit_check **ret)
{
    _cleanup_(polkit_facts_clear) struct polkit_facts facts = {.scopes = NULL};
    int r = polkit_facts_collect(peer, question, &facts);
    if (r < 0)
        return r;
    polkit_facts_add_scope(&facts, peer, question, scope);
    const char *action = catalogue_get(peer->broker->catalogue, scope)->action_id;
    return check_action(peer, action, &facts, true, callback, userdata, ret);
}
