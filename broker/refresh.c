/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/refresh.h"

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/notify.h"
#include "broker/schedule.h"
#include "broker/timer.h"
#include "broker/token.h"
#include "broker/trail.h"
#include "util/clock.h"
#include "util/log.h"

#include <sodium.h>
#include <string.h>

#define PROBE_DETAIL "narrowing probe; its token was given to nobody"

static struct audit_record *new_record(struct grant *grant, enum audit_event event, const char *detail)
{
    const struct trail_facts facts = {
        .account = grant->account ? grant->account->id : grant->target,
        .owner = &grant->owner,
        .carried = &grant->carries,
        .detail = detail,
        .request = grant->renewal.for_request,
        .grant = grant->row,
    };
    return trail_new(grant->broker, event, &facts);
}

/* The new token, which nobody has yet. */
static struct audit_record *new_refreshed_record(struct grant *grant)
{
    const struct renewal *r = &grant->renewal;
    struct audit_record *record = new_record(grant, AUDIT_TOKEN_REFRESHED, r->is_probe ? PROBE_DETAIL : "");
    if (!record)
        return NULL;
    int64_t age = (int64_t)((boottime_usec() - r->sent_usec) / USEC_PER_SEC);
    record->expires_sec = wall_sec() - age + r->tokens.expires_in_sec;
    record->has_fingerprint = true;
    store_fingerprint(grant->broker->store, secret_bytes(r->tokens.access), secret_size(r->tokens.access),
                      record->fingerprint);
    return record;
}

/* --- probes ------------------------------------------------------------------------------------------ */

static void answer_prober(struct grant *grant, enum lwa_outcome outcome, const struct secret *access)
{
    struct renewal *r = &grant->renewal;
    refresh_probe_callback callback = r->probe.callback;
    r->probe.callback = NULL;
    if (callback)
        callback(outcome, access, r->probe.userdata);
}

void refresh_forget_prober(struct grant *grant)
{
    grant->renewal.probe.callback = NULL;
}

void refresh_abandon_probe(struct grant *grant)
{
    grant->renewal.is_probe = false;
    answer_prober(grant, LWA_E_TRANSIENT, NULL);
}

/* What it was made for has its answer; what comes next is for another call, or for none. */
static void end_request(struct grant *grant, enum renewal_result result)
{
    grant->renewal.for_request[0] = '\0';
    if (grant->renewal.is_probe) {
        grant->renewal.is_probe = false;
        answer_prober(grant, grant->renewal.error, NULL);
    }
    renewal_answer_waits(grant, result);
}

static uint64_t in_a_while(enum schedule_kind kind, unsigned n)
{
    return boottime_usec() + schedule_delay_usec(kind, n, -1, randombytes_random());
}

static void end_slots(struct renewal *r)
{
    timer_drop(r->timer);
    r->timer = NULL;
    lwa_tokens_clear(&r->tokens);
}

bool refresh_is_unstored(const struct renewal *r)
{
    return r->state == RENEWAL_WAITING && r->tokens.access;
}

/* --- success ----------------------------------------------------------------------------------------- */

/* Once, where a row of failures ends. Apps whose calls failed learn that they may ask again. */
static void announce_recovery(struct grant *grant)
{
    const struct renewal *r = &grant->renewal;
    if (r->trouble == TROUBLE_NONE)
        return;
    log_info("grant %lld: renewed again, after %u failures in %llu s (%s)", (long long)grant->row,
             r->failures, (unsigned long long)((boottime_usec() - r->since_usec) / USEC_PER_SEC),
             trouble_name(r->trouble));
    if (grant->account)
        notify_accounts_changed(grant->broker, &grant->owner);
}

/* Ahead of the expiry; up to a tenth of the margin later, so that the tokens of a device that logged in at
 * once do not expire at once for ever. */
static uint64_t renew_at(const struct grant *grant, uint64_t expires_usec)
{
    uint64_t margin = renewal_margin_usec(grant);
    return expires_usec - margin + schedule_share_usec(margin / 10, randombytes_random());
}

