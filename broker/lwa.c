/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The seven requests. Each is one http request with one way to parse its good reply; lwa-reply.c says what a
 * reply means. A secret is turned into a string only for the time that http_post() needs to encode it. */

#include "broker/lwa.h"

#include "broker/reserve.h"

#include <assert.h>
#include <string.h>

#define FIELDS_MAX 8 /* of one request of ours */

struct lwa_request {
    struct http_request *http; /* owned until its callback begins */
    enum lwa_request_kind kind;
    union {
        lwa_code_pair_callback code_pair;
        lwa_tokens_callback tokens;
        lwa_token_info_callback token_info;
        lwa_profile_callback profile;
        lwa_probe_callback probe;
    } callback;
    void *userdata;
};

void lwa_request_drop(struct lwa_request *r)
{
    if (!r)
        return;
    if (!r->http)
        return; /* it is in its callback, and freed after it */
    http_request_drop(r->http);
    free(r);
}

static struct lwa_request *request_new(enum lwa_request_kind kind, void *userdata)
{
    struct lwa_request *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->kind = kind;
    r->userdata = userdata;
    return r;
}

/* --- answers ----------------------------------------------------------------------------------------- */

static void answer_code_pair(struct lwa_request *r, struct lwa_answer *answer, const struct http_reply *reply)
{
    _cleanup_(lwa_code_pair_clear) struct lwa_code_pair pair = {0};
    if (answer->outcome == LWA_OK)
        answer->outcome = lwa_parse_code_pair(reply->body, reply->n, &pair);
    if (answer->outcome == LWA_E_TRANSIENT && reply->status == 200 && !reply->is_json)
        answer->outcome = LWA_E_PORTAL;
    r->callback.code_pair(answer, answer->outcome == LWA_OK ? &pair : NULL, r->userdata);
}

static void answer_tokens(struct lwa_request *r, struct lwa_answer *answer, const struct http_reply *reply)
{
    _cleanup_(lwa_tokens_clear) struct lwa_tokens tokens = {0};
    if (answer->outcome == LWA_OK)
        answer->outcome = lwa_parse_tokens(reply->body, reply->n, r->kind == LWA_POLL, &tokens);
    r->callback.tokens(answer, answer->outcome == LWA_OK ? &tokens : NULL, r->userdata);
}

static void answer_token_info(struct lwa_request *r, struct lwa_answer *answer,
                              const struct http_reply *reply)
{
    struct lwa_token_info info = {0};
    if (answer->outcome == LWA_OK)
        answer->outcome = lwa_parse_token_info(reply->body, reply->n, &info);
    r->callback.token_info(answer, answer->outcome == LWA_OK ? &info : NULL, r->userdata);
}

static void answer_profile(struct lwa_request *r, struct lwa_answer *answer, const struct http_reply *reply)
{
    struct lwa_profile profile = {false, false, false};
    if (answer->outcome == LWA_OK)
        answer->outcome = lwa_parse_profile(reply->body, reply->n, &profile);
    r->callback.profile(answer, answer->outcome == LWA_OK ? &profile : NULL, r->userdata);
}

static void on_reply(const struct http_reply *reply, void *userdata)
{
    struct lwa_request *r = userdata;
    r->http = NULL;

    struct lwa_answer answer = {
        .outcome = lwa_classify(r->kind, reply),
        .status = reply->status,
        .is_json = reply->is_json,
        .retry_after_sec = reply->retry_after_sec,
        .sent_usec = reply->sent_usec,
        .failure = reply->failure,
    };
    memcpy(answer.request_id, reply->request_id, sizeof(answer.request_id));

    switch (r->kind) {
    case LWA_CODEPAIR:
        answer_code_pair(r, &answer, reply);
        break;
    case LWA_POLL:
    case LWA_REFRESH:
    case LWA_EXCHANGE:
        answer_tokens(r, &answer, reply);
        break;
    case LWA_TOKENINFO:
        answer_token_info(r, &answer, reply);
        break;
    case LWA_PROFILE:
        answer_profile(r, &answer, reply);
        break;
    case LWA_PROBE:
        r->callback.probe(&answer, r->userdata);
        break;
    }
    free(r);
}

/* --- requests ---------------------------------------------------------------------------------------- */

/* A NUL-terminated copy of the secret, to be freed with secret_free_string(). -EINVAL if a NUL is in it. */
static int secret_to_string(const struct secret *s, char **ret)
{
    size_t n = secret_size(s);
    if (memchr(secret_bytes(s), 0, n))
        return -EINVAL;
    char *copy = malloc(n + 1);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, secret_bytes(s), n);
    copy[n] = '\0';
    *ret = copy;
    return 0;
}

/* Sends the fields that have a value, and hands the request out when it is under way. Not without the memory
 * for its answer: with a provider that rotates, that is the login. */
static int post(struct http *h, struct lwa_request *request, const char *endpoint, const char *locale,
                const struct http_field *fields, size_t n_fields, struct lwa_request **ret)
{
    struct http_field given[FIELDS_MAX];
    assert(n_fields <= FIELDS_MAX);
    size_t n = 0;
    for (size_t i = 0; i < n_fields; i++)
        if (fields[i].value)
            given[n++] = fields[i];

    int r = reserve_fill();
    if (r == 0)
        r = http_post(h, endpoint, given, n, locale, on_reply, request, &request->http);
    if (r < 0) {
        free(request);
        return r;
    }
    *ret = request;
    return 0;
}

