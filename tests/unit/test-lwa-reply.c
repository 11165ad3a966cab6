/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the replies of Login with Amazon mean, and hostile ones. */

#include "tests/unit/unit.h"

#include "broker/lwa.h"

#include <string.h>

static void assert_outcome(enum lwa_outcome outcome, enum lwa_outcome expected, const char *what)
{
    if (outcome != expected)
        fail_msg("%s: %s, not %s", what, lwa_outcome_name(outcome), lwa_outcome_name(expected));
}

/* --- classification ------------------------------------------------------------------------------------- */

#define ERROR_BODY(name, description) "{\"error_description\":\"" description "\",\"error\":\"" name "\"}"
#define P LWA_E_PENDING
#define SD LWA_E_SLOW_DOWN
#define E LWA_E_EXPIRED
#define D LWA_E_DENIED
#define IG LWA_E_INVALID_GRANT
#define C LWA_E_CLIENT
#define CT LWA_E_CLIENT_TYPE
#define S LWA_E_SCOPE
#define IT LWA_E_INVALID_TOKEN
#define R LWA_E_REQUEST
#define T LWA_E_TRANSIENT
#define O LWA_E_OFFLINE
#define PO LWA_E_PORTAL
#define A LWA_E_AMBIGUOUS

/* Per case the outcome for codepair, poll, refresh, tokeninfo, exchange: the order of enum lwa_request_kind.
 */
