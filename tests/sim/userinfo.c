/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* GET /auth/o2/tokeninfo and GET /user/profile. */

#include "tests/sim/memory.h"
#include "tests/sim/provider.h"
#include "tests/sim/scopes.h"
#include "util/clock.h"

#include <string.h>
#include <strings.h>

static const char *bearer_of(const struct request *rq)
{
    const char *header = request_header(rq, "Authorization");

    return header && strncasecmp(header, "bearer ", 7) == 0 ? header + 7 : NULL;
}

/* The token if it is good, else NULL with the reply filled in. */
static const struct token *check_token(struct sim *sim, const struct request *rq, bool may_be_bearer,
                                       struct reply *rp)
{
    const char *value = request_header(rq, "x-amz-access-token");

    if (!value)
        value = form_get(&rq->query, "access_token");
    if (!value && may_be_bearer)
        value = bearer_of(rq);
    if (reply_missing(rp, rq, "access_token", value))
        return NULL;
    const struct token *token = ledger_find_access(&sim->ledger, value);
    if (!token)
        reply_oauth_error(rp, rq, 400, "invalid_token",
                          "The request has an invalid parameter : access_token");
    return token;
}

void handle_tokeninfo(struct sim *sim, const struct request *rq, struct reply *rp)
{
    const struct token *token = check_token(sim, rq, false, rp);

    if (!token)
        return;
    uint64_t now = boottime_usec();
    uint64_t left_sec = token->expires_usec > now ? (token->expires_usec - now) / USEC_PER_SEC : 0;
    struct json_object *object = must(json_object_new_object());
    json_add(object, "iss", "https://www.amazon.com");
    json_add(object, "user_id", token->grant->customer->user_id);
    json_add(object, "aud", token->grant->client->id);
    json_add(object, "app_id", sim->security_profile_id);
    json_object_object_add(object, "exp", must(json_object_new_int64((int64_t)left_sec)));
    json_object_object_add(object, "iat", must(json_object_new_int64(token->born_sec)));
    reply_json(rp, 200, "ok", object);
}

void handle_profile(struct sim *sim, const struct request *rq, struct reply *rp)
{
    const struct token *token = check_token(sim, rq, true, rp);

    if (!token)
        return;
    const struct customer *customer = token->grant->customer;
    uint64_t scopes = scopes_expand(token->scopes);
    uint64_t profile = scope_bit("profile"), postal_code = scope_bit("postal_code");
    if ((scopes & (profile | postal_code | scope_bit("profile:user_id"))) == 0)
        return reply_oauth_error(rp, rq, 401, "insufficient_scope",
                                 "The access token does not carry a scope of the profile");

    struct json_object *object = must(json_object_new_object());
    json_add(object, "user_id", customer->user_id);
    if (scopes & profile) {
        json_add(object, "email", customer->email);
        json_add(object, "name", customer->full_name);
    }
    if (scopes & postal_code)
        json_add(object, "postal_code", customer->postal_code);
    reply_json(rp, 200, "ok", object);
}