static int get(struct http *h, struct lwa_request *request, const char *endpoint, const char *token,
               struct lwa_request **ret)
{
    int r = http_get(h, endpoint, "x-amz-access-token", token, on_reply, request, &request->http);
    if (r < 0) {
        free(request);
        return r;
    }
    *ret = request;
    return 0;
}

int lwa_request_probe(struct http *h, const char *endpoint, lwa_probe_callback callback, void *userdata,
                      struct lwa_request **ret)
{
    struct lwa_request *request = request_new(LWA_PROBE, userdata);
    if (!request)
        return -ENOMEM;
    request->callback.probe = callback;
    return get(h, request, endpoint, NULL, ret);
}

int lwa_request_code_pair(struct http *h, const char *endpoint, const char *client_id, const char *scope,
                          const char *scope_data, const char *locale, lwa_code_pair_callback callback,
                          void *userdata, struct lwa_request **ret)
{
    struct lwa_request *request = request_new(LWA_CODEPAIR, userdata);
    if (!request)
        return -ENOMEM;
    request->callback.code_pair = callback;

    const struct http_field fields[] = {
        {"response_type", "device_code"},
        {"client_id", client_id},
        {"scope", scope},
        {"scope_data", scope_data},
    };
    return post(h, request, endpoint, locale, fields, ARRAY_SIZE(fields), ret);
}

int lwa_request_poll(struct http *h, const char *endpoint, const struct secret *device_code,
                     const char *user_code, lwa_tokens_callback callback, void *userdata,
                     struct lwa_request **ret)
{
    _cleanup_(secret_free_stringp) char *code = NULL;
    int r = secret_to_string(device_code, &code);
    if (r < 0)
        return r;
    struct lwa_request *request = request_new(LWA_POLL, userdata);
    if (!request)
        return -ENOMEM;
    request->callback.tokens = callback;

    const struct http_field fields[] = {
        {"grant_type", "device_code"},
        {"device_code", code},
        {"user_code", user_code},
    };
    return post(h, request, endpoint, NULL, fields, ARRAY_SIZE(fields), ret);
}

int lwa_request_refresh(struct http *h, const char *endpoint, const char *client_id,
                        const struct secret *client_secret, const struct secret *refresh_token,
                        const char *scope, lwa_tokens_callback callback, void *userdata,
                        struct lwa_request **ret)
{
    _cleanup_(secret_free_stringp) char *token = NULL;
    _cleanup_(secret_free_stringp) char *client = NULL;
    int r = secret_to_string(refresh_token, &token);
    if (r == 0 && client_secret)
        r = secret_to_string(client_secret, &client);
    if (r < 0)
        return r;
    struct lwa_request *request = request_new(LWA_REFRESH, userdata);
    if (!request)
        return -ENOMEM;
    request->callback.tokens = callback;

    const struct http_field fields[] = {
        {"grant_type", "refresh_token"}, {"refresh_token", token}, {"client_id", client_id},
        {"client_secret", client},       {"scope", scope},
    };
    return post(h, request, endpoint, NULL, fields, ARRAY_SIZE(fields), ret);
}

int lwa_request_exchange(struct http *h, const char *endpoint, const char *client_id,
                         const struct secret *client_secret, const struct secret *code,
                         const struct secret *verifier, const char *redirect_uri,
                         lwa_tokens_callback callback, void *userdata, struct lwa_request **ret)
{
    _cleanup_(secret_free_stringp) char *code_text = NULL;
    _cleanup_(secret_free_stringp) char *verifier_text = NULL;
    _cleanup_(secret_free_stringp) char *client = NULL;
    int r = secret_to_string(code, &code_text);
    if (r == 0)
        r = secret_to_string(verifier, &verifier_text);
    if (r == 0 && client_secret)
        r = secret_to_string(client_secret, &client);
    if (r < 0)
        return r;
    struct lwa_request *request = request_new(LWA_EXCHANGE, userdata);
    if (!request)
        return -ENOMEM;
    request->callback.tokens = callback;

    const struct http_field fields[] = {
        {"grant_type", "authorization_code"},
        {"code", code_text},
        {"redirect_uri", redirect_uri},
        {"client_id", client_id},
        {"client_secret", client},
        {"code_verifier", verifier_text},
    };
    return post(h, request, endpoint, NULL, fields, ARRAY_SIZE(fields), ret);
}

int lwa_request_profile(struct http *h, const char *endpoint, const struct secret *access_token,
                        lwa_profile_callback callback, void *userdata, struct lwa_request **ret)
{
    _cleanup_(secret_free_stringp) char *token = NULL;
    int r = secret_to_string(access_token, &token);
    if (r < 0)
        return r;
    struct lwa_request *request = request_new(LWA_PROFILE, userdata);
    if (!request)
        return -ENOMEM;
    request->callback.profile = callback;

    return get(h, request, endpoint, token, ret);
}

int lwa_request_token_info(struct http *h, const char *endpoint, const struct secret *access_token,
                           lwa_token_info_callback callback, void *userdata, struct lwa_request **ret)
{
    _cleanup_(secret_free_stringp) char *token = NULL;
    int r = secret_to_string(access_token, &token);
    if (r < 0)
        return r;
    struct lwa_request *request = request_new(LWA_TOKENINFO, userdata);
    if (!request)
        return -ENOMEM;
    request->callback.token_info = callback;

    return get(h, request, endpoint, token, ret);
}
