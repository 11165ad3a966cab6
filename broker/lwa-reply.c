/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a reply of Login with Amazon means: pure code, fed with hostile bytes by the fuzzer.
 *
 * Invariants:
 *  - Only a 4xx reply with a JSON body whose `error` is exactly "invalid_grant" gives LWA_E_INVALID_GRANT,
 *    and only to a refresh (I6): to the exchange of an authorization code the same name says that the code is
 *    used up, which ends no login. A page of HTML, a 5xx or a 429 never does, whatever its body says.
 *  - A named error of a 4xx is an answer: the provider refused, so nothing was issued. A reply of 2xx that
 *    cannot be used may have issued a token: ambiguous for poll, refresh and exchange.
 *  - A 5xx counts as transient: for this provider a retry with the same refresh token is known to be
 *    harmless, and every one of its clients does it.
 *  - Texts are copied out only within their bounds and in printable ASCII. Nothing of a description leaves:
 *    it is only searched for the names of two parameters. */

#include "broker/json.h"
#include "broker/limits.h"
#include "broker/lwa.h"

#include <string.h>
#include <strings.h>

#define ERROR_NAME_BYTES_MAX 64
#define INTERVAL_SEC_MAX 3600
#define INTERVAL_SEC_DEFAULT 5 /* RFC 8628, section 3.2 */

static const char *const outcome_names[] = {
    [LWA_OK] = "ok",
    [LWA_E_PENDING] = "pending",
    [LWA_E_SLOW_DOWN] = "slow-down",
    [LWA_E_EXPIRED] = "expired",
    [LWA_E_DENIED] = "denied",
    [LWA_E_INVALID_GRANT] = "invalid-grant",
    [LWA_E_CLIENT] = "client",
    [LWA_E_CLIENT_TYPE] = "client-type",
    [LWA_E_SCOPE] = "scope",
    [LWA_E_INVALID_TOKEN] = "invalid-token",
    [LWA_E_REQUEST] = "request",
    [LWA_E_TRANSIENT] = "transient",
    [LWA_E_OFFLINE] = "offline",
    [LWA_E_PORTAL] = "captive-portal",
    [LWA_E_CLOCK] = "clock",
    [LWA_E_AMBIGUOUS] = "ambiguous",
};

const char *lwa_outcome_name(enum lwa_outcome outcome)
{
    return outcome_names[outcome];
}

bool lwa_outcome_is_transient(enum lwa_outcome outcome)
{
    switch (outcome) {
    case LWA_E_TRANSIENT:
    case LWA_E_OFFLINE:
    case LWA_E_PORTAL:
    case LWA_E_CLOCK:
    case LWA_E_AMBIGUOUS:
        return true;
    default:
        return false;
    }
}

void lwa_code_pair_clear(struct lwa_code_pair *p)
{
    secret_free(p->device_code);
    secret_wipe(p, sizeof(*p));
}

void lwa_tokens_clear(struct lwa_tokens *t)
{
    secret_free(t->access);
    secret_free(t->refresh);
    *t = (struct lwa_tokens){0};
}

/* --- classification ---------------------------------------------------------------------------------- */

#define KIND(k) (1U << (k))
#define ANY_KIND                                                                                             \
    (KIND(LWA_CODEPAIR) | KIND(LWA_POLL) | KIND(LWA_REFRESH) | KIND(LWA_TOKENINFO) | KIND(LWA_EXCHANGE) |    \
     KIND(LWA_PROFILE))

/* The first row that fits decides; no row: LWA_E_REQUEST. A row with `names` fits only if the description
 * names that parameter. What makes no sense as an answer to the request is not taken at its word. */