static const struct {
    long status;
    const char *body;
    enum lwa_outcome outcomes[5];
} replies[] = {
    /* to a poll */
    {400, ERROR_BODY("authorization_pending", "The code pair has not been authorized"), {T, P, T, T, T}},
    {400, "{\"error\":\"slow_down\"}", {T, SD, T, T, T}},
    {400, "{\"error\":\"expired_token\"}", {R, E, R, R, R}},
    {400, "{\"error\":\"invalid_code_pair\"}", {R, E, R, R, R}},
    {400, "{\"error\":\"access_denied\"}", {D, D, R, R, D}},
    {400, "{\"error\":\"unsupported_response_type\"}", {R, R, R, R, R}},
    {400, "{\"error\":\"InvalidValue\"}", {R, R, R, R, R}},
    {400, "{\"error\":\"servererror\"}", {T, T, T, T, T}},
    {400, "{\"error\":\"server_error\"}", {T, T, T, T, T}},
    {400, "{\"error\":\"ServerError\"}", {T, T, T, T, T}},
    {400, "{\"error\":\"SERVER__ERROR_\"}", {T, T, T, T, T}},
    {400, "{\"error\":\"servererrors\"}", {R, R, R, R, R}},
    {400, "{\"error\":\"server\"}", {R, R, R, R, R}},
    {400, "{\"error\":\"temporarily_unavailable\"}", {T, T, T, T, T}},
    /* of the token endpoint */
    {400,
     ERROR_BODY("invalid_grant", "The request has an invalid grant parameter : refresh_token"),
     {R, R, IG, R, E}},
    {400, "{\"error_index\":\"Ab0=\",\"request_id\":\"x\",\"error\":\"invalid_grant\"}", {R, R, IG, R, E}},
    {401, "{\"error\":\"invalid_grant\"}", {R, R, IG, R, E}},
    {400,
     ERROR_BODY("invalid_request", "The request is missing a required parameter : client_secret"),
     {R, CT, CT, R, CT}},
    {400,
     ERROR_BODY("invalid_request", "The request is missing a required parameter : refresh_token"),
     {R, R, R, R, R}},
    {400, ERROR_BODY("invalid_request", "Malformed request"), {R, R, R, R, R}},
    {400, ERROR_BODY("invalid_request", "invalid parameter : access_token"), {R, R, R, IT, R}},
    {400, "{\"error\":\"invalid_request\",\"error_description\":[\"client_secret\"]}", {R, R, R, R, R}},
    {400, "{\"error\":\"unsupported_grant_type\"}", {R, R, R, R, R}},
    {401, ERROR_BODY("invalid_client", "Client authentication failed"), {C, C, C, C, C}},
    {400, "{\"error\":\"invalid_client\"}", {C, C, C, C, C}},
    {400, ERROR_BODY("unauthorized_client", "Not authorized for requested operation"), {C, C, C, C, C}},
    {400, ERROR_BODY("invalid_scope", "The request has an invalid parameter : scope"), {S, S, S, S, S}},
    {401, "{\"error\":\"insufficient_scope\"}", {S, S, S, S, S}},
    {400, "{\"error\":\"invalid_token\"}", {R, R, R, IT, R}},
    {400, "{\"error\":\"%s%n\"}", {R, R, R, R, R}},
    /* I6: what only looks terminal */
    {500, "{\"error\":\"invalid_grant\"}", {T, T, T, T, T}},
    {503, "{\"error\":\"invalid_grant\"}", {T, T, T, T, T}},
    {502, "<html>bad gateway: invalid_grant</html>", {T, T, T, T, T}},
    {504, "", {T, T, T, T, T}},
    {429, "{\"error\":\"invalid_grant\"}", {T, T, T, T, T}},
    {429, "{\"error\":\"slow_down\"}", {T, SD, T, T, T}},
    {429, "", {T, T, T, T, T}},
    {302, "{\"error\":\"invalid_grant\"}", {PO, PO, PO, PO, PO}},
    {307, "", {PO, PO, PO, PO, PO}},
    {399, "", {PO, PO, PO, PO, PO}},
    {511, "<html>log in to the network</html>", {T, T, T, T, T}},
    {400, "{\"error\":\"Invalid_Grant\"}", {R, R, R, R, R}},
    {400, "{\"error\":\"invalid_grant \"}", {R, R, R, R, R}},
    {400, "{\"error\":\"invalid_grant\",\"error\":\"invalid_grant\"}", {T, T, T, T, T}},
    {400, "{\"error\":\"invalid_grant\\u0000\"}", {T, T, T, T, T}},
    {400, "{\"error\":[\"invalid_grant\"]}", {T, T, T, T, T}},
    {400, "{\"error\":{\"code\":\"invalid_grant\"}}", {T, T, T, T, T}},
    {400, "[{\"error\":\"invalid_grant\"}]", {T, T, T, T, T}},
    {400, "{\"error\":\"invalid_grant\"", {T, T, T, T, T}},
    {400, "{\"error\":\"invalid_grant\"}<!-- -->", {T, T, T, T, T}},
    {400, "{\"error\":\"\"}", {T, T, T, T, T}},
    {400,
     "{\"error\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
     {T, T, T, T, T}},
    {400, "{\"message\":\"no\"}", {T, T, T, T, T}},
    {400, "{}", {T, T, T, T, T}},
    {404, "<html>not found</html>", {T, T, T, T, T}},
    {403, "", {T, T, T, T, T}},
    /* not what a good reply looks like, and yet something may have been issued */
    {200, "anything: the parser decides", {LWA_OK, LWA_OK, LWA_OK, LWA_OK, LWA_OK}},
    {204, "", {T, A, A, T, A}},
    {202, "{}", {T, A, A, T, A}},
};

static void test_replies(void **state _unused_)
{
    for (size_t i = 0; i < ARRAY_SIZE(replies); i++)
        for (unsigned kind = LWA_CODEPAIR; kind <= LWA_EXCHANGE; kind++) {
            struct http_reply reply = {
                .failure = HTTP_OK,
                .sent = true,
                .status = replies[i].status,
                .body = replies[i].body,
                .n = strlen(replies[i].body),
                .is_json = true,
            };
            char what[200];
            (void)snprintf(what, sizeof(what), "kind %u, %ld %s", kind, reply.status, reply.body);
            assert_outcome(lwa_classify(kind, &reply), replies[i].outcomes[kind], what);

            reply.is_json = false; /* the same bytes as a page: never an answer of the service */
            enum lwa_outcome expected = reply.status < 400 ? replies[i].outcomes[kind] : LWA_E_TRANSIENT;
            assert_outcome(lwa_classify(kind, &reply), expected, what);
        }
}

