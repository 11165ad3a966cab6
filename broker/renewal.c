/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/renewal.h"

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/limits.h"
#include "broker/refresh.h"
#include "broker/schedule.h"
#include "broker/timer.h"
#include "broker/token.h"
#include "util/clock.h"
#include "util/log.h"

#include <sodium.h>
#include <string.h>

#define RENEWAL_WANTED_LIFETIMES 8
/* Many that go on at once are spread over a time that grows with their number, up to the second. */
#define SPREAD_EACH_USEC (20 * USEC_PER_MSEC)
#define SPREAD_MAX_USEC (5 * USEC_PER_SEC)
/* Between two refreshes whose fate before the start of the broker is not known. */
#define INTERRUPTED_GAP_USEC (50 * USEC_PER_MSEC)

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

void renewal_answer_waits(struct grant *grant, enum renewal_result result)
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
    renewal_set_state(grant, RENEWAL_IDLE, TROUBLE_NONE);
    refresh_abandon_probe(grant);
    renewal_answer_waits(grant, RENEWAL_DEAD);
    renewal_init(r);
}

bool renewal_is_foreign(const struct grant *grant)
{
    const struct config *c = grant->broker->config;
    return strcmp(grant->client_id, c->client_id) != 0 || strcmp(grant->endpoint, c->token_endpoint) != 0;
}

/* --- states ------------------------------------------------------------------------------------------ */

/* While trouble lasts, each try only interrupts it. */
void renewal_set_state(struct grant *grant, enum renewal_state state, enum trouble trouble)
{
    struct renewal *r = &grant->renewal;
    struct provider *p = &grant->broker->provider;
    p->n_running -= r->state == RENEWAL_RUNNING;
    p->n_running += state == RENEWAL_RUNNING;
    bool goes_on = r->trouble != TROUBLE_NONE && trouble != TROUBLE_NONE;
    if ((r->state != state && !goes_on) || r->since_usec == 0)
        r->since_usec = boottime_usec();
    r->state = state;
    r->trouble = trouble;
}

static bool is_wanted(const struct grant *grant)
{
    const struct renewal *r = &grant->renewal;
    uint64_t lifetime = grant->lifetime_usec ? grant->lifetime_usec : 3600 * USEC_PER_SEC;
    return r->asked_usec > 0 && boottime_usec() < r->asked_usec + RENEWAL_WANTED_LIFETIMES * lifetime;
}

/* Where the provider is in trouble and this grant is not the one to try now: it waits, too. */
static bool is_held_back(struct grant *grant)
{
    struct renewal *r = &grant->renewal;
    const struct provider *p = &grant->broker->provider;
    uint64_t now = boottime_usec();
    if (provider_may_try(p, now))
        return false;
    uint64_t wait = p->next_try_usec - now;
    uint64_t at = p->next_try_usec + schedule_share_usec(wait / 2, randombytes_random());
    renewal_wait_until(grant, p->trouble, RENEWAL_UNAVAILABLE, at > r->floor_usec ? at : r->floor_usec);
    return true;
}

/* Nobody waits for it yet: it lets those go first that someone waits for. */
static bool must_yield(const struct grant *grant)
{
    return list_is_empty(&grant->renewal.waits) && grant->broker->provider.n_running >= LIMIT_REFRESHES_AHEAD;
}

uint64_t renewal_margin_usec(const struct grant *grant)
{
    const struct config *c = grant->broker->config;
    return schedule_margin_usec(grant->lifetime_usec, c->refresh_margin_sec * USEC_PER_SEC,
                                c->min_valid_sec * USEC_PER_SEC, grant->renewal.asked_valid_usec);
}

static void begin_due(struct grant *grant)
{
    struct renewal *r = &grant->renewal;
    if (must_yield(grant)) {
        renewal_set_timer(grant, boottime_usec() + schedule_share_usec(USEC_PER_SEC, randombytes_random()));
    } else if (is_held_back(grant)) {
        r->is_queued = false;
        renewal_answer_waits(grant, r->failed_as);
    } else if (refresh_start(grant, STORE_TOKEN_CURRENT) < 0) {
        log_warning("grant %lld: a renewal could not be begun", (long long)grant->row);
        r->is_queued = false;
        renewal_answer_waits(grant, RENEWAL_UNAVAILABLE);
    }
}