/* The refresh was made, and what it brought finds no room here. Another one would meet the same: it waits, as
 * after any failure, so that no crowd of callers makes a crowd of refreshes. */
static void fail_token(struct grant *grant, int error)
{
    struct renewal *r = &grant->renewal;
    log_error("grant %lld: the new token could not be kept: %s", (long long)grant->row, strerror(-error));
    r->error = LWA_E_TRANSIENT;
    renewal_wait_until(grant, TROUBLE_RESOURCES, RENEWAL_UNAVAILABLE,
                       in_a_while(trouble_schedule(TROUBLE_RESOURCES), r->failures++));
    end_request(grant, RENEWAL_UNAVAILABLE);
}

/* As it was before the probe. Who came to wait meanwhile wanted a token: an ordinary refresh follows. */
static void resume_after_probe(struct grant *grant)
{
    struct renewal *r = &grant->renewal;
    const struct token *token = grant->token;
    r->is_probe = false;
    r->error = LWA_OK;
    r->for_request[0] = '\0';
    bool is_good = token && token->expires_usec > boottime_usec();
    renewal_set_state(grant, is_good ? RENEWAL_FRESH : RENEWAL_IDLE, TROUBLE_NONE);
    if (!list_is_empty(&r->waits) && refresh_start(grant, STORE_TOKEN_CURRENT) < 0)
        renewal_answer_waits(grant, RENEWAL_UNAVAILABLE);
    else if (is_good && r->state == RENEWAL_FRESH)
        renewal_set_timer(grant, renew_at(grant, token->expires_usec));
    broker_work_ended(grant->broker);
}

static void succeed_probe(struct grant *grant)
{
    struct renewal *r = &grant->renewal;
    _cleanup_(secret_freep) struct secret *access = TAKE_PTR(r->tokens.access);
    struct lwa_tokens *rest = &r->tokens;
    lwa_tokens_clear(rest);
    timer_drop(r->timer);
    r->timer = NULL;
    grant->is_intent_open = false;
    resume_after_probe(grant);
    answer_prober(grant, LWA_OK, access);
}

/* No is an answer, too. It says nothing of the login: only an ordinary refresh ends one (I6). */
static void refuse_probe(struct grant *grant, enum lwa_outcome outcome)
{
    struct audit_record *record = new_record(grant, AUDIT_TOKEN_REFRESH_FAILED, PROBE_DETAIL);
    end_slots(&grant->renewal);
    grant->is_intent_open = false;
    if (store_refresh_fail(grant->broker->store, grant->row, grant->generation, STORE_REFRESH_RETRY,
                           lwa_outcome_name(outcome), record, NULL, NULL, NULL) < 0)
        log_warning("grant %lld: the end of a probe could not be stored", (long long)grant->row);
    resume_after_probe(grant);
    answer_prober(grant, outcome, NULL);
}

static bool refuses_probe(enum lwa_outcome outcome)
{
    return outcome == LWA_E_SCOPE || outcome == LWA_E_REQUEST || outcome == LWA_E_INVALID_GRANT;
}

static void succeed(struct grant *grant)
{
    struct renewal *r = &grant->renewal;
    struct broker *broker = grant->broker;
    uint32_t lifetime = r->tokens.expires_in_sec;
    struct token *token;
    int e =
        token_new(grant, r->tokens.access, r->sent_usec, lifetime, grant->carries, grant->may_carry, &token);
    end_slots(r);
    grant->is_intent_open = false;
    if (e < 0) {
        fail_token(grant, e);
        return;
    }
    announce_recovery(grant);
    r->error = LWA_OK;
    r->failures = 0;
    r->next_try_usec = 0;
    r->floor_usec = 0;
    r->refreshes++;
    r->refreshed_usec = boottime_usec();
    renewal_set_state(grant, RENEWAL_FRESH, TROUBLE_NONE);
    broker->n_refreshes++;
    wallclock_note(broker->wallclock, wall_sec());
    grant->lifetime_usec = lifetime * USEC_PER_SEC;
    grant->refreshed_sec = wall_sec();
    if (!grant->account)
        r->asked_usec = 0; /* a proof is nobody's token */
    renewal_set_timer(grant, renew_at(grant, token->expires_usec));
    r->asked_valid_usec /= 2; /* who goes on asking for so much renews it */
    log_debug("grant %lld: renewed for %u s", (long long)grant->row, lifetime);
    end_request(grant, RENEWAL_OK);
}

