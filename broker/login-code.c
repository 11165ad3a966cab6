/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Login by redirect: authorization code with PKCE (RFC 7636, S256). The caller catches the redirect: a
 * program of the user's on the loopback, a companion app, or a website.
 *
 *   0. A probe: somebody whom Amazon cannot be reached for is told so now, not after the page was filled in.
 *   1. The broker makes verifier and state, and tells the address that the person's browser opens. The
 *      verifier stays here, so whoever sees the code on its way back cannot redeem it.
 *   2. Complete hands in what came back. A state that is not this login's was forged, or belongs to another:
 *      it changes nothing.
 *   3. What was granted may be less than what was asked for (voluntary scopes): the token may carry both
 *      together (I1), and serves for what is in both.
 *   4. The code is exchanged, once: it works once, so whatever goes wrong on the way is told and not retried.
 *
 * An unknown scope is an HTML page at Amazon's, from which nobody is sent back: hence the time-out. */

#include "broker/broker.h"
#include "broker/handlers.h"
#include "broker/limits.h"
#include "broker/login.h"
#include "broker/pkce.h"
#include "broker/redirect-uri.h"
#include "broker/timer.h"
#include "util/clock.h"

#include <string.h>

#define ERROR_BYTES_MAX 64

static const char no_secret_notice[] =
    "No client secret is configured. With a client id of the web kind Amazon then gives no lasting login: "
    "set client_secret_file in broker.conf first. Ids of other kinds (devices, Android, iOS) need none.";

static const char *find_fault(const struct login_options *options)
{
    if (options->token)
        return "A login by authorization-code has no token.";
    if (!options->redirect_uri)
        return "A login by authorization-code needs the option redirect_uri.";
    if (!redirect_uri_is_valid(options->redirect_uri))
        return "A redirect_uri is http:// to 127.0.0.1, [::1] or localhost with a port and a path, https://, "
               "or the address of an app such as amzn://com.example.app: at most 1024 bytes, and no "
               "fragment.";
    return NULL;
}

/* --- begin ------------------------------------------------------------------------------------------- */

static void on_timeout(void *userdata)
{
    struct login *login = userdata;
    login->timer = NULL;
    login_fail(login, LOGIN_R_NO_REDIRECT);
}

static int make_uri(struct login *login)
{
    struct broker *broker = login->broker;
    char challenge[PKCE_TEXT_BYTES + 1];
    char state[PKCE_TEXT_BYTES + 1];
    _cleanup_free_ char *scope = catalogue_join(broker->catalogue, login->scopes);
    if (!scope)
        return -ENOMEM;
    pkce_challenge(login->code.verifier, challenge);
    memcpy(state, secret_bytes(login->code.state), PKCE_TEXT_BYTES);
    state[PKCE_TEXT_BYTES] = '\0';
    const struct redirect_request request = {
        .endpoint = broker->config->authorize_endpoint,
        .client_id = login->client_id,
        .scope = scope,
        .redirect_uri = login->options.redirect_uri,
        .state = state,
        .challenge = challenge,
        .scope_data = login->options.scope_data,
    };
    return redirect_authorize_uri(&request, &login->code.uri);
}

static int send_person(struct login *login)
{
    timer_drop(login->timer);
    login->timer = NULL;
    int r = make_uri(login);
    if (r == 0)
        r = timer_start(login->broker->loop, LIMIT_AUTHORIZE_SEC * USEC_PER_SEC, on_timeout, login,
                        &login->timer);
    if (r < 0)
        return r;
    login_set_expiry(login, boottime_usec(), LIMIT_AUTHORIZE_SEC);
    if (!login->broker->config->client_secret)
        login->notice = no_secret_notice;
    login_set_state(login, LOGIN_WAITING);
    return 0;
}

static void on_probed(const struct lwa_answer *answer, void *userdata)
{
    struct login *login = userdata;
    login->request = NULL;
    if (answer->outcome != LWA_OK)
        login_fail(login, login_reason_of(answer->outcome));
    else if (send_person(login) < 0)
        login_fail(login, LOGIN_R_MEMORY);
}

/* Who is connected but does not answer is as good as away. */
static void on_silence(void *userdata)
{
    struct login *login = userdata;
    login->timer = NULL;
    login_fail(login, LOGIN_R_OFFLINE);
}

static int start(struct login *login)
{
    struct broker *broker = login->broker;
    int r = pkce_new_text(&login->code.verifier);
    if (r == 0)
        r = pkce_new_text(&login->code.state);
    if (r == 0)
        r = timer_start(broker->loop, broker->config->connect_timeout_sec * USEC_PER_SEC, on_silence, login,
                        &login->timer);
    if (r < 0)
        return r;
    return lwa_request_probe(broker->http, broker->config->tokeninfo_endpoint, on_probed, login,
                             &login->request);
}

/* --- exchange ---------------------------------------------------------------------------------------- */

static void on_tokens(const struct lwa_answer *answer, struct lwa_tokens *tokens, void *userdata)
{
    struct login *login = userdata;
    login->request = NULL;
    if (answer->outcome == LWA_E_EXPIRED)
        login_fail(login, LOGIN_R_CODE);
    else if (answer->outcome != LWA_OK)
        login_fail(login, login_reason_of(answer->outcome));
    else if (!tokens->refresh)
        login_fail(login, LOGIN_R_NO_REFRESH_TOKEN);
    else
        login_exchange(login, TAKE_PTR(tokens->refresh));
}