static void on_due(void *userdata)
{
    struct grant *grant = userdata;
    struct renewal *r = &grant->renewal;
    r->timer = NULL;
    /* It comes late after a sleep, in which nobody can ask. */
    if (r->asked_usec > 0)
        r->asked_usec += boottime_usec() - r->due_usec;
    if (refresh_is_unstored(r))
        refresh_store(grant);
    else if (r->state == RENEWAL_RUNNING || grant->is_dead || renewal_is_foreign(grant) ||
             grant->broker->is_stopping)
        return;
    else if (r->is_queued || is_wanted(grant))
        begin_due(grant);
    else if (r->state == RENEWAL_WAITING)
        renewal_set_state(grant, RENEWAL_IDLE, TROUBLE_NONE); /* the next one who asks finds out */
}

void renewal_set_timer(struct grant *grant, uint64_t at_usec)
{
    struct renewal *r = &grant->renewal;
    uint64_t now = boottime_usec();
    timer_drop(r->timer);
    r->timer = NULL;
    r->due_usec = at_usec;
    if (timer_start(grant->broker->loop, at_usec > now ? at_usec - now : 0, on_due, grant, &r->timer) < 0)
        log_warning("grant %lld: no memory for a timer; it is renewed when it is next asked for",
                    (long long)grant->row);
}

void renewal_wait_until(struct grant *grant, enum trouble trouble, enum renewal_result failed_as,
                        uint64_t next_try_usec)
{
    struct renewal *r = &grant->renewal;
    renewal_set_state(grant, RENEWAL_WAITING, trouble);
    r->failed_as = failed_as;
    r->next_try_usec = next_try_usec;
    renewal_set_timer(grant, next_try_usec);
}

/* --- an end to waiting ------------------------------------------------------------------------------- */

typedef bool (*grant_test)(const struct grant *grant);

static bool waits_for_provider(const struct grant *grant)
{
    const struct renewal *r = &grant->renewal;
    return r->state == RENEWAL_WAITING && trouble_is_shared(r->trouble) && !refresh_is_unstored(r);
}

static bool waits_for_mending(const struct grant *grant)
{
    return grant->renewal.state == RENEWAL_WAITING && !refresh_is_unstored(&grant->renewal);
}

static bool waits_for_clock(const struct grant *grant)
{
    return grant->renewal.state == RENEWAL_WAITING && grant->renewal.trouble == TROUBLE_CLOCK;
}

static void hasten(struct grant *grant, uint64_t at_usec)
{
    struct renewal *r = &grant->renewal;
    uint64_t at = at_usec > r->floor_usec ? at_usec : r->floor_usec;
    if (at >= r->next_try_usec)
        return;
    r->next_try_usec = at;
    renewal_set_timer(grant, at);
}

/* The n-th that goes on gets a share of n slots: the first ones soon, and the last not all together. */
static void hasten_list(struct list *grants, grant_test test, unsigned *n)
{
    struct grant *grant;
    LIST_FOREACH (grant, grants, node) {
        if (!test(grant))
            continue;
        uint64_t span = ++*n * SPREAD_EACH_USEC;
        span = span < SPREAD_MAX_USEC ? span : SPREAD_MAX_USEC;
        hasten(grant, boottime_usec() + schedule_share_usec(span, randombytes_random()));
    }
}

static void hasten_all(struct broker *broker, grant_test test)
{
    unsigned n = 0;
    struct account *account;
    LIST_FOREACH (account, &broker->accounts, node)
        hasten_list(&account->grants, test, &n);
    hasten_list(&broker->unproven, test, &n);
}

void renewals_release(struct broker *broker)
{
    hasten_all(broker, waits_for_provider);
}

void renewals_reconfigured(struct broker *broker)
{
    (void)provider_answered(&broker->provider, boottime_usec());
    hasten_all(broker, waits_for_mending);
}

void renewals_clock_was_set(struct broker *broker)
{
    if (broker->provider.trouble == TROUBLE_CLOCK)
        (void)provider_answered(&broker->provider, boottime_usec());
    hasten_all(broker, waits_for_clock);
}

/* --- asking for a token ------------------------------------------------------------------------------ */

/* A refresh that the broker's last life began may have been carried out. A device that starts again and again
 * must not fire them all each time: they go out one by one. */
static int start_or_queue(struct grant *grant)
{
    struct broker *broker = grant->broker;
    struct renewal *r = &grant->renewal;
    uint64_t now = boottime_usec();
    bool is_interrupted = grant->is_intent_open && grant->account && !r->is_tried;
    uint64_t at = broker->next_interrupted_usec > now ? broker->next_interrupted_usec : now;
    if (is_interrupted)
        broker->next_interrupted_usec = at + INTERRUPTED_GAP_USEC;
    if (!is_interrupted || at == now)
        return refresh_start(grant, STORE_TOKEN_CURRENT);
    renewal_set_timer(grant, at);
    r->is_queued = r->timer;
    return r->timer ? 0 : -ENOMEM;
}