/* Without a token every answer is a refusal; who gives it is the question. */
static void test_probe(void **state _unused_)
{
    static const struct {
        long status;
        bool is_json;
        enum lwa_outcome outcome;
    } cases[] = {
        {400, true, LWA_OK},  {401, false, LWA_OK}, {404, false, LWA_OK}, {429, false, LWA_OK},
        {500, false, LWA_OK}, {503, true, LWA_OK},  {200, true, LWA_OK},  {200, false, PO},
        {204, false, PO},     {302, true, PO},      {307, false, PO},     {511, false, PO},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct http_reply reply = {.failure = HTTP_OK,
                                         .sent = true,
                                         .status = cases[i].status,
                                         .body = "",
                                         .is_json = cases[i].is_json};
        char what[32];
        (void)snprintf(what, sizeof(what), "%ld %d", reply.status, reply.is_json);
        assert_outcome(lwa_classify(LWA_PROBE, &reply), cases[i].outcome, what);
    }
}

static void test_failures(void **state _unused_)
{
    static const struct {
        enum http_failure failure;
        bool sent;
        enum lwa_outcome token;
        enum lwa_outcome other;
    } cases[] = {
        {HTTP_E_RESOLVE, false, O, O},  {HTTP_E_CONNECT, false, O, O},
        {HTTP_E_TLS, false, O, O},      {HTTP_E_TLS_TIME, false, LWA_E_CLOCK, LWA_E_CLOCK},
        {HTTP_E_INTERNAL, false, T, T}, {HTTP_E_LOST, true, A, T},
        {HTTP_E_TOO_LARGE, true, A, T}, {HTTP_E_INTERNAL, true, A, T},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct http_reply reply = {.failure = cases[i].failure, .sent = cases[i].sent, .body = ""};
        const char *what = http_failure_name(reply.failure);
        assert_outcome(lwa_classify(LWA_POLL, &reply), cases[i].token, what);
        assert_outcome(lwa_classify(LWA_REFRESH, &reply), cases[i].token, what);
        assert_outcome(lwa_classify(LWA_EXCHANGE, &reply), cases[i].token, what);
        assert_outcome(lwa_classify(LWA_CODEPAIR, &reply), cases[i].other, what);
        assert_outcome(lwa_classify(LWA_TOKENINFO, &reply), cases[i].other, what);
        assert_outcome(lwa_classify(LWA_PROBE, &reply), cases[i].other, what);
    }
}

static void test_names(void **state _unused_)
{
    for (unsigned o = LWA_OK; o <= LWA_E_AMBIGUOUS; o++)
        assert_true(strlen(lwa_outcome_name(o)) > 1);
    for (unsigned f = HTTP_OK; f <= HTTP_E_INTERNAL; f++)
        assert_true(strlen(http_failure_name(f)) > 1);
}

/* --- token replies ----------------------------------------------------------------------------------------
 */

static void assert_secret(const struct secret *s, const char *expected)
{
    assert_int_equal(secret_size(s), strlen(expected));
    assert_memory_equal(secret_bytes(s), expected, strlen(expected));
}