static const struct error_row {
    const char *error;
    unsigned kinds;
    const char *names;
    enum lwa_outcome outcome;
} error_rows[] = {
    {"authorization_pending", KIND(LWA_POLL), NULL, LWA_E_PENDING},
    {"authorization_pending", ANY_KIND, NULL, LWA_E_TRANSIENT},
    {"slow_down", KIND(LWA_POLL), NULL, LWA_E_SLOW_DOWN},
    {"slow_down", ANY_KIND, NULL, LWA_E_TRANSIENT},
    {"temporarily_unavailable", ANY_KIND, NULL, LWA_E_TRANSIENT},
    {"expired_token", KIND(LWA_POLL), NULL, LWA_E_EXPIRED},
    {"invalid_code_pair", KIND(LWA_POLL), NULL, LWA_E_EXPIRED},
    {"access_denied", KIND(LWA_POLL) | KIND(LWA_CODEPAIR) | KIND(LWA_EXCHANGE), NULL, LWA_E_DENIED},
    {"invalid_grant", KIND(LWA_REFRESH), NULL, LWA_E_INVALID_GRANT},
    {"invalid_grant", KIND(LWA_EXCHANGE), NULL, LWA_E_EXPIRED},
    {"invalid_client", ANY_KIND, NULL, LWA_E_CLIENT},
    {"unauthorized_client", ANY_KIND, NULL, LWA_E_CLIENT},
    {"invalid_request", KIND(LWA_POLL) | KIND(LWA_REFRESH) | KIND(LWA_EXCHANGE), "client_secret",
     LWA_E_CLIENT_TYPE},
    {"invalid_request", KIND(LWA_TOKENINFO) | KIND(LWA_PROFILE), "access_token", LWA_E_INVALID_TOKEN},
    {"invalid_token", KIND(LWA_TOKENINFO) | KIND(LWA_PROFILE), NULL, LWA_E_INVALID_TOKEN},
    {"invalid_scope", ANY_KIND, NULL, LWA_E_SCOPE},
    {"insufficient_scope", ANY_KIND, NULL, LWA_E_SCOPE},
};

/* server_error, servererror, ServerError: Amazon's pages and clients differ. */
static bool is_server_error(const char *error)
{
    const char *expected = "servererror";
    for (const char *p = error; *p; p++) {
        if (*p == '_')
            continue;
        if (!*expected || (*p | 0x20) != *expected)
            return false;
        expected++;
    }
    return !*expected;
}

static enum lwa_outcome classify_error(enum lwa_request_kind kind, const char *error, const char *description)
{
    if (is_server_error(error))
        return LWA_E_TRANSIENT;
    for (size_t i = 0; i < ARRAY_SIZE(error_rows); i++) {
        const struct error_row *row = &error_rows[i];
        if (strcmp(row->error, error) == 0 && (row->kinds & KIND(kind)) &&
            (!row->names || strstr(description, row->names)))
            return row->outcome;
    }
    return LWA_E_REQUEST;
}

static enum lwa_outcome classify_error_body(enum lwa_request_kind kind, const struct http_reply *reply)
{
    _cleanup_(json_freep) struct json *j = NULL;
    if (!reply->is_json || json_parse(reply->body, reply->n, &j) != 0)
        return LWA_E_TRANSIENT;

    const char *error, *description;
    size_t n;
    if (json_get_string(j, "error", &error, &n) != 0 || n == 0 || n > ERROR_NAME_BYTES_MAX)
        return LWA_E_TRANSIENT;
    if (json_get_string(j, "error_description", &description, &n) != 0)
        description = "";
    return classify_error(kind, error, description);
}

/* There was an answer, or there may have been one, and it cannot be used. */
static enum lwa_outcome unusable(enum lwa_request_kind kind)
{
    bool is_token = kind == LWA_POLL || kind == LWA_REFRESH || kind == LWA_EXCHANGE;
    return is_token ? LWA_E_AMBIGUOUS : LWA_E_TRANSIENT;
}

/* Who asks without a token is refused: all that matters is that it was the provider who did. */
static enum lwa_outcome classify_probe_status(const struct http_reply *reply)
{
    bool is_page = reply->status >= 200 && reply->status < 300 && !reply->is_json;
    bool is_redirect = reply->status >= 300 && reply->status < 400;
    bool says_so = reply->status == 511; /* RFC 6585, section 6 */
    return is_page || is_redirect || says_so ? LWA_E_PORTAL : LWA_OK;
}

