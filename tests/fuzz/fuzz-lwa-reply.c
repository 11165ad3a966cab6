/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Fuzzing the replies of the provider. The first byte of the input chooses what the reply answers, its status
 * and its type; the rest is its body. The body stands at the very end of an allocation, so that the sanitizer
 * sees a read beyond it. Not only crashes count: what is promised of good results is checked. */

#include "broker/lwa.h"
#include "tests/fuzz/fuzz.h"

static void try_classify(unsigned char choice, const char *body, size_t n)
{
    static const long statuses[] = {200, 204, 302, 400, 401, 429, 500, 503};
    enum lwa_request_kind kind = choice & 3;
    char *terminated = calloc(1, n + 1);
    require(terminated);
    memcpy(terminated, body, n);
    const struct http_reply reply = {
        .failure = HTTP_OK,
        .sent = true,
        .status = statuses[choice >> 2 & 7],
        .body = terminated,
        .n = n,
        .is_json = !(choice & 32),
    };
    enum lwa_outcome outcome = lwa_classify(kind, &reply);
    require(lwa_outcome_name(outcome));
    if (outcome == LWA_E_INVALID_GRANT)
        require(kind == LWA_REFRESH && reply.is_json && (reply.status == 400 || reply.status == 401));
    if (outcome == LWA_OK)
        require(reply.status == 200);
    free(terminated);
}

static void try_parse(unsigned char choice, const char *body, size_t n)
{
    _cleanup_(lwa_code_pair_clear) struct lwa_code_pair pair = {0};
    if (lwa_parse_code_pair(body, n, &pair) == LWA_OK) {
        require_printable(pair.user_code, sizeof(pair.user_code));
        require_printable(pair.verification_uri, sizeof(pair.verification_uri));
        require_printable(pair.verification_uri_complete, sizeof(pair.verification_uri_complete));
        require(secret_size(pair.device_code) <= LWA_CODE_BYTES_MAX);
        require(pair.expires_in_sec >= 1 && pair.expires_in_sec <= 86400);
        require(pair.interval_sec >= 1 && pair.interval_sec <= 3600);
    }

    bool needs_refresh_token = choice & 64;
    _cleanup_(lwa_tokens_clear) struct lwa_tokens tokens = {0};
    if (lwa_parse_tokens(body, n, needs_refresh_token, &tokens) == LWA_OK) {
        require(secret_size(tokens.access) <= LWA_TOKEN_BYTES_MAX);
        require(tokens.refresh || !needs_refresh_token);
        require(!tokens.refresh || secret_size(tokens.refresh) <= LWA_TOKEN_BYTES_MAX);
        require(tokens.expires_in_sec >= 1 && tokens.expires_in_sec <= 86400);
    }

    struct lwa_profile profile;
    (void)!lwa_parse_profile(body, n, &profile);

    struct lwa_token_info info;
    if (lwa_parse_token_info(body, n, &info) == LWA_OK) {
        require_printable(info.user_id, sizeof(info.user_id));
        require_printable(info.audience, sizeof(info.audience));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    char *body = calloc(1, n > 1 ? n - 1 : 1);
    require(body);
    memcpy(body, data + 1, n - 1);
    try_classify(data[0], body, n - 1);
    try_parse(data[0], body, n - 1);
    free(body);
    return 0;
}
