/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/renewal.h"

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/limits.h"
#include "broker/notify.h"
#include "broker/schedule.h"
#include "broker/timer.h"
#include "broker/token.h"
#include "broker/trail.h"
#include "util/clock.h"
#include "util/log.h"

#include <sodium.h>
#include <string.h>

struct renewal_wait {
    struct list node; /* in renewal->waits */
    renewal_callback callback;
    void *userdata;
};

void renewal_init(struct renewal *r)
{
    memset(r, 0, sizeof(*r));
    list_init(&r->waits);
}

void renewal_wait_drop(struct renewal_wait *wait)
{
    if (!wait)
        return;
    list_remove(&wait->node);
    free(wait);
}

static void answer_waits(struct grant *grant, enum renewal_result result)
{
    struct renewal *r = &grant->renewal;
    struct broker *broker = grant->broker;
    struct list waits;
    list_init(&waits);
    list_move_all(&r->waits, &waits);
    /* From here on the grant may be gone: a callback can do anything. */
    while (!list_is_empty(&waits)) {
        struct renewal_wait *wait = LIST_ENTRY(waits.next, struct renewal_wait, node);
        renewal_callback callback = wait->callback;
        void *userdata = wait->userdata;
        renewal_wait_drop(wait);
        callback(result, userdata);
    }
    broker_work_ended(broker);
}

void renewal_deinit(struct grant *grant)
{
    struct renewal *r = &grant->renewal;
    store_op_drop(r->op);
    lwa_request_drop(r->request);
    timer_drop(r->timer);
    lwa_tokens_clear(&r->tokens);
    answer_waits(grant, RENEWAL_DEAD);
    renewal_init(r);
}

static void end_slots(struct renewal *r)
{
    timer_drop(r->timer);
    r->timer = NULL;
    lwa_tokens_clear(&r->tokens);
}

bool renewal_is_foreign(const struct grant *grant)
{
    const struct config *c = grant->broker->config;
    return strcmp(grant->client_id, c->client_id) != 0 || strcmp(grant->endpoint, c->token_endpoint) != 0;
}

/* --- the record -------------------------------------------------------------------------------------- */

static struct audit_record *new_record(struct grant *grant, enum audit_event event, const char *detail)
{
    const struct trail_facts facts = {
        .account = grant->account ? grant->account->id : grant->target,
        .owner = &grant->owner,
        .carried = &grant->carries,
        .detail = detail,
        .grant = grant->row,
    };
    return trail_new(grant->broker, event, &facts);
}

/* --- the end of a refresh ---------------------------------------------------------------------------- */

static int start_refresh(struct grant *grant, enum store_token_which which);
static void store_tokens(struct grant *grant);

/* The provider's answer is here, and the store could not take it yet. */
static bool has_unstored(const struct renewal *r)
{
    return r->state == RENEWAL_WAITING && r->tokens.access;
}

static void on_due(void *userdata)
{
    struct grant *grant = userdata;
    struct renewal *r = &grant->renewal;
    r->timer = NULL;
    if (has_unstored(r)) {
        store_tokens(grant);
        return;
    }
    if (r->state == RENEWAL_RUNNING || grant->is_dead || !r->is_wanted || renewal_is_foreign(grant) ||
        grant->broker->is_stopping)
        return;
    if (start_refresh(grant, STORE_TOKEN_CURRENT) < 0)
        log_warning("grant %lld: a renewal could not be begun", (long long)grant->row);
}

static void set_timer(struct grant *grant, uint64_t at_usec)
{
    struct renewal *r = &grant->renewal;
    uint64_t now = boottime_usec();
    timer_drop(r->timer);
    r->timer = NULL;
    if (timer_start(grant->broker->loop, at_usec > now ? at_usec - now : 0, on_due, grant, &r->timer) < 0)
        log_warning("grant %lld: no memory for a timer; it is renewed when it is next asked for",
                    (long long)grant->row);
}

