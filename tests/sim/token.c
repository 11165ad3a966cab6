/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* POST /auth/o2/token: the poll of a code pair, the authorization code and the refresh. No answer names a
 * scope, and a scope sent along with a refresh is ignored, so that tokens carry what the grant carries,
 * unless the setting `narrowing` says otherwise. */

#include "tests/sim/memory.h"
#include "tests/sim/provider.h"
#include "tests/sim/random.h"
#include "tests/sim/scopes.h"
#include "tests/sim/server.h"
#include "util/clock.h"

#include <sodium.h>
#include <string.h>

static void grant_device_code(struct sim *sim, const struct request *rq, struct reply *rp);
static void grant_refresh(struct sim *sim, const struct request *rq, struct reply *rp);
static void grant_auth_code(struct sim *sim, const struct request *rq, struct reply *rp);

static const struct {
    const char *name;
    provider_handler handle;
} grant_types[] = {
    {"device_code", grant_device_code},
    {"refresh_token", grant_refresh},
    {"authorization_code", grant_auth_code},
};

const char *token_grant_type(const struct request *rq)
{
    const char *name = form_get(&rq->form, "grant_type");

    for (size_t i = 0; name && i < ARRAY_SIZE(grant_types); i++)
        if (strcmp(grant_types[i].name, name) == 0)
            return grant_types[i].name;
    return NULL;
}

/* --- answers --- */

static void reply_invalid_grant(struct reply *rp, const struct request *rq, const char *parameter)
{
    struct json_object *object = must(json_object_new_object());
    _cleanup_free_ char *index = random_token("", 300);
    char description[160];

    (void)snprintf(
        description, sizeof(description), "The request has an invalid grant parameter : %s%s", parameter,
        strcmp(parameter, "refresh_token") == 0 ? ". User may have revoked or didn't grant the permission."
                                                : "");
    json_add(object, "error_index", index);
    json_add(object, "error_description", description);
    json_add(object, "error", "invalid_grant");
    json_add(object, "request_id", rq->id);
    reply_json(rp, 400, "invalid_grant", object);
}

static void reply_invalid_client(struct reply *rp, const struct request *rq)
{
    reply_oauth_error(rp, rq, 401, "invalid_client", "Client authentication failed");
}

/* `refresh` may be NULL. */
static void reply_tokens(const struct sim *sim, struct reply *rp, const struct token *access,
                         const struct token *refresh)
{
    struct json_object *object = must(json_object_new_object());
    char lifetime[16];

    (void)snprintf(lifetime, sizeof(lifetime), "%u", sim->settings.token_lifetime);
    json_add(object, "access_token", access->value);
    if (refresh)
        json_add(object, "refresh_token", refresh->value);
    json_add(object, "token_type", sim->settings.token_type);
    json_object_object_add(object, "expires_in",
                           must(sim->settings.expires_in_form == 0
                                    ? json_object_new_int64(sim->settings.token_lifetime)
                                    : json_object_new_string(lifetime)));
    reply_json(rp, 200, "ok", object);
}

static void reply_new_grant(struct sim *sim, struct reply *rp, const struct client *client,
                            struct customer *customer, uint64_t scopes, bool with_refresh)
{
    struct grant *grant = ledger_add_grant(&sim->ledger, client, customer, scopes);
    struct token *refresh = with_refresh ? ledger_add_refresh(&sim->ledger, grant) : NULL;
    struct token *access = ledger_add_access(&sim->ledger, grant, sim->settings.token_lifetime);

    reply_tokens(sim, rp, access, refresh);
}

/* --- who asks --- */

/* The client's id and secret are in the body or in a Basic authorization. */
struct credentials {
    char *id;
    char *secret;
};

static void credentials_clear(struct credentials *c)
{
    free(c->id);
    free(c->secret);
}

static void credentials_read(const struct request *rq, struct credentials *ret)
{
    const char *id = form_get(&rq->form, "client_id");
    const char *secret = form_get(&rq->form, "client_secret");

    *ret = (struct credentials){NULL, NULL};
    if (request_basic_auth(rq, &ret->id, &ret->secret))
        return;
    ret->id = id ? must(strdup(id)) : NULL;
    ret->secret = secret ? must(strdup(secret)) : NULL;
}