static void test_tokens(void **state _unused_)
{
    static const struct {
        const char *body;
        const char *refresh; /* NULL: none */
        uint32_t expires_in_sec;
    } cases[] = {
        {"{\"access_token\":\"Atza|x\",\"refresh_token\":\"Atzr|y\",\"token_type\":\"bearer\",\"expires_in\":"
         "3600}",
         "Atzr|y", 3600},
        {"{\"access_token\":\"Atza|x\",\"token_type\":\"Bearer\",\"expires_in\":\"3600\"}", NULL, 3600},
        {"{\"access_token\":\"Atza|x\",\"refresh_token\":null,\"token_type\":\"BEARER\",\"expires_in\":1}",
         NULL, 1},
        {"{\"new\":{\"member\":[1,2.5,null]},\"access_token\":\"Atza|x\",\"token_type\":\"bearer\",\"expires_"
         "in\":"
         "\"86401\",\"scope\":\"music::library\"}\r\n",
         NULL, 86400},
        {"{\"access_token\":\"Atza|x\",\"token_type\":\"bearer\",\"expires_in\":9223372036854775807}", NULL,
         86400},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_(lwa_tokens_clear) struct lwa_tokens tokens = {0};
        assert_outcome(lwa_parse_tokens(cases[i].body, strlen(cases[i].body), false, &tokens), LWA_OK,
                       cases[i].body);
        assert_secret(tokens.access, "Atza|x");
        assert_int_equal(tokens.expires_in_sec, cases[i].expires_in_sec);
        if (cases[i].refresh)
            assert_secret(tokens.refresh, cases[i].refresh);
        else
            assert_null(tokens.refresh);

        lwa_tokens_clear(&tokens);
        assert_outcome(lwa_parse_tokens(cases[i].body, strlen(cases[i].body), true, &tokens),
                       cases[i].refresh ? LWA_OK : LWA_E_AMBIGUOUS, cases[i].body);
    }
}

/* One good reply with one member replaced by each of the bad values. */
static void test_bad_tokens(void **state _unused_)
{
    static const struct {
        const char *member;
        const char *value; /* NULL: the member is left out */
    } cases[] = {
        {"access_token", NULL},
        {"access_token", "null"},
        {"access_token", "1"},
        {"access_token", "\"\""},
        {"access_token", "{\"a\":\"b\"}"},
        {"access_token", "\"a b\""},
        {"access_token", "\"a\\u0000\""},
        {"access_token", "\"a\\r\\nX: y\""},
        {"access_token", "\"\xc3\xa9\""},
        {"access_token", "\"\\u007f\""},
        {"refresh_token", "\"\""},
        {"refresh_token", "7"},
        {"refresh_token", "\"a\\tb\""},
        {"refresh_token", "false"},
        {"token_type", NULL},
        {"token_type", "\"mac\""},
        {"token_type", "\"bearer \""},
        {"token_type", "\"\""},
        {"token_type", "3"},
        {"expires_in", NULL},
        {"expires_in", "0"},
        {"expires_in", "-1"},
        {"expires_in", "3600.0"},
        {"expires_in", "36e2"},
        {"expires_in", "\"\""},
        {"expires_in", "\"-1\""},
        {"expires_in", "\"1h\""},
        {"expires_in", "\"0\""},
        {"expires_in", "true"},
        {"expires_in", "[3600]"},
        {"expires_in", "-99999999999999999999999"},
        {"expires_in", "99999999999999999999999"},
        {"expires_in", "\"99999999999999999999999\""},
    };
    static const char *const good[][2] = {{"access_token", "\"Atza|x\""},
                                          {"refresh_token", "\"Atzr|y\""},
                                          {"token_type", "\"bearer\""},
                                          {"expires_in", "3600"}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char body[512] = "{\"first\":1";
        size_t n = strlen(body);
        for (size_t k = 0; k < ARRAY_SIZE(good); k++) {
            bool replaced = strcmp(good[k][0], cases[i].member) == 0;
            if (replaced && !cases[i].value)
                continue;
            n += (size_t)snprintf(body + n, sizeof(body) - n, ",\"%s\":%s", good[k][0],
                                  replaced ? cases[i].value : good[k][1]);
        }
        n += (size_t)snprintf(body + n, sizeof(body) - n, "}");
        struct lwa_tokens tokens = {.expires_in_sec = 77};
        assert_outcome(lwa_parse_tokens(body, n, false, &tokens), LWA_E_AMBIGUOUS, body);
        assert_int_equal(tokens.expires_in_sec, 77); /* untouched */
    }
}