static enum lwa_outcome classify_status(enum lwa_request_kind kind, const struct http_reply *reply)
{
    if (kind == LWA_PROBE)
        return classify_probe_status(reply);
    if (reply->status == 200)
        return LWA_OK;
    if (reply->status >= 200 && reply->status < 300)
        return unusable(kind);
    if (reply->status >= 300 && reply->status < 400)
        return LWA_E_PORTAL;
    if (reply->status < 400 || reply->status >= 500)
        return LWA_E_TRANSIENT;

    enum lwa_outcome outcome = classify_error_body(kind, reply);
    if (reply->status == 429 && outcome != LWA_E_PENDING && outcome != LWA_E_SLOW_DOWN)
        return LWA_E_TRANSIENT; /* the throttle answered, not the service behind it */
    return outcome;
}

enum lwa_outcome lwa_classify(enum lwa_request_kind kind, const struct http_reply *reply)
{
    if (reply->failure == HTTP_OK)
        return classify_status(kind, reply);
    if (reply->sent)
        return unusable(kind);
    switch (reply->failure) {
    case HTTP_E_RESOLVE:
    case HTTP_E_CONNECT:
    case HTTP_E_TLS:
        return LWA_E_OFFLINE;
    case HTTP_E_TLS_TIME:
        return LWA_E_CLOCK;
    default:
        return LWA_E_TRANSIENT;
    }
}

/* --- bodies ------------------------------------------------------------------------------------------ */

static bool is_printable(const char *s, char lowest)
{
    for (; *s; s++)
        if (*s < lowest || *s > 0x7e)
            return false;
    return true;
}

/* Copies a text of 1 to size - 1 bytes, none below `lowest` and all printable ASCII. 0 or positive. */
static int copy_text(const struct json *j, const char *key, char lowest, char *ret, size_t size)
{
    const char *text;
    size_t n;
    int r = json_get_string(j, key, &text, &n);
    if (r != 0)
        return r;
    if (n == 0 || n >= size || !is_printable(text, lowest))
        return JSON_E_TYPE;
    memcpy(ret, text, n + 1);
    return 0;
}

/* A token is 1*VSCHAR in RFC 6749, here without the space: it must fit a header. 0, positive, or -ENOMEM. */
static int copy_secret(const struct json *j, const char *key, size_t max, struct secret **ret)
{
    const char *text;
    size_t n;
    int r = json_get_string(j, key, &text, &n);
    if (r != 0)
        return r;
    if (n == 0 || n > max || !is_printable(text, '!'))
        return JSON_E_TYPE;
    return secret_new(text, n, ret);
}

/* A time of at least a second; what is longer than `max` is cut to it, which only errs on the safe side. */
static int copy_seconds(const struct json *j, const char *key, uint32_t max, uint32_t *ret)
{
    uint64_t value;
    int r = json_get_uint(j, key, &value);
    if (r != 0)
        return r;
    if (value == 0)
        return JSON_E_TYPE;
    *ret = value < max ? (uint32_t)value : max;
    return 0;
}

/* An address that people open and that is shown as a QR code: http or https, with something behind it. */
static int copy_uri(const struct json *j, const char *key, char ret[static LWA_URI_SIZE])
{
    char uri[LWA_URI_SIZE];
    int r = copy_text(j, key, '!', uri, sizeof(uri));
    if (r != 0)
        return r;
    size_t scheme = strncasecmp(uri, "https://", 8) == 0 ? 8 : strncasecmp(uri, "http://", 7) == 0 ? 7 : 0;
    if (scheme == 0 || !uri[scheme] || strchr("/?#:@", uri[scheme]))
        return JSON_E_TYPE;
    memcpy(ret, uri, sizeof(uri));
    return 0;
}