/* --- the store's answer ------------------------------------------------------------------------------ */

/* It cannot be tried again: the row is gone. */
static void lose_tokens(struct grant *grant, const char *why)
{
    struct renewal *r = &grant->renewal;
    end_slots(r);
    r->error = LWA_E_AMBIGUOUS;
    r->failures++;
    r->floor_usec = in_a_while(SCHEDULE_AMBIGUOUS, 0);
    grant->is_intent_open = true;
    log_error("grant %lld: the renewed login is lost: %s", (long long)grant->row, why);
    renewal_wait_until(grant, TROUBLE_STORE, RENEWAL_STORE, r->floor_usec);
    end_request(grant, RENEWAL_STORE);
}

/* Not durable: the access token is not used (I4). But a provider that rotates may have ended the refresh
 * token that is stored, so the new one is kept in memory, and storing it is tried until there is room. */
static void keep_unstored(struct grant *grant, struct store_reply *reply)
{
    struct renewal *r = &grant->renewal;
    bool is_new = r->trouble != TROUBLE_STORE;
    r->tokens.refresh = TAKE_PTR(reply->token);
    r->error = LWA_OK;
    grant->is_intent_open = true;
    if (is_new)
        log_error("grant %lld: the renewed login cannot be stored yet: %s", (long long)grant->row,
                  strerror(-reply->r));
    renewal_wait_until(grant, TROUBLE_STORE, RENEWAL_STORE, in_a_while(SCHEDULE_STORE, 0));
    answer_prober(grant, LWA_E_AMBIGUOUS, NULL);
    renewal_answer_waits(grant, RENEWAL_STORE);
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
    if (r->is_probe)
        succeed_probe(grant);
    else
        succeed(grant);
}

/* The refresh token, if it was rotated, leaves the renewal for the store. */
void refresh_store(struct grant *grant)
{
    struct renewal *r = &grant->renewal;
    timer_drop(r->timer);
    r->timer = NULL;
    renewal_set_state(grant, RENEWAL_RUNNING, r->trouble);
    enum store_token_which which = r->uses_previous ? STORE_TOKEN_PREVIOUS : STORE_TOKEN_CURRENT;
    int e = store_refresh_finish(grant->broker->store, grant->row, grant->generation, which,
                                 r->tokens.refresh, new_refreshed_record(grant), on_finished, grant, &r->op);
    if (e < 0)
        keep_unstored(grant, &(struct store_reply){.r = e, .token = r->tokens.refresh});
    else
        r->tokens.refresh = NULL; /* the store's now */
}

static void fail_store(struct grant *grant, int error)
{
    struct renewal *r = &grant->renewal;
    bool is_new = r->trouble != TROUBLE_STORE;
    end_slots(r);
    r->error = LWA_E_TRANSIENT;
    if (is_new)
        log_error("grant %lld: no renewal, the store cannot write: %s", (long long)grant->row,
                  error < 0 ? strerror(-error) : "the login is not there");
    renewal_wait_until(grant, TROUBLE_STORE, RENEWAL_STORE, in_a_while(SCHEDULE_STORE, r->failures++));
    end_request(grant, RENEWAL_STORE);
}

/* --- the end of the login ---------------------------------------------------------------------------- */