static int join(struct grant *grant, const char *request, renewal_callback callback, void *userdata,
                struct renewal_wait **ret)
{
    struct renewal *r = &grant->renewal;
    _cleanup_free_ struct renewal_wait *wait = calloc(1, sizeof(*wait));
    if (!wait)
        return -ENOMEM;
    if (refresh_is_unstored(r)) {
        refresh_store(grant);
        if (r->state != RENEWAL_RUNNING)
            return -ENOMEM;
    } else if (r->state != RENEWAL_RUNNING && !r->is_queued) {
        (void)snprintf(r->for_request, sizeof(r->for_request), "%s", request);
        int e = start_or_queue(grant);
        if (e < 0) {
            r->for_request[0] = '\0';
            return e;
        }
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

static bool is_decided_or_held_back(struct grant *grant, uint64_t now, enum renewal_result *ret)
{
    const struct renewal *r = &grant->renewal;
    if (is_decided(grant, now, ret))
        return true;
    if (r->state == RENEWAL_RUNNING || refresh_is_unstored(r) || !is_held_back(grant))
        return false;
    *ret = r->failed_as;
    return true;
}

/* Inside the margin, and no timer that sees to it. */
static bool is_forgotten(const struct grant *grant, uint64_t now)
{
    const struct renewal *r = &grant->renewal;
    if (r->state == RENEWAL_RUNNING || refresh_is_unstored(r) || r->timer)
        return false;
    return grant->token->expires_usec - now < renewal_margin_usec(grant);
}

static void renew_behind(struct grant *grant, const char *request)
{
    (void)snprintf(grant->renewal.for_request, sizeof(grant->renewal.for_request), "%s", request);
    if (refresh_start(grant, STORE_TOKEN_CURRENT) >= 0)
        return;
    grant->renewal.for_request[0] = '\0';
    log_warning("grant %lld: a renewal could not be begun", (long long)grant->row);
}

int renewal_ensure(struct grant *grant, uint64_t min_valid_usec, const char *request,
                   renewal_callback callback, void *userdata, enum renewal_result *ret_result,
                   struct renewal_wait **ret)
{
    struct renewal *r = &grant->renewal;
    uint64_t now = boottime_usec();
    const struct token *token = grant->token;
    r->asked_usec = now;
    if (min_valid_usec > r->asked_valid_usec)
        r->asked_valid_usec = min_valid_usec;

    if (token && token->expires_usec >= now + min_valid_usec && token->expires_usec > now &&
        !grant->is_dead) {
        /* Inside the margin: serve it, and renew behind it. */
        if (is_forgotten(grant, now) && !is_decided_or_held_back(grant, now, ret_result))
            renew_behind(grant, request);
        *ret_result = RENEWAL_OK;
        return RENEWAL_ANSWERED;
    }
    if (is_decided_or_held_back(grant, now, ret_result))
        return RENEWAL_ANSWERED;
    int e = join(grant, request, callback, userdata, ret);
    if (e == 0 && grant->account)
        grant->broker->n_waits++;
    return e;
}

int renewal_force(struct grant *grant, const char *request, renewal_callback callback, void *userdata,
                  enum renewal_result *ret_result, struct renewal_wait **ret)
{
    struct renewal *r = &grant->renewal;
    uint64_t now = boottime_usec();
    if (is_decided_or_held_back(grant, now, ret_result))
        return RENEWAL_ANSWERED;
    r->asked_usec = now;
    return join(grant, request, callback, userdata, ret);
}

bool renewal_would_refresh(const struct grant *grant)
{
    uint64_t now = boottime_usec();
    enum renewal_result unused;
    return grant->renewal.state != RENEWAL_RUNNING && !is_decided(grant, now, &unused) &&
           provider_may_try(&grant->broker->provider, now);
}

/* --- for status -------------------------------------------------------------------------------------- */

bool renewal_is_under_way(const struct grant *grant)
{
    const struct renewal *r = &grant->renewal;
    return r->state == RENEWAL_RUNNING || refresh_is_unstored(r);
}

unsigned renewal_next_try_sec(const struct grant *grant)
{
    uint64_t next = grant->renewal.next_try_usec, now = boottime_usec();
    return next > now ? (unsigned)((next - now + USEC_PER_SEC - 1) / USEC_PER_SEC) : 0;
}

const char *renewal_trouble_text(const struct grant *grant)
{
    return trouble_text(grant->renewal.trouble, wallclock_is_plausible(grant->broker->wallclock));
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
        return grant->renewal.trouble == TROUBLE_CLOCK ? "clock" : "waiting";
    case RENEWAL_FRESH:
        return grant->token && grant->token->expires_usec > boottime_usec() ? "fresh" : "idle";
    case RENEWAL_IDLE:
        break;
    }
    return "idle";
}