static uint64_t margin_usec(const struct grant *grant)
{
    const struct config *c = grant->broker->config;
    return schedule_margin_usec(grant->lifetime_usec, c->refresh_margin_sec * USEC_PER_SEC,
                                c->min_valid_sec * USEC_PER_SEC);
}

static void succeed(struct grant *grant)
{
    struct renewal *r = &grant->renewal;
    uint32_t lifetime = r->tokens.expires_in_sec;
    struct token *token;
    int e =
        token_new(grant, r->tokens.access, r->sent_usec, lifetime, grant->carries, grant->may_carry, &token);
    end_slots(r);
    if (e < 0) {
        log_error("grant %lld: the new token could not be kept: %s", (long long)grant->row, strerror(-e));
        r->state = RENEWAL_IDLE;
        r->error = LWA_E_TRANSIENT;
        answer_waits(grant, RENEWAL_UNAVAILABLE);
        return;
    }
    r->state = RENEWAL_FRESH;
    r->error = LWA_OK;
    r->failed_as = RENEWAL_OK;
    r->failures = 0;
    r->next_try_usec = 0;
    r->refreshes++;
    grant->broker->n_refreshes++;
    grant->lifetime_usec = lifetime * USEC_PER_SEC;
    grant->is_intent_open = false;
    r->is_wanted = grant->account && !list_is_empty(&r->waits); /* a proof is nobody's token */
    /* Up to a tenth later, so that the tokens of a device that logged in at once do not expire at once for
     * ever. */
    uint64_t margin = margin_usec(grant);
    set_timer(grant, token->expires_usec - margin + schedule_share_usec(margin / 10, randombytes_random()));
    log_debug("grant %lld: renewed for %u s", (long long)grant->row, lifetime);
    answer_waits(grant, RENEWAL_OK);
}

/* It cannot be tried again with what the store has: without the row, or without memory. */
static void lose_tokens(struct grant *grant, const char *why)
{
    struct renewal *r = &grant->renewal;
    end_slots(r);
    r->state = RENEWAL_WAITING;
    r->error = LWA_E_AMBIGUOUS;
    r->failed_as = RENEWAL_STORE;
    r->failures++;
    r->next_try_usec = boottime_usec() + schedule_delay_usec(SCHEDULE_AMBIGUOUS, 0, -1, randombytes_random());
    grant->is_intent_open = true;
    log_error("grant %lld: the renewed login is lost: %s", (long long)grant->row, why);
    set_timer(grant, r->next_try_usec);
    answer_waits(grant, RENEWAL_STORE);
}

/* Not durable: the access token is not used (I4). But a provider that rotates may have ended the refresh
 * token that is stored, so the new one is kept in memory, and storing it is tried until there is room. */
static void keep_unstored(struct grant *grant, struct store_reply *reply)
{
    struct renewal *r = &grant->renewal;
    bool is_new = r->failed_as != RENEWAL_STORE || r->error != LWA_OK;
    r->tokens.refresh = TAKE_PTR(reply->token);
    r->state = RENEWAL_WAITING;
    r->error = LWA_OK;
    r->failed_as = RENEWAL_STORE;
    r->next_try_usec = boottime_usec() + schedule_delay_usec(SCHEDULE_STORE, 0, -1, randombytes_random());
    grant->is_intent_open = true;
    if (is_new)
        log_error("grant %lld: the renewed login cannot be stored yet: %s", (long long)grant->row,
                  strerror(-reply->r));
    set_timer(grant, r->next_try_usec);
    answer_waits(grant, RENEWAL_STORE);
}

static void on_finished(struct store_reply *reply, void *userdata)
{
    struct grant *grant = userdata;
    struct renewal *r = &grant->renewal;
    r->op = NULL;
    if (reply->r < 0) {
        keep_unstored(grant, reply);
        return;
    }
    if (reply->r > 0) {
        lose_tokens(grant, "it was removed meanwhile");
        return;
    }
    grant->has_previous = reply->generation != grant->generation && !r->uses_previous;
    grant->generation = reply->generation;
    succeed(grant);
}