static void die(struct grant *grant)
{
    struct renewal *r = &grant->renewal;
    end_slots(r);
    r->error = LWA_E_INVALID_GRANT;
    renewal_set_state(grant, RENEWAL_IDLE, TROUBLE_NONE);
    grant->is_dead = true;
    grant->refreshed_sec = wall_sec();
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
    end_request(grant, RENEWAL_DEAD);
}

static void on_death_stored(struct store_reply *reply, void *userdata)
{
    struct grant *grant = userdata;
    grant->renewal.op = NULL;
    if (reply->r != 0)
        log_error("grant %lld: that it is dead could not be stored", (long long)grant->row);
    die(grant);
}

/* Amazon is not known to end a login when the same customer logs in again, nor not to. */
static bool is_after_another_login(const struct grant *dead)
{
    if (!dead->account)
        return false;
    const struct account *account;
    LIST_FOREACH (account, &dead->broker->accounts, node) {
        if (memcmp(account->customer, dead->account->customer, sizeof(account->customer)) != 0)
            continue;
        const struct grant *other;
        LIST_FOREACH (other, &account->grants, node)
            if (other != dead && !other->is_dead && other->created_sec > dead->created_sec &&
                other->created_sec >= dead->refreshed_sec)
                return true;
    }
    return false;
}

static void kill_grant(struct grant *grant)
{
    struct renewal *r = &grant->renewal;
    const char *detail = grant->is_intent_open           ? "invalid-grant; an earlier refresh was interrupted"
                         : is_after_another_login(grant) ? "invalid-grant; " REFRESH_DIED_AFTER_LOGIN
                                                         : "invalid-grant";
    if (store_refresh_fail(grant->broker->store, grant->row, grant->generation, STORE_REFRESH_DEAD,
                           "invalid-grant", new_record(grant, AUDIT_GRANT_DIED, detail), on_death_stored,
                           grant, &r->op) < 0)
        die(grant);
}

/* --- failures ---------------------------------------------------------------------------------------- */

static void log_failure(const struct grant *grant, const struct lwa_answer *answer)
{
    log_warning("grant %lld: renewal failed: %s (%s, HTTP %ld, request %s)", (long long)grant->row,
                trouble_name(grant->renewal.trouble), http_failure_name(answer->failure), answer->status,
                answer->request_id[0] ? answer->request_id : "-");
}

/* What it says of the provider, which all grants share. */
static void tell_provider(struct grant *grant, const struct lwa_answer *answer, enum trouble trouble)
{
    struct provider *p = &grant->broker->provider;
    uint64_t now = boottime_usec();
    if (trouble_is_shared(trouble))
        provider_failed(p, &grant->renewal.provider_epoch, trouble, answer->retry_after_sec,
                        answer->sent_usec, now, randombytes_random());
    else if (trouble == TROUBLE_MISCONFIGURED && provider_answered(p, now))
        renewals_release(grant->broker);
}

/* When this grant is tried again, and before when it is not, whatever happens meanwhile. */
static uint64_t choose_next_try(struct grant *grant, const struct lwa_answer *answer, enum trouble trouble)
{
    struct renewal *r = &grant->renewal;
    uint64_t now = boottime_usec();
    bool is_ambiguous = answer->outcome == LWA_E_AMBIGUOUS;
    enum schedule_kind kind = is_ambiguous ? SCHEDULE_AMBIGUOUS : trouble_schedule(trouble);
    uint64_t at =
        now + schedule_delay_usec(kind, r->failures++, answer->retry_after_sec, randombytes_random());
    r->floor_usec = is_ambiguous ? at
                    : answer->retry_after_sec > 0
                        ? now + schedule_delay_usec(kind, 0, answer->retry_after_sec, 0)
                        : now;
    return at;
}