static enum lwa_outcome parse_token_of(size_t size, bool refresh)
{
    char body[LWA_TOKEN_BYTES_MAX + 256], token[LWA_TOKEN_BYTES_MAX + 16];
    memset(token, 'a', size);
    token[size] = '\0';
    int n = snprintf(
        body, sizeof(body),
        "{\"access_token\":\"%s\",\"refresh_token\":\"%s\",\"token_type\":\"bearer\",\"expires_in\":60}",
        refresh ? "x" : token, refresh ? token : "x");
    _cleanup_(lwa_tokens_clear) struct lwa_tokens tokens = {0};
    return lwa_parse_tokens(body, (size_t)n, true, &tokens);
}

static void test_token_sizes(void **state _unused_)
{
    assert_outcome(parse_token_of(2048, false), LWA_OK, "access, 2048");
    assert_outcome(parse_token_of(2049, false), LWA_E_AMBIGUOUS, "access, 2049");
    assert_outcome(parse_token_of(2048, true), LWA_OK, "refresh, 2048");
    assert_outcome(parse_token_of(2049, true), LWA_E_AMBIGUOUS, "refresh, 2049");
}

/* Every proper prefix of a good reply. */
static void test_truncated(void **state _unused_)
{
    static const char body[] = "{\"access_token\":\"Atza|x\",\"refresh_token\":\"Atzr|y\",\"token_type\":"
                               "\"bearer\",\"expires_in\":3600}";
    for (size_t n = 0; n < sizeof(body) - 1; n++) {
        char *exact = malloc(n + 1); /* so that a sanitizer sees a read beyond the end */
        memcpy(exact, body, n);
        char *shrunk = realloc(exact, n ? n : 1);
        struct lwa_tokens tokens = {0};
        assert_outcome(lwa_parse_tokens(shrunk, n, true, &tokens), LWA_E_AMBIGUOUS, "truncated");
        free(shrunk);
    }
}

static void test_not_tokens(void **state _unused_)
{
    static const struct {
        const char *body;
        size_t n;
    } cases[] = {
        {"", 0},
        {"{}", 2},
        {"<html></html>", 13},
        {"{\"error\":\"authorization_pending\"}", 33},
        {"{\"access_token\":\"a\xff\",\"token_type\":\"bearer\",\"expires_in\":1}", 58},
        {"{\"access_token\":\"a\0b\",\"token_type\":\"bearer\",\"expires_in\":1}", 59},
        {"{\"access_token\":\"a\",\"access_token\":\"b\",\"token_type\":\"bearer\",\"expires_in\":1}", 76},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct lwa_tokens tokens = {0};
        assert_outcome(lwa_parse_tokens(cases[i].body, cases[i].n, false, &tokens), LWA_E_AMBIGUOUS,
                       cases[i].body);
        struct lwa_code_pair pair = {0};
        assert_outcome(lwa_parse_code_pair(cases[i].body, cases[i].n, &pair), LWA_E_TRANSIENT, cases[i].body);
        struct lwa_token_info info;
        assert_outcome(lwa_parse_token_info(cases[i].body, cases[i].n, &info), LWA_E_TRANSIENT,
                       cases[i].body);
    }

    static char nested[20016];
    size_t n = (size_t)snprintf(nested, sizeof(nested), "{\"a\":");
    memset(nested + n, '[', 10000);
    memset(nested + n + 10000, ']', 10000);
    nested[n + 20000] = '}';
    struct lwa_tokens tokens = {0};
    assert_outcome(lwa_parse_tokens(nested, n + 20001, false, &tokens), LWA_E_AMBIGUOUS, "nested");
}

/* --- code pairs and token info -------------------------------------------------------------------------- */

static const char *const good_pair[][2] = {
    {"user_code", "\"BEYHYS\""},
    {"device_code", "\"0f8fad5b-d9cb-469f-a165-70867728950e\""},
    {"verification_uri", "\"https://amazon.com/us/code\""},
    {"expires_in", "600"},
    {"interval", "30"},
};