/* Stores the tokens that came: the refresh token, if it was rotated, leaves the renewal for the store. */
static void store_tokens(struct grant *grant)
{
    struct renewal *r = &grant->renewal;
    timer_drop(r->timer);
    r->timer = NULL;
    r->state = RENEWAL_RUNNING;
    enum store_token_which which = r->uses_previous ? STORE_TOKEN_PREVIOUS : STORE_TOKEN_CURRENT;
    if (store_refresh_finish(grant->broker->store, grant->row, grant->generation, which,
                             TAKE_PTR(r->tokens.refresh), new_record(grant, AUDIT_TOKEN_REFRESHED, ""),
                             on_finished, grant, &r->op) < 0)
        lose_tokens(grant, strerror(ENOMEM));
}

static void fail_store(struct grant *grant, int error)
{
    struct renewal *r = &grant->renewal;
    end_slots(r);
    r->state = RENEWAL_WAITING;
    r->error = LWA_E_TRANSIENT;
    r->failed_as = RENEWAL_STORE;
    r->next_try_usec =
        boottime_usec() + schedule_delay_usec(SCHEDULE_STORE, r->failures++, -1, randombytes_random());
    log_error("grant %lld: no renewal, the store cannot write: %s", (long long)grant->row,
              error < 0 ? strerror(-error) : "the login is not there");
    set_timer(grant, r->next_try_usec);
    answer_waits(grant, RENEWAL_STORE);
}

/* --- failures ---------------------------------------------------------------------------------------- */

static enum renewal_result result_of(enum lwa_outcome outcome)
{
    switch (outcome) {
    case LWA_E_INVALID_GRANT:
        return RENEWAL_DEAD;
    case LWA_E_CLIENT:
    case LWA_E_CLIENT_TYPE:
    case LWA_E_SCOPE:
    case LWA_E_REQUEST:
    case LWA_E_INVALID_TOKEN:
    case LWA_E_DENIED:
    case LWA_E_EXPIRED:
        return RENEWAL_MISCONFIGURED;
    default:
        return RENEWAL_UNAVAILABLE;
    }
}

static enum schedule_kind schedule_of(const struct lwa_answer *answer)
{
    if (result_of(answer->outcome) == RENEWAL_MISCONFIGURED)
        return SCHEDULE_MISCONFIGURED;
    if (answer->outcome == LWA_E_AMBIGUOUS)
        return SCHEDULE_AMBIGUOUS;
    if (answer->outcome == LWA_E_CLOCK)
        return SCHEDULE_CLOCK;
    return answer->failure == HTTP_OK ? SCHEDULE_PROVIDER : SCHEDULE_OFFLINE;
}

static void die(struct grant *grant)
{
    struct renewal *r = &grant->renewal;
    end_slots(r);
    r->state = RENEWAL_IDLE;
    r->error = LWA_E_INVALID_GRANT;
    grant->is_dead = true;
    (void)snprintf(grant->dead_reason, sizeof(grant->dead_reason), "%s", "invalid-grant");
    log_warning("grant %lld: the provider says the login is over (invalid_grant)", (long long)grant->row);

    struct token *t, *after;
    LIST_FOREACH_SAFE (t, after, &grant->broker->tokens, node)
        if (t->grant == grant)
            token_revoke(t, "grant-dead");
    if (grant->token)
        token_retire(grant->token);
    if (grant->account) {
        notify_attention(grant->broker, &grant->owner, grant->account->id, "dead");
        notify_accounts_changed(grant->broker, &grant->owner);
    }
    answer_waits(grant, RENEWAL_DEAD);
}

static void on_death_stored(struct store_reply *reply, void *userdata)
{
    struct grant *grant = userdata;
    grant->renewal.op = NULL;
    if (reply->r != 0)
        log_error("grant %lld: that it is dead could not be stored", (long long)grant->row);
    die(grant);
}

static void kill_grant(struct grant *grant)
{
    struct renewal *r = &grant->renewal;
    const char *detail =
        grant->is_intent_open ? "invalid-grant; an earlier refresh was interrupted" : "invalid-grant";
    if (store_refresh_fail(grant->broker->store, grant->row, grant->generation, STORE_REFRESH_DEAD,
                           "invalid-grant", new_record(grant, AUDIT_GRANT_DIED, detail), on_death_stored,
                           grant, &r->op) < 0)
        die(grant);
}

