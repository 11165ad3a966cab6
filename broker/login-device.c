/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Code-based linking (RFC 8628 as Login with Amazon speaks it; "Code-Based Linking" in Amazon's documents):
 *
 *   1. codepair: a user code for the person, a device code for us.
 *   2. Poll, at most once per interval, until the person has answered or the codes expire. slow_down makes
 *      the interval longer. Transient failures are waited out: the person is typing.
 *   3. The tokens: only the refresh token is kept; what the access token is good for the proving refresh
 *      tells.
 *
 * Both clocks start when the request was sent, which is the safe side. */

#include "broker/broker.h"
#include "broker/limits.h"
#include "broker/login.h"
#include "broker/timer.h"
#include "util/clock.h"

#include <string.h>

static void poll_later(struct login *login);

static void slow_down(struct login *login)
{
    uint32_t longer = login->interval_sec + 5;
    if (longer < login->interval_sec * 2)
        longer = login->interval_sec * 2;
    uint32_t longest = login->interval_sec > LIMIT_SLOW_DOWN_SEC ? login->interval_sec : LIMIT_SLOW_DOWN_SEC;
    login->interval_sec = longer < longest ? longer : longest;
}

static void on_polled(const struct lwa_answer *answer, struct lwa_tokens *tokens, void *userdata)
{
    struct login *login = userdata;
    login->request = NULL;
    switch (answer->outcome) {
    case LWA_OK:
        login_exchange(login, TAKE_PTR(tokens->refresh));
        break;
    case LWA_E_SLOW_DOWN:
        slow_down(login);
        poll_later(login);
        break;
    case LWA_E_PENDING:
        poll_later(login);
        break;
    default:
        /* Also when tokens were issued and lost: the pair is used up then, and the next poll says so. */
        if (lwa_outcome_is_transient(answer->outcome))
            poll_later(login);
        else
            login_fail(login, login_reason_of(answer->outcome));
        break;
    }
}

static void poll_now(void *userdata)
{
    struct login *login = userdata;
    login->timer = NULL;
    if (boottime_usec() >= login->expires_usec) {
        login_fail(login, LOGIN_R_EXPIRED);
        return;
    }
    if (lwa_request_poll(login->broker->http, login->endpoint, login->pair.device_code, login->pair.user_code,
                         on_polled, login, &login->request) < 0)
        poll_later(login);
}

static void poll_later(struct login *login)
{
    uint64_t now = boottime_usec();
    uint64_t left = login->expires_usec > now ? login->expires_usec - now : 0;
    uint64_t delay = login->interval_sec * USEC_PER_SEC;
    if (timer_start(login->broker->loop, delay < left ? delay : left, poll_now, login, &login->timer) < 0)
        login_fail(login, LOGIN_R_MEMORY);
}

static void on_code_pair(const struct lwa_answer *answer, struct lwa_code_pair *pair, void *userdata)
{
    struct login *login = userdata;
    login->request = NULL;
    if (answer->outcome != LWA_OK) {
        login_fail(login, login_reason_of(answer->outcome));
        return;
    }
    login->pair = *pair;
    pair->device_code = NULL; /* ours now */
    login->interval_sec = pair->interval_sec;
    login_set_expiry(login, answer->sent_usec, pair->expires_in_sec);
    login_set_state(login, LOGIN_WAITING);
    poll_later(login);
}

static int start(struct login *login)
{
    struct broker *broker = login->broker;
    _cleanup_free_ char *scope = catalogue_join(broker->catalogue, login->scopes);
    if (!scope)
        return -ENOMEM;
    return lwa_request_code_pair(broker->http, broker->config->codepair_endpoint, login->client_id, scope,
                                 login->options.scope_data, login->options.locale, on_code_pair, login,
                                 &login->request);
}

static const char *find_fault(const struct login_options *options)
{
    if (options->redirect_uri || options->token)
        return "A login by device-code has no redirect_uri and no token.";
    return NULL;
}

const struct login_flow login_flow_device = {
    .name = "device-code",
    .find_fault = find_fault,
    .start = start,
};