static enum lwa_outcome parse_pair_with(const char *member, const char *value, struct lwa_code_pair *ret)
{
    char body[2048] = "{\"first\":1";
    size_t n = strlen(body);
    bool replaced = false;
    for (size_t k = 0; k < ARRAY_SIZE(good_pair); k++) {
        bool here = strcmp(good_pair[k][0], member) == 0;
        replaced |= here;
        if (here && !value)
            continue;
        n += (size_t)snprintf(body + n, sizeof(body) - n, ",\"%s\":%s", good_pair[k][0],
                              here ? value : good_pair[k][1]);
    }
    if (!replaced && value)
        n += (size_t)snprintf(body + n, sizeof(body) - n, ",\"%s\":%s", member, value);
    n += (size_t)snprintf(body + n, sizeof(body) - n, "}");
    return lwa_parse_code_pair(body, n, ret);
}

static void test_code_pair(void **state _unused_)
{
    static const struct {
        const char *member;
        const char *value;
        const char *uri;
        const char *complete;
        uint32_t expires_in_sec;
        uint32_t interval_sec;
    } cases[] = {
        {"", NULL, "https://amazon.com/us/code", "", 600, 30},
        {"interval", NULL, "https://amazon.com/us/code", "", 600, 5},
        {"interval", "\"7\"", "https://amazon.com/us/code", "", 600, 7},
        {"interval", "99999", "https://amazon.com/us/code", "", 600, 3600},
        {"expires_in", "100000", "https://amazon.com/us/code", "", 86400, 30},
        {"verification_uri", "\"HTTP://www.example.com/device\"", "HTTP://www.example.com/device", "", 600,
         30},
        {"verification_uri_complete", "\"https://a.example/?code=1\"", "https://amazon.com/us/code",
         "https://a.example/?code=1", 600, 30},
        {"verification_uri_complete", "\"javascript:alert(1)\"", "https://amazon.com/us/code", "", 600, 30},
        {"verification_uri_complete", "17", "https://amazon.com/us/code", "", 600, 30},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_(lwa_code_pair_clear) struct lwa_code_pair pair = {0};
        assert_outcome(parse_pair_with(cases[i].member, cases[i].value, &pair), LWA_OK, cases[i].member);
        assert_string_equal(pair.user_code, "BEYHYS");
        assert_secret(pair.device_code, "0f8fad5b-d9cb-469f-a165-70867728950e");
        assert_string_equal(pair.verification_uri, cases[i].uri);
        assert_string_equal(pair.verification_uri_complete, cases[i].complete);
        assert_int_equal(pair.expires_in_sec, cases[i].expires_in_sec);
        assert_int_equal(pair.interval_sec, cases[i].interval_sec);
    }
}