static void fail(struct grant *grant, const struct lwa_answer *answer)
{
    struct renewal *r = &grant->renewal;
    bool is_new = r->error != answer->outcome;
    end_slots(r);
    r->next_try_usec = boottime_usec() + schedule_delay_usec(schedule_of(answer), r->failures++,
                                                             answer->retry_after_sec, randombytes_random());
    r->state = RENEWAL_WAITING;
    r->error = answer->outcome;
    r->failed_as = result_of(answer->outcome);
    if (answer->outcome == LWA_E_AMBIGUOUS)
        grant->is_intent_open = true;

    /* A streak of the same failure is one record, so that an outage of a week does not fill the trail. */
    struct audit_record *record =
        is_new ? new_record(grant, AUDIT_TOKEN_REFRESH_FAILED, lwa_outcome_name(answer->outcome)) : NULL;
    enum store_refresh_end end =
        answer->outcome == LWA_E_AMBIGUOUS ? STORE_REFRESH_AMBIGUOUS : STORE_REFRESH_RETRY;
    if (store_refresh_fail(grant->broker->store, grant->row, grant->generation, end,
                           lwa_outcome_name(answer->outcome), record, NULL, NULL, NULL) < 0 ||
        is_new)
        log_warning("grant %lld: renewal failed: %s (%s, HTTP %ld, request %s)", (long long)grant->row,
                    lwa_outcome_name(answer->outcome), http_failure_name(answer->failure), answer->status,
                    answer->request_id[0] ? answer->request_id : "-");
    set_timer(grant, r->next_try_usec);
    answer_waits(grant, r->failed_as);
}

/* --- the refresh ------------------------------------------------------------------------------------- */

static void on_tokens(const struct lwa_answer *answer, struct lwa_tokens *tokens, void *userdata)
{
    struct grant *grant = userdata;
    struct renewal *r = &grant->renewal;
    r->request = NULL;
    r->sent_usec = answer->sent_usec;
    if (answer->outcome == LWA_E_INVALID_GRANT) {
        if (r->uses_previous || !grant->has_previous || start_refresh(grant, STORE_TOKEN_PREVIOUS) < 0)
            kill_grant(grant);
        return;
    }
    if (answer->outcome != LWA_OK) {
        fail(grant, answer);
        return;
    }
    r->tokens = *tokens;
    *tokens = (struct lwa_tokens){.access = NULL};
    store_tokens(grant);
}

static void on_begun(struct store_reply *reply, void *userdata)
{
    struct grant *grant = userdata;
    struct renewal *r = &grant->renewal;
    struct broker *broker = grant->broker;
    r->op = NULL;
    if (reply->r != 0) {
        if (r->uses_previous && reply->r == -ENOENT)
            kill_grant(grant);
        else
            fail_store(grant, reply->r);
        return;
    }
    int e =
        lwa_request_refresh(broker->http, grant->endpoint, grant->client_id, broker->config->client_secret,
                            reply->token, NULL, on_tokens, grant, &r->request);
    if (e < 0)
        fail(grant, &(struct lwa_answer){
                        .outcome = LWA_E_TRANSIENT, .retry_after_sec = -1, .failure = HTTP_E_INTERNAL});
}

static int start_refresh(struct grant *grant, enum store_token_which which)
{
    struct renewal *r = &grant->renewal;
    int e = store_refresh_begin(grant->broker->store, grant->row, grant->generation, which, on_begun, grant,
                                &r->op);
    if (e < 0)
        return e;
    timer_drop(r->timer);
    r->timer = NULL;
    r->uses_previous = which == STORE_TOKEN_PREVIOUS;
    r->state = RENEWAL_RUNNING;
    return 0;
}

/* --- asking for a token ------------------------------------------------------------------------------ */

