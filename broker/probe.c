/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/probe.h"

#include "broker/broker.h"
#include "broker/refresh.h"
#include "broker/timer.h"
#include "broker/token.h"
#include "util/clock.h"

#include <string.h>

#define WIDE_SCOPE "profile"
#define NARROW_SCOPE "profile:user_id"

struct probe {
    struct broker *broker;
    int64_t grant; /* it may go meanwhile */
    char asked_by[CALL_REQUEST_SIZE];
    probe_callback callback;
    void *userdata;
    bool is_refreshing;
    struct renewal_wait *wait;
    struct timer *timer; /* where nothing was to be waited for */
    struct lwa_request *request;
};

static const char *const names[] = {
    [PROBE_NARROWS] = "narrows",
    [PROBE_IGNORES] = "ignores",
    [PROBE_REFUSES] = "refuses",
    [PROBE_UNCLEAR] = "unclear",
};

const char *probe_outcome_name(enum probe_outcome outcome)
{
    return names[outcome];
}

bool probe_fits(const struct grant *grant)
{
    const struct catalogue *c = grant->broker->catalogue;
    struct scope_set carried = catalogue_expand(c, grant->carries);
    int wide = catalogue_find_known(c, WIDE_SCOPE), narrow = catalogue_find_known(c, NARROW_SCOPE);
    return !grant->is_dead && grant->account && !renewal_is_foreign(grant) && wide >= 0 && narrow >= 0 &&
           scope_set_has(&carried, wide) && scope_set_has(&carried, narrow);
}

/* --- the end ----------------------------------------------------------------------------------------- */

void probe_drop(struct probe *p)
{
    if (!p)
        return;
    struct grant *grant = p->is_refreshing ? grant_find(p->broker, p->grant) : NULL;
    if (grant)
        refresh_forget_prober(grant);
    renewal_wait_drop(p->wait);
    timer_drop(p->timer);
    lwa_request_drop(p->request);
    free(p);
}

static void finish(struct probe *p, enum probe_outcome outcome, const char *detail)
{
    probe_callback callback = p->callback;
    void *userdata = p->userdata;
    probe_drop(p);
    callback(outcome, detail, userdata);
}

/* --- 3 and 4: the profile ---------------------------------------------------------------------------- */

static bool shows_more(const struct lwa_profile *profile)
{
    return profile->has_name || profile->has_email;
}

static void on_wide_profile(const struct lwa_answer *answer, const struct lwa_profile *profile,
                            void *userdata)
{
    struct probe *p = userdata;
    p->request = NULL;
    if (!profile)
        finish(p, PROBE_UNCLEAR, lwa_outcome_name(answer->outcome));
    else if (shows_more(profile))
        finish(p, PROBE_NARROWS, "");
    else
        finish(p, PROBE_UNCLEAR, "empty-profile");
}

static void ask_with_wide_token(struct probe *p)
{
    const struct grant *grant = grant_find(p->broker, p->grant);
    _cleanup_(secret_freep) struct secret *access = NULL;
    if (!grant || !grant->token || token_read(grant->token, &access) < 0 ||
        lwa_request_profile(p->broker->http, p->broker->config->profile_endpoint, access, on_wide_profile, p,
                            &p->request) < 0)
        finish(p, PROBE_UNCLEAR, "login-gone");
}

static void on_narrow_profile(const struct lwa_answer *answer, const struct lwa_profile *profile,
                              void *userdata)
{
    struct probe *p = userdata;
    p->request = NULL;
    if (!profile)
        finish(p, PROBE_UNCLEAR, lwa_outcome_name(answer->outcome));
    else if (shows_more(profile))
        finish(p, PROBE_IGNORES, "");
    else if (!profile->has_user_id)
        finish(p, PROBE_UNCLEAR, "empty-profile");
    else
        ask_with_wide_token(p);
}

/* --- 2: the refresh ---------------------------------------------------------------------------------- */

static void on_refreshed(enum lwa_outcome outcome, const struct secret *access, void *userdata)
{
    struct probe *p = userdata;
    p->is_refreshing = false;
    if (outcome == LWA_E_SCOPE || outcome == LWA_E_REQUEST || outcome == LWA_E_INVALID_GRANT)
        finish(p, PROBE_REFUSES, lwa_outcome_name(outcome));
    else if (!access)
        finish(p, PROBE_UNCLEAR, lwa_outcome_name(outcome));
    else if (lwa_request_profile(p->broker->http, p->broker->config->profile_endpoint, access,
                                 on_narrow_profile, p, &p->request) < 0)
        finish(p, PROBE_UNCLEAR, "no-memory");
}

/* --- 1: a good token --------------------------------------------------------------------------------- */

static void on_renewed(enum renewal_result result, void *userdata)
{
    struct probe *p = userdata;
    struct grant *grant = grant_find(p->broker, p->grant);
    p->wait = NULL;
    if (!grant || result != RENEWAL_OK) {
        finish(p, PROBE_UNCLEAR, grant && result != RENEWAL_DEAD ? "renewal" : "login-gone");
        return;
    }
    p->is_refreshing = true;
    if (refresh_start_probe(grant, NARROW_SCOPE, p->asked_by, on_refreshed, p) < 0) {
        p->is_refreshing = false;
        finish(p, PROBE_UNCLEAR, "busy");
    }
}

static void on_timer(void *userdata)
{
    struct probe *p = userdata;
    p->timer = NULL;
    on_renewed(RENEWAL_OK, p);
}

int probe_start(struct grant *grant, const char *request, probe_callback callback, void *userdata,
                struct probe **ret)
{
    struct broker *broker = grant->broker;
    enum renewal_result result;
    struct probe *p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    *p = (struct probe){.broker = broker, .grant = grant->row, .callback = callback, .userdata = userdata};
    (void)snprintf(p->asked_by, sizeof(p->asked_by), "%s", request);
    int r = renewal_ensure(grant, broker->config->min_valid_sec * USEC_PER_SEC, request, on_renewed, p,
                           &result, &p->wait);
    if (r == RENEWAL_ANSWERED)
        r = result == RENEWAL_OK ? timer_start(broker->loop, 0, on_timer, p, &p->timer) : -EBUSY;
    if (r < 0) {
        probe_drop(p);
        return r;
    }
    *ret = p;
    return 0;
}