static void test_bad_code_pair(void **state _unused_)
{
    static const struct {
        const char *member;
        const char *value;
    } cases[] = {
        {"user_code", NULL},
        {"user_code", "\"\""},
        {"user_code", "94238"},
        {"user_code", "\"A\\u001b[2JB\""},
        {"user_code", "\"\xd0\x90\xd0\x91\""},
        {"user_code", "\"012345678901234567890123456789012\""},
        {"device_code", NULL},
        {"device_code", "\"\""},
        {"device_code", "\"a b\""},
        {"verification_uri", NULL},
        {"verification_uri", "\"\""},
        {"verification_uri", "\"ftp://amazon.com/\""},
        {"verification_uri", "\"javascript:alert(1)\""},
        {"verification_uri", "\"https://\""},
        {"verification_uri", "\"https:///x\""},
        {"verification_uri", "\"https://a b\""},
        {"verification_uri", "\"https://a\\nb\""},
        {"verification_uri", "\"https://\xc3\xa9.example\""},
        {"verification_uri", "\" https://amazon.com\""},
        {"expires_in", NULL},
        {"expires_in", "0"},
        {"expires_in", "-600"},
        {"expires_in", "600.5"},
        {"interval", "0"},
        {"interval", "-5"},
        {"interval", "\"soon\""},
        {"interval", "[]"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct lwa_code_pair pair = {0};
        char what[128];
        (void)snprintf(what, sizeof(what), "%s = %s", cases[i].member,
                       cases[i].value ? cases[i].value : "none");
        assert_outcome(parse_pair_with(cases[i].member, cases[i].value, &pair), LWA_E_TRANSIENT, what);
        assert_null(pair.device_code);
    }
}

/* Texts at their bounds: the longest that fits, and one byte more. */
static void test_code_pair_sizes(void **state _unused_)
{
    static const struct {
        const char *member;
        const char *prefix;
        size_t max;
    } cases[] = {
        {"user_code", "", LWA_USER_CODE_SIZE - 1},
        {"device_code", "", LWA_CODE_BYTES_MAX},
        {"verification_uri", "https://", LWA_URI_SIZE - 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        for (size_t extra = 0; extra < 2; extra++) {
            char value[1024];
            size_t n = cases[i].max + extra;
            value[0] = '"';
            memset(value + 1, 'A', n);
            memcpy(value + 1, cases[i].prefix, strlen(cases[i].prefix));
            memcpy(value + 1 + n, "\"", 2);
            _cleanup_(lwa_code_pair_clear) struct lwa_code_pair pair = {0};
            assert_outcome(parse_pair_with(cases[i].member, value, &pair), extra ? LWA_E_TRANSIENT : LWA_OK,
                           cases[i].member);
        }
}

static void test_token_info(void **state _unused_)
{
    static const char body[] =
        "{\"iss\":\"https://www.amazon.com\",\"user_id\":\"amzn1.account.A\","
        "\"aud\":\"amzn1.application-oa2-client.b\",\"app_id\":\"c\",\"exp\":818,\"iat\":1475349936}";
    struct lwa_token_info info;
    assert_outcome(lwa_parse_token_info(body, sizeof(body) - 1, &info), LWA_OK, body);
    assert_string_equal(info.user_id, "amzn1.account.A");
    assert_string_equal(info.audience, "amzn1.application-oa2-client.b");

    static const char *const bad[] = {
        "{\"user_id\":\"a\"}",
        "{\"aud\":\"a\"}",
        "{\"user_id\":\"\",\"aud\":\"a\"}",
        "{\"user_id\":\"a b\",\"aud\":\"a\"}",
        "{\"user_id\":[\"a\"],\"aud\":\"a\"}",
        "{\"user_id\":\"a\",\"aud\":null}",
        "{\"user_id\":\"a\",\"user_id\":\"b\",\"aud\":\"a\"}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_outcome(lwa_parse_token_info(bad[i], strlen(bad[i]), &info), LWA_E_TRANSIENT, bad[i]);
    assert_string_equal(info.user_id, "amzn1.account.A"); /* untouched */
}

static void test_profile(void **state _unused_)
{
    static const struct {
        const char *body;
        bool has_user_id, has_name, has_email;
    } cases[] = {
        {"{\"user_id\":\"a\",\"name\":\"b\",\"email\":\"c\",\"postal_code\":\"d\"}", true, true, true},
        {"{\"user_id\":\"a\"}", true, false, false},
        {"{\"user_id\":\"a\",\"name\":\"\",\"email\":null}", true, false, false},
        {"{\"user_id\":7,\"email\":\"c\"}", false, false, true},
        {"{}", false, false, false},
    };
    struct lwa_profile profile;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *body = cases[i].body;
        assert_outcome(lwa_parse_profile(body, strlen(body), &profile), LWA_OK, body);
        assert_int_equal(profile.has_user_id, cases[i].has_user_id);
        assert_int_equal(profile.has_name, cases[i].has_name);
        assert_int_equal(profile.has_email, cases[i].has_email);
    }
    assert_outcome(lwa_parse_profile("<html>", 6, &profile), LWA_E_TRANSIENT, "a page");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),       cmocka_unit_test(test_probe),
        cmocka_unit_test(test_failures),      cmocka_unit_test(test_names),
        cmocka_unit_test(test_tokens),        cmocka_unit_test(test_bad_tokens),
        cmocka_unit_test(test_token_sizes),   cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_not_tokens),    cmocka_unit_test(test_code_pair),
        cmocka_unit_test(test_bad_code_pair), cmocka_unit_test(test_code_pair_sizes),
        cmocka_unit_test(test_token_info),    cmocka_unit_test(test_profile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