/* NULL with the reply filled in when the client is unknown or its secret is wrong. A device's client that
 * sends a secret all the same is not refused. */
static const struct client *check_client(const struct sim *sim, const struct request *rq,
                                         const struct credentials *credentials, struct reply *rp)
{
    if (reply_missing(rp, rq, "client_id", credentials->id))
        return NULL;
    const struct client *client = sim_find_client(sim, credentials->id);
    bool is_wrong_secret = client && sim_client_needs_secret(sim, client) && credentials->secret &&
                           *credentials->secret && strcmp(credentials->secret, sim->web_client.secret) != 0;
    if (!client || is_wrong_secret) {
        reply_invalid_client(rp, rq);
        return NULL;
    }
    return client;
}

/* --- the grants --- */

/* The outcome of a poll that yields no tokens; false when there is one to yield. */
static bool reply_waiting(const struct sim *sim, const struct request *rq, struct code_pair *pair,
                          struct reply *rp)
{
    uint64_t now = boottime_usec();
    uint64_t min_usec = sim->settings.min_poll_interval * USEC_PER_SEC;
    bool is_fast = pair->polled_usec > 0 && now - pair->polled_usec < min_usec;

    pair->polled_usec = now;
    if (code_pair_is_expired(pair))
        reply_oauth_error(rp, rq, 400, "expired_token", "The code pair has expired");
    else if (is_fast)
        reply_oauth_error(rp, rq, 400, "slow_down", "Poll only as frequently as indicated by the interval");
    else if (pair->state == PAIR_DENIED)
        reply_oauth_error(rp, rq, 400, "access_denied", "The customer has denied the request");
    else if (pair->state == PAIR_PENDING)
        reply_oauth_error(rp, rq, 400, "authorization_pending", "The code pair has not been authorized");
    else
        return false;
    return true;
}

static void grant_device_code(struct sim *sim, const struct request *rq, struct reply *rp)
{
    const char *device_code = form_get(&rq->form, "device_code");
    const char *user_code = form_get(&rq->form, "user_code");

    if (reply_missing(rp, rq, "device_code", device_code) || reply_missing(rp, rq, "user_code", user_code))
        return;
    struct code_pair *pair = codes_find_device_code(&sim->codes, device_code);
    if (!pair || strcmp(pair->user_code, user_code) != 0)
        return reply_oauth_error(rp, rq, 400, "invalid_code_pair", "The code pair is not valid");
    if (reply_waiting(sim, rq, pair, rp))
        return;
    /* A web client gets its tokens here too; it is the first refresh that fails. */
    reply_new_grant(sim, rp, pair->client, pair->customer, pair->scopes, true);
    codes_remove_pair(&sim->codes, pair);
}

/* What a refresh does to the refresh token, and which one the answer carries. */
static struct token *rotate(struct sim *sim, struct token *token)
{
    if (sim->settings.rotation == ROTATION_NONE)
        return NULL;
    if (sim->settings.rotation == ROTATION_SAME)
        return token;
    struct token *next = ledger_add_refresh(&sim->ledger, token->grant);
    token->is_dead = sim->settings.rotation_kills_old != 0;
    return next;
}

/* What the token of a refresh that names scopes carries; false when such a refresh is refused. */
static bool narrow(const struct sim *sim, const struct grant *grant, const char *scope, uint64_t *ret)
{
    uint64_t wanted = 0;

    *ret = grant->scopes;
    if (!scope || sim->settings.narrowing == NARROWING_IGNORE)
        return true;
    if (sim->settings.narrowing != NARROWING_NARROW || !scopes_parse(scope, &wanted) ||
        (wanted & ~scopes_expand(grant->scopes)) != 0)
        return false;
    *ret = wanted;
    return true;
}