static int parse_code_pair(const struct json *j, struct lwa_code_pair *pair)
{
    int r = copy_text(j, "user_code", ' ', pair->user_code, sizeof(pair->user_code));
    if (r == 0)
        r = copy_secret(j, "device_code", LWA_CODE_BYTES_MAX, &pair->device_code);
    if (r == 0)
        r = copy_uri(j, "verification_uri", pair->verification_uri);
    if (r == 0)
        r = copy_seconds(j, "expires_in", LIMIT_TOKEN_LIFETIME_SEC, &pair->expires_in_sec);
    if (r != 0)
        return r;

    /* A convenience that Amazon is not known to send: one that cannot be used is as good as none. */
    if (copy_uri(j, "verification_uri_complete", pair->verification_uri_complete) != 0)
        pair->verification_uri_complete[0] = '\0';
    r = copy_seconds(j, "interval", INTERVAL_SEC_MAX, &pair->interval_sec);
    if (r == JSON_E_ABSENT)
        pair->interval_sec = INTERVAL_SEC_DEFAULT;
    return r == JSON_E_ABSENT ? 0 : r;
}

enum lwa_outcome lwa_parse_code_pair(const char *body, size_t n, struct lwa_code_pair *ret)
{
    _cleanup_(json_freep) struct json *j = NULL;
    _cleanup_(lwa_code_pair_clear) struct lwa_code_pair pair = {0};
    if (json_parse(body, n, &j) != 0 || parse_code_pair(j, &pair) != 0)
        return LWA_E_TRANSIENT;
    *ret = pair;
    pair.device_code = NULL; /* handed over */
    return LWA_OK;
}

static int parse_tokens(const struct json *j, bool needs_refresh_token, struct lwa_tokens *tokens)
{
    const char *type;
    size_t n;
    int r = json_get_string(j, "token_type", &type, &n);
    if (r != 0)
        return r;
    if (strcasecmp(type, "bearer") != 0)
        return JSON_E_TYPE;

    r = copy_seconds(j, "expires_in", LIMIT_TOKEN_LIFETIME_SEC, &tokens->expires_in_sec);
    if (r == 0)
        r = copy_secret(j, "access_token", LWA_TOKEN_BYTES_MAX, &tokens->access);
    if (r != 0)
        return r;
    r = copy_secret(j, "refresh_token", LWA_TOKEN_BYTES_MAX, &tokens->refresh);
    return r == JSON_E_ABSENT && !needs_refresh_token ? 0 : r;
}

enum lwa_outcome lwa_parse_tokens(const char *body, size_t n, bool needs_refresh_token,
                                  struct lwa_tokens *ret)
{
    _cleanup_(json_freep) struct json *j = NULL;
    _cleanup_(lwa_tokens_clear) struct lwa_tokens tokens = {0};
    if (json_parse(body, n, &j) != 0 || parse_tokens(j, needs_refresh_token, &tokens) != 0)
        return LWA_E_AMBIGUOUS;
    *ret = tokens;
    tokens = (struct lwa_tokens){0};
    return LWA_OK;
}

enum lwa_outcome lwa_parse_token_info(const char *body, size_t n, struct lwa_token_info *ret)
{
    _cleanup_(json_freep) struct json *j = NULL;
    struct lwa_token_info info = {0};
    if (json_parse(body, n, &j) != 0 ||
        copy_text(j, "user_id", '!', info.user_id, sizeof(info.user_id)) != 0 ||
        copy_text(j, "aud", '!', info.audience, sizeof(info.audience)) != 0)
        return LWA_E_TRANSIENT;
    *ret = info;
    return LWA_OK;
}

static bool has_text(const struct json *j, const char *key)
{
    const char *text;
    size_t n;
    return json_get_string(j, key, &text, &n) == 0 && n > 0;
}

enum lwa_outcome lwa_parse_profile(const char *body, size_t n, struct lwa_profile *ret)
{
    _cleanup_(json_freep) struct json *j = NULL;
    if (json_parse(body, n, &j) != 0)
        return LWA_E_TRANSIENT;
    *ret = (struct lwa_profile){has_text(j, "user_id"), has_text(j, "name"), has_text(j, "email")};
    return LWA_OK;
}