static void exchange(struct login *login, const char *code_text)
{
    struct broker *broker = login->broker;
    _cleanup_(secret_freep) struct secret *code = NULL;
    login_set_state(login, LOGIN_EXCHANGING);
    if (secret_new(code_text, strlen(code_text), &code) < 0 ||
        lwa_request_exchange(broker->http, login->endpoint, login->client_id, broker->config->client_secret,
                             code, login->code.verifier, login->options.redirect_uri, on_tokens, login,
                             &login->request) < 0)
        login_fail(login, LOGIN_R_MEMORY);
}

/* --- what was granted -------------------------------------------------------------------------------- */

struct result {
    const char *code;
    const char *state;
    const char *scope;
    const char *error;
    struct scope_set reported; /* of scope */
    bool is_unlisted;          /* scope names one that is in no catalogue */
};

/* False for a text that is no list of scopes. A name that nobody knows gets no number: a caller could use
 * them all up. */
static bool read_scope(const struct catalogue *catalogue, struct result *result)
{
    _cleanup_strv_ struct strv names = STRV_EMPTY;
    if (strlen(result->scope) > LWA_SCOPES_PER_CALL_MAX * (SCOPE_BYTES_MAX + 1) ||
        strv_split(&names, result->scope, " ") < 0 || names.n > LWA_SCOPES_PER_CALL_MAX)
        return false;
    for (size_t i = 0; i < names.n; i++) {
        if (!scope_token_is_valid(names.items[i]))
            return false;
        int index = catalogue_find(catalogue, names.items[i]);
        if (index < 0)
            result->is_unlisted = true;
        else
            scope_set_add(&result->reported, index);
    }
    return true;
}

static void narrow(struct login *login, struct scope_set reported)
{
    const struct catalogue *catalogue = login->broker->catalogue;
    struct scope_set both = scope_set_intersection(catalogue_expand(catalogue, login->scopes),
                                                   catalogue_expand(catalogue, reported));
    login->may_carry = catalogue_reduce(catalogue, scope_set_union(login->scopes, reported));
    login->carries = catalogue_reduce(catalogue, both);
}

/* --- Complete ---------------------------------------------------------------------------------------- */

static bool is_plain(const char *text, size_t max)
{
    size_t n = strnlen(text, max + 1);
    for (size_t i = 0; i < n; i++)
        if (text[i] <= 0x20 || text[i] > 0x7e)
            return false;
    return n > 0 && n <= max;
}

static const char *find_result_fault(const struct catalogue *catalogue, struct result *result)
{
    if (!result->state)
        return "What came back needs the option state.";
    if (!result->code == !result->error)
        return "What came back has either code or error.";
    if (result->code && !is_plain(result->code, LWA_CODE_BYTES_MAX))
        return "A code is 1 to 512 printable ASCII characters without blanks.";
    if (result->error && !is_plain(result->error, ERROR_BYTES_MAX))
        return "An error is 1 to 64 printable ASCII characters without blanks.";
    if (result->scope && !read_scope(catalogue, result))
        return "scope is at most 32 scopes, separated by single spaces.";
    return NULL;
}

static void refuse_state(struct login *login, struct call *call)
{
    bool is_last = ++login->code.n_wrong_states >= LIMIT_WRONG_STATES;
    call_fail(call, BUS_E_INVALID_ARGUMENT,
              "The state is not this login's: what came back belongs to another one, or was forged.");
    if (is_last)
        login_fail(login, LOGIN_R_FORGED);
}

static void take_result(struct login *login, const struct result *result)
{
    timer_drop(login->timer);
    login->timer = NULL;
    if (result->scope)
        narrow(login, result->reported);
    if (result->error)
        login_fail(login, login_reason_of_redirect(result->error));
    else if (result->is_unlisted)
        login_fail(login, LOGIN_R_UNLISTED_SCOPE);
    else if (scope_set_is_empty(login->carries))
        login_fail(login, LOGIN_R_NO_SCOPES);
    else
        exchange(login, result->code);
}

static void complete(struct login *login, struct call *call)
{
    struct result result = {.code = NULL};
    struct reader_option options[] = {
        {"code", DBUS_TYPE_STRING, &result.code, false},
        {"state", DBUS_TYPE_STRING, &result.state, false},
        {"scope", DBUS_TYPE_STRING, &result.scope, false},
        {"error", DBUS_TYPE_STRING, &result.error, false},
    };
    if (!handlers_read_options(call, 0, options, ARRAY_SIZE(options)))
        return;
    const char *fault = find_result_fault(login->broker->catalogue, &result);
    if (!fault && login->state == LOGIN_STARTING)
        fault = "This login has sent nobody to Amazon yet; wait until its State is waiting.";
    if (!fault && login->state != LOGIN_WAITING)
        fault = "This login was completed already; wait for Finished.";
    if (fault) {
        call_fail(call, BUS_E_INVALID_ARGUMENT, "%s", fault);
        return;
    }
    if (!secret_is_text(login->code.state, result.state)) {
        refuse_state(login, call);
        return;
    }
    /* The strings are the message's. */
    DBusMessage *message = dbus_message_ref(call->message);
    call_done(call);
    take_result(login, &result);
    dbus_message_unref(message);
}

const struct login_flow login_flow_code = {
    .name = "authorization-code",
    .find_fault = find_fault,
    .start = start,
    .complete = complete,
};