static void grant_refresh(struct sim *sim, const struct request *rq, struct reply *rp)
{
    uint64_t scopes;
    const char *value = form_get(&rq->form, "refresh_token");
    _cleanup_(credentials_clear) struct credentials credentials;

    credentials_read(rq, &credentials);
    if (reply_missing(rp, rq, "refresh_token", value))
        return;
    const struct client *client = check_client(sim, rq, &credentials, rp);
    if (!client)
        return;
    if (sim_client_needs_secret(sim, client) && reply_missing(rp, rq, "client_secret", credentials.secret))
        return;

    struct token *token = ledger_find(&sim->ledger, value);
    if (!token || !token->is_refresh || token->is_dead || sim->settings.wrong_region ||
        token->grant->is_revoked || token->grant->client != client)
        return reply_invalid_grant(rp, rq, "refresh_token");
    if (!narrow(sim, token->grant, form_get(&rq->form, "scope"), &scopes)) {
        if (sim->settings.narrowing == NARROWING_GRANT)
            return reply_invalid_grant(rp, rq, "refresh_token");
        return reply_oauth_error(rp, rq, 400, "invalid_scope", "The requested scope is not valid");
    }
    token->grant->n_refreshes++;
    struct token *next = rotate(sim, token);
    struct token *access = ledger_add_access(&sim->ledger, token->grant, sim->settings.token_lifetime);
    access->scopes = scopes;
    reply_tokens(sim, rp, access, next);
}

static bool challenge_is_met(const struct authorize *request, const char *verifier)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    char encoded[sodium_base64_ENCODED_LEN(crypto_hash_sha256_BYTES,
                                           sodium_base64_VARIANT_URLSAFE_NO_PADDING)];

    if (!request->challenge)
        return true;
    if (!verifier)
        return false;
    if (!request->is_s256)
        return strcmp(request->challenge, verifier) == 0;
    (void)crypto_hash_sha256(hash, (const unsigned char *)verifier, strlen(verifier));
    (void)sodium_bin2base64(encoded, sizeof(encoded), hash, sizeof(hash),
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return strcmp(request->challenge, encoded) == 0;
}

static void grant_auth_code(struct sim *sim, const struct request *rq, struct reply *rp)
{
    const char *value = form_get(&rq->form, "code");
    const char *redirect_uri = form_get(&rq->form, "redirect_uri");
    const char *verifier = form_get(&rq->form, "code_verifier");
    _cleanup_(credentials_clear) struct credentials credentials;

    credentials_read(rq, &credentials);
    if (reply_missing(rp, rq, "code", value) || reply_missing(rp, rq, "redirect_uri", redirect_uri))
        return;
    const struct client *client = check_client(sim, rq, &credentials, rp);
    if (!client)
        return;
    /* Without a secret the proof must come from PKCE, and a web client then gets no refresh token. */
    bool is_public_use = sim_client_needs_secret(sim, client) && !credentials.secret;
    _cleanup_(auth_code_freep) struct auth_code *code = codes_take_auth_code(&sim->codes, value);
    if (!code || code->request.client != client || strcmp(code->request.redirect_uri, redirect_uri) != 0 ||
        !challenge_is_met(&code->request, verifier))
        return reply_invalid_grant(rp, rq, "code");
    if (is_public_use && reply_missing(rp, rq, "client_secret", code->request.challenge))
        return;
    reply_new_grant(sim, rp, client, code->customer, code->request.scopes, !is_public_use);
}

void handle_token(struct sim *sim, const struct request *rq, struct reply *rp)
{
    const char *grant_type = form_get(&rq->form, "grant_type");

    if (rq->body_kind == BODY_MULTIPART)
        return reply_oauth_error(rp, rq, 400, "unsupported_grant_type",
                                 "The authorization grant type is not supported by the authorization server");
    if (rq->body_kind != BODY_FORM || rq->is_body_malformed || form_has_repeated_names(&rq->form))
        return reply_oauth_error(rp, rq, 400, "invalid_request", "Malformed request");
    if (reply_missing(rp, rq, "grant_type", grant_type))
        return;
    for (size_t i = 0; i < ARRAY_SIZE(grant_types); i++)
        if (strcmp(grant_types[i].name, grant_type) == 0)
            return grant_types[i].handle(sim, rq, rp);
    reply_oauth_error(rp, rq, 400, "unsupported_grant_type",
                      "The authorization grant type is not supported by the authorization server");
}