static int join(struct grant *grant, renewal_callback callback, void *userdata, struct renewal_wait **ret)
{
    struct renewal *r = &grant->renewal;
    _cleanup_free_ struct renewal_wait *wait = calloc(1, sizeof(*wait));
    if (!wait)
        return -ENOMEM;
    if (has_unstored(r)) {
        store_tokens(grant);
        if (r->state != RENEWAL_RUNNING)
            return -ENOMEM;
    } else if (r->state != RENEWAL_RUNNING) {
        int e = start_refresh(grant, STORE_TOKEN_CURRENT);
        if (e < 0)
            return e;
    }
    wait->callback = callback;
    wait->userdata = userdata;
    list_append(&r->waits, &wait->node);
    *ret = TAKE_PTR(wait);
    return 0;
}

/* What can be said without a refresh, if anything. */
static bool is_decided(const struct grant *grant, uint64_t now, enum renewal_result *ret)
{
    const struct renewal *r = &grant->renewal;
    if (grant->is_dead)
        *ret = RENEWAL_DEAD;
    else if (renewal_is_foreign(grant))
        *ret = RENEWAL_MISCONFIGURED;
    else if (r->state == RENEWAL_WAITING && now < r->next_try_usec)
        *ret = r->failed_as;
    else
        return false;
    return true;
}

int renewal_ensure(struct grant *grant, uint64_t min_valid_usec, renewal_callback callback, void *userdata,
                   enum renewal_result *ret_result, struct renewal_wait **ret)
{
    struct renewal *r = &grant->renewal;
    uint64_t now = boottime_usec();
    struct token *token = grant->token;
    r->is_wanted = true;

    bool is_decided_now = is_decided(grant, now, ret_result);
    if (token && token->expires_usec >= now + min_valid_usec && token->expires_usec > now &&
        !grant->is_dead) {
        /* Inside the margin: serve it, and renew behind it. */
        if (!is_decided_now && r->state != RENEWAL_RUNNING && !has_unstored(r) &&
            token->expires_usec - now < margin_usec(grant) && !r->timer)
            (void)start_refresh(grant, STORE_TOKEN_CURRENT);
        *ret_result = RENEWAL_OK;
        return RENEWAL_ANSWERED;
    }
    if (is_decided_now)
        return RENEWAL_ANSWERED;
    int e = join(grant, callback, userdata, ret);
    if (e == 0 && grant->account)
        grant->broker->n_waits++;
    return e;
}

int renewal_force(struct grant *grant, renewal_callback callback, void *userdata,
                  enum renewal_result *ret_result, struct renewal_wait **ret)
{
    struct renewal *r = &grant->renewal;
    uint64_t now = boottime_usec();
    if (is_decided(grant, now, ret_result))
        return RENEWAL_ANSWERED;
    r->is_wanted = true;
    return join(grant, callback, userdata, ret);
}

bool renewal_would_refresh(const struct grant *grant)
{
    enum renewal_result unused;
    return grant->renewal.state != RENEWAL_RUNNING && !is_decided(grant, boottime_usec(), &unused);
}

bool renewal_is_under_way(const struct grant *grant)
{
    const struct renewal *r = &grant->renewal;
    return r->state == RENEWAL_RUNNING || has_unstored(r);
}

unsigned renewal_next_try_sec(const struct grant *grant)
{
    uint64_t next = grant->renewal.next_try_usec, now = boottime_usec();
    return next > now ? (unsigned)((next - now + USEC_PER_SEC - 1) / USEC_PER_SEC) : 0;
}

const char *renewal_state_name(const struct grant *grant)
{
    if (grant->is_dead)
        return "dead";
    if (!grant->account)
        return "unproven";
    if (renewal_is_foreign(grant))
        return "foreign";
    switch (grant->renewal.state) {
    case RENEWAL_RUNNING:
        return "renewing";
    case RENEWAL_WAITING:
        return "waiting";
    case RENEWAL_FRESH:
        return grant->token && grant->token->expires_usec > boottime_usec() ? "fresh" : "idle";
    case RENEWAL_IDLE:
        break;
    }
    return "idle";
}