static void fail(struct grant *grant, const struct lwa_answer *answer)
{
    struct renewal *r = &grant->renewal;
    enum trouble trouble = trouble_of(answer, wallclock_is_plausible(grant->broker->wallclock));
    enum renewal_result failed_as =
        trouble == TROUBLE_MISCONFIGURED ? RENEWAL_MISCONFIGURED : RENEWAL_UNAVAILABLE;
    bool is_new = r->error != answer->outcome || r->trouble != trouble;
    bool is_recorded = r->error != answer->outcome;
    end_slots(r);
    r->error = answer->outcome;
    if (answer->outcome == LWA_E_AMBIGUOUS)
        grant->is_intent_open = true;
    tell_provider(grant, answer, trouble);
    renewal_wait_until(grant, trouble, failed_as, choose_next_try(grant, answer, trouble));

    /* A streak of the same failure is one record, so that an outage of a week does not fill the trail. */
    struct audit_record *record =
        is_recorded ? new_record(grant, AUDIT_TOKEN_REFRESH_FAILED, lwa_outcome_name(answer->outcome)) : NULL;
    enum store_refresh_end end =
        answer->outcome == LWA_E_AMBIGUOUS ? STORE_REFRESH_AMBIGUOUS : STORE_REFRESH_RETRY;
    if (store_refresh_fail(grant->broker->store, grant->row, grant->generation, end,
                           lwa_outcome_name(answer->outcome), record, NULL, NULL, NULL) < 0 ||
        is_new)
        log_failure(grant, answer);
    end_request(grant, failed_as);
}

/* --- the refresh ------------------------------------------------------------------------------------- */

static void on_tokens(const struct lwa_answer *answer, struct lwa_tokens *tokens, void *userdata)
{
    struct grant *grant = userdata;
    struct renewal *r = &grant->renewal;
    r->request = NULL;
    r->sent_usec = answer->sent_usec;
    if (r->is_probe && refuses_probe(answer->outcome)) {
        refuse_probe(grant, answer->outcome);
        return;
    }
    if (answer->outcome != LWA_OK && answer->outcome != LWA_E_INVALID_GRANT) {
        fail(grant, answer);
        return;
    }
    if (provider_answered(&grant->broker->provider, boottime_usec()))
        renewals_release(grant->broker);
    if (answer->outcome == LWA_E_INVALID_GRANT) {
        if (r->uses_previous || !grant->has_previous || refresh_start(grant, STORE_TOKEN_PREVIOUS) < 0)
            kill_grant(grant);
        return;
    }
    r->tokens = *tokens;
    *tokens = (struct lwa_tokens){.access = NULL};
    refresh_store(grant);
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
                            reply->token, r->is_probe ? r->probe.scope : NULL, on_tokens, grant, &r->request);
    if (e < 0)
        fail(grant, &(struct lwa_answer){
                        .outcome = LWA_E_TRANSIENT, .retry_after_sec = -1, .failure = HTTP_E_INTERNAL});
}

int refresh_start(struct grant *grant, enum store_token_which which)
{
    struct renewal *r = &grant->renewal;
    int e = store_refresh_begin(grant->broker->store, grant->row, grant->generation, which, on_begun, grant,
                                &r->op);
    if (e < 0)
        return e;
    timer_drop(r->timer);
    r->timer = NULL;
    r->uses_previous = which == STORE_TOKEN_PREVIOUS;
    r->is_queued = false;
    r->is_tried = true;
    provider_tries(&grant->broker->provider, boottime_usec(), randombytes_random());
    renewal_set_state(grant, RENEWAL_RUNNING, r->trouble);
    return 0;
}

int refresh_start_probe(struct grant *grant, const char *scope, const char *request,
                        refresh_probe_callback callback, void *userdata)
{
    struct renewal *r = &grant->renewal;
    if (!grant->account || refresh_is_unstored(r) || !renewal_would_refresh(grant))
        return -EBUSY;
    int e = refresh_start(grant, STORE_TOKEN_CURRENT);
    if (e < 0)
        return e;
    (void)snprintf(r->for_request, sizeof(r->for_request), "%s", request);
    r->is_probe = true;
    r->probe.scope = scope;
    r->probe.callback = callback;
    r->probe.userdata = userdata;
    return 0;
}
