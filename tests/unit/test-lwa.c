/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The four requests as they go over the wire, and their answers as the callers get them. */

#include "tests/unit/unit.h"

#include "broker/limits.h"
#include "broker/lwa.h"
#include "broker/reserve.h"
#include "tests/unit/memory-limit.h"
#include "tests/unit/tls-server.h"

#include "autoconf.h"
#include <poll.h>
#include <signal.h>
#include <string.h>

struct fixture {
    uv_loop_t loop;
    struct http *h;
    struct tls_server *server;
    char url[128];
    struct lwa_request *request;
    unsigned n_calls;
    struct lwa_answer answer;
    bool has_result;
    struct lwa_code_pair pair;
    struct lwa_tokens tokens;
    struct lwa_token_info info;
};

static struct fixture *setup(const char *path)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->server = tls_server_start(TLS_GOOD, TLS_SERVE);
    const struct http_options options = {
        .ca_file = tls_server_ca_file(),
        .connect_timeout_sec = 5,
        .request_timeout_sec = 10,
    };
    assert_int_equal(http_new(&f->loop, &options, &f->h), 0);
    (void)snprintf(f->url, sizeof(f->url), "https://localhost:%d%s", tls_server_port(f->server), path);
    return f;
}

static void teardown(struct fixture *f)
{
    http_free(f->h);
    assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    tls_server_stop(f->server);
    lwa_code_pair_clear(&f->pair);
    lwa_tokens_clear(&f->tokens);
    free(f);
}

static void script(struct fixture *f, int status, const char *body)
{
    char reply[4096];
    (void)snprintf(reply, sizeof(reply),
                   "HTTP/1.1 %d x\r\nContent-Type: application/json\r\nx-amzn-RequestId: id-1\r\n"
                   "Retry-After: 9\r\nContent-Length: %zu\r\n\r\n%s",
                   status, strlen(body), body);
    tls_server_set_reply(f->server, reply);
}

static void take_answer(struct fixture *f, const struct lwa_answer *answer, bool has_result)
{
    f->n_calls++;
    f->answer = *answer;
    f->has_result = has_result;
    assert_int_equal(has_result, answer->outcome == LWA_OK);
    lwa_request_drop(f->request); /* its own: harmless */
    f->request = NULL;
}

static void on_code_pair(const struct lwa_answer *answer, struct lwa_code_pair *pair, void *userdata)
{
    struct fixture *f = userdata;
    take_answer(f, answer, pair);
    if (!pair)
        return;
    f->pair = *pair;
    pair->device_code = NULL; /* taken */
}

static void on_tokens(const struct lwa_answer *answer, struct lwa_tokens *tokens, void *userdata)
{
    struct fixture *f = userdata;
    take_answer(f, answer, tokens);
    if (!tokens)
        return;
    f->tokens.access = TAKE_PTR(tokens->access); /* the refresh token is left, to be freed */
    f->tokens.expires_in_sec = tokens->expires_in_sec;
}

static void on_token_info(const struct lwa_answer *answer, const struct lwa_token_info *info, void *userdata)
{
    struct fixture *f = userdata;
    take_answer(f, answer, info);
    if (info)
        f->info = *info;
}

static void run(struct fixture *f)
{
    while (f->n_calls == 0)
        (void)uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->n_calls, 1);
    assert_string_equal(f->answer.request_id, "id-1");
    assert_int_equal(f->answer.retry_after_sec, 9);
    assert_true(f->answer.sent_usec > 0);
}

static struct secret *secret_of(const char *text)
{
    struct secret *s = NULL;
    assert_int_equal(secret_new(text, strlen(text), &s), 0);
    return s;
}

static void assert_body(struct fixture *f, const char *expected)
{
    const char *request = tls_server_last_request(f->server);
    const char *body = strstr(request, "\r\n\r\n");
    assert_non_null(body);
    assert_string_equal(body + 4, expected);
}

static void test_code_pair(void **state _unused_)
{
    struct fixture *f = setup("/scripted");
    script(f, 200,
           "{\"user_code\":\"BEYHYS\",\"device_code\":\"dc\",\"verification_uri\":\"https://amazon.com/us/"
           "code\","
           "\"expires_in\":600,\"interval\":30}");
    assert_int_equal(lwa_request_code_pair(f->h, f->url, "client", "a:b profile", "{\"a:b\":1}", "de-DE",
                                           on_code_pair, f, &f->request),
                     0);
    run(f);
    assert_int_equal(f->answer.outcome, LWA_OK);
    assert_int_equal(f->answer.status, 200);
    assert_string_equal(f->pair.user_code, "BEYHYS");
    assert_int_equal(secret_size(f->pair.device_code), 2);
    assert_body(
        f,
        "response_type=device_code&client_id=client&scope=a%3Ab%20profile&scope_data=%7B%22a%3Ab%22%3A1%7D");
    assert_non_null(strstr(tls_server_last_request(f->server), "\r\nAccept-Language: de-DE\r\n"));
    teardown(f);

    f = setup("/scripted");
    script(f, 400, "{\"error\":\"unauthorized_client\"}");
    assert_int_equal(
        lwa_request_code_pair(f->h, f->url, "client", "profile", NULL, NULL, on_code_pair, f, &f->request),
        0);
    run(f);
    assert_int_equal(f->answer.outcome, LWA_E_CLIENT);
    assert_body(f, "response_type=device_code&client_id=client&scope=profile");
    assert_null(strstr(tls_server_last_request(f->server), "Accept-Language"));
    teardown(f);
}

static void test_poll(void **state _unused_)
{
    static const struct {
        int status;
        const char *body;
        enum lwa_outcome outcome;
    } cases[] = {
        {400, "{\"error\":\"authorization_pending\"}", LWA_E_PENDING},
        {200,
         "{\"access_token\":\"a\",\"refresh_token\":\"r\",\"token_type\":\"bearer\",\"expires_in\":3600}",
         LWA_OK},
        {200, "{\"access_token\":\"a\",\"token_type\":\"bearer\",\"expires_in\":3600}", LWA_E_AMBIGUOUS},
    };
    struct secret *code = secret_of("d|c");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fixture *f = setup("/scripted");
        script(f, cases[i].status, cases[i].body);
        assert_int_equal(lwa_request_poll(f->h, f->url, code, "BEYHYS", on_tokens, f, &f->request), 0);
        run(f);
        assert_int_equal(f->answer.outcome, cases[i].outcome);
        assert_body(f, "grant_type=device_code&device_code=d%7Cc&user_code=BEYHYS");
        teardown(f);
    }
    secret_free(code);
}

static void test_refresh(void **state _unused_)
{
    struct secret *token = secret_of("Atzr|1"), *client_secret = secret_of("s=");
    struct fixture *f = setup("/scripted");
    script(f, 200, "{\"access_token\":\"Atza|2\",\"token_type\":\"bearer\",\"expires_in\":\"3600\"}");
    assert_int_equal(
        lwa_request_refresh(f->h, f->url, "client", NULL, token, NULL, on_tokens, f, &f->request), 0);
    run(f);
    assert_int_equal(f->answer.outcome, LWA_OK);
    assert_int_equal(f->tokens.expires_in_sec, 3600);
    assert_memory_equal(secret_bytes(f->tokens.access), "Atza|2", 6);
    assert_body(f, "grant_type=refresh_token&refresh_token=Atzr%7C1&client_id=client");
    teardown(f);

    f = setup("/scripted");
    script(f, 400, "{\"error\":\"invalid_grant\"}");
    assert_int_equal(lwa_request_refresh(f->h, f->url, "client", client_secret, token, "profile", on_tokens,
                                         f, &f->request),
                     0);
    run(f);
    assert_int_equal(f->answer.outcome, LWA_E_INVALID_GRANT);
    assert_int_equal(f->answer.status, 400);
    assert_body(
        f,
        "grant_type=refresh_token&refresh_token=Atzr%7C1&client_id=client&client_secret=s%3D&scope=profile");
    teardown(f);
    secret_free(token);
    secret_free(client_secret);
}

static void test_exchange(void **state _unused_)
{
    static const char start[] =
        "grant_type=authorization_code&code=AN%7Cc&redirect_uri=http%3A%2F%2F127.0.0.1%3A9%"
        "2Fcb&client_id=client";
    static const struct {
        unsigned status;
        const char *body;
        enum lwa_outcome outcome;
    } cases[] = {
        {200,
         "{\"access_token\":\"a\",\"refresh_token\":\"r\",\"token_type\":\"bearer\",\"expires_in\":3600}",
         LWA_OK},
        /* a web client without its secret: the caller says so */
        {200, "{\"access_token\":\"a\",\"token_type\":\"bearer\",\"expires_in\":3600}", LWA_OK},
        {200, "<html>", LWA_E_AMBIGUOUS},
        {400, "{\"error\":\"invalid_grant\"}", LWA_E_EXPIRED},
    };
    struct secret *code = secret_of("AN|c"), *verifier = secret_of("v-1"), *client_secret = secret_of("s=");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        for (unsigned with_secret = 0; with_secret < 2; with_secret++) {
            struct fixture *f = setup("/scripted");
            char body[256];
            script(f, cases[i].status, cases[i].body);
            assert_int_equal(lwa_request_exchange(f->h, f->url, "client", with_secret ? client_secret : NULL,
                                                  code, verifier, "http://127.0.0.1:9/cb", on_tokens, f,
                                                  &f->request),
                             0);
            run(f);
            assert_int_equal(f->answer.outcome, cases[i].outcome);
            (void)snprintf(body, sizeof(body), "%s%s&code_verifier=v-1", start,
                           with_secret ? "&client_secret=s%3D" : "");
            assert_body(f, body);
            teardown(f);
        }
    secret_free(code);
    secret_free(verifier);
    secret_free(client_secret);
}

static void test_token_info(void **state _unused_)
{
    struct secret *token = secret_of("Atza|2");
    struct fixture *f = setup("/scripted");
    script(f, 200, "{\"user_id\":\"u\",\"aud\":\"client\"}");
    assert_int_equal(lwa_request_token_info(f->h, f->url, token, on_token_info, f, &f->request), 0);
    run(f);
    assert_int_equal(f->answer.outcome, LWA_OK);
    assert_string_equal(f->info.user_id, "u");
    assert_string_equal(f->info.audience, "client");
    assert_non_null(strstr(tls_server_last_request(f->server), "GET /scripted HTTP/1.1\r\n"));
    assert_non_null(strstr(tls_server_last_request(f->server), "\r\nx-amz-access-token: Atza|2\r\n"));
    teardown(f);
    secret_free(token);
}

static void test_lost_answer(void **state _unused_)
{
    struct secret *token = secret_of("Atzr|1");
    struct fixture *f = setup("/die");
    assert_int_equal(
        lwa_request_refresh(f->h, f->url, "client", NULL, token, NULL, on_tokens, f, &f->request), 0);
    while (f->n_calls == 0)
        (void)uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->answer.outcome, LWA_E_AMBIGUOUS);
    assert_int_equal(f->answer.failure, HTTP_E_LOST);
    assert_int_equal(f->answer.status, 0);
    teardown(f);
    secret_free(token);
}

static void test_drop(void **state _unused_)
{
    struct secret *token = secret_of("Atzr|1");
    struct fixture *f = setup("/hang");
    assert_int_equal(
        lwa_request_refresh(f->h, f->url, "client", NULL, token, NULL, on_tokens, f, &f->request), 0);
    while (tls_server_count_requests(f->server) == 0) {
        (void)uv_run(&f->loop, UV_RUN_NOWAIT);
        (void)poll(NULL, 0, 1);
    }
    lwa_request_drop(f->request);
    lwa_request_drop(NULL);
    assert_int_equal(f->n_calls, 0);
    teardown(f);
    secret_free(token);
}

static void test_bad_arguments(void **state _unused_)
{
    struct fixture *f = setup("/ok");
    struct secret *token = secret_of("Atzr|1"), *split = NULL, *line = secret_of("a\r\nb");
    assert_int_equal(secret_new("a\0b", 3, &split), 0);
    assert_int_equal(
        lwa_request_refresh(f->h, "http://localhost/", "c", NULL, token, NULL, on_tokens, f, &f->request),
        -EINVAL);
    assert_int_equal(lwa_request_refresh(f->h, f->url, "c", NULL, split, NULL, on_tokens, f, &f->request),
                     -EINVAL);
    assert_int_equal(lwa_request_refresh(f->h, f->url, "c", split, token, NULL, on_tokens, f, &f->request),
                     -EINVAL);
    assert_int_equal(lwa_request_poll(f->h, f->url, split, "u", on_tokens, f, &f->request), -EINVAL);
    assert_int_equal(lwa_request_token_info(f->h, f->url, split, on_token_info, f, &f->request), -EINVAL);
    assert_int_equal(lwa_request_token_info(f->h, f->url, line, on_token_info, f, &f->request), -EINVAL);
    assert_int_equal(
        lwa_request_code_pair(f->h, f->url, "c", "s", NULL, "a\nb", on_code_pair, f, &f->request), -EINVAL);
    assert_null(f->request);
    teardown(f);
    secret_free(token);
    secret_free(split);
    secret_free(line);
}

#if !LWA_SANITIZE

/* The reserve cannot be filled, though there is memory enough for the request: nothing may be sent. */
static void test_no_memory_for_an_answer(void **state _unused_)
{
    struct fixture *f = setup("/scripted");
    struct secret *token = secret_of("Atzr|1");
    while (reserve_spend())
        ;
    memory_limit(LIMIT_RESERVE_BLOCK_BYTES - 4096);
    int r = lwa_request_refresh(f->h, f->url, "c", NULL, token, NULL, on_tokens, f, &f->request);
    memory_unlimit();
    assert_int_equal(r, -ENOMEM);
    assert_null(f->request);
    assert_int_equal(tls_server_count_requests(f->server), 0);

    script(f, 200, "{\"access_token\":\"Atza|2\",\"token_type\":\"bearer\",\"expires_in\":3600}");
    assert_int_equal(lwa_request_refresh(f->h, f->url, "c", NULL, token, NULL, on_tokens, f, &f->request), 0);
    run(f);
    assert_true(f->has_result);
    assert_true(reserve_spend());
    teardown(f);
    secret_free(token);
}

#endif

static void on_probed(const struct lwa_answer *answer, void *userdata)
{
    take_answer(userdata, answer, answer->outcome == LWA_OK);
}

static void test_probe(void **state _unused_)
{
    struct fixture *f = setup("/scripted");
    script(f, 400, "{\"error\":\"invalid_request\"}");
    assert_int_equal(lwa_request_probe(f->h, f->url, on_probed, f, &f->request), 0);
    run(f);
    assert_true(f->has_result);
    assert_non_null(strstr(tls_server_last_request(f->server), "GET /scripted HTTP/1.1\r\n"));
    assert_null(strstr(tls_server_last_request(f->server), "access-token"));
    teardown(f);
}

static int end_group(void **state _unused_)
{
    tls_server_forget_ca();
    return 0;
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_code_pair),
        cmocka_unit_test(test_poll),
        cmocka_unit_test(test_refresh),
        cmocka_unit_test(test_exchange),
        cmocka_unit_test(test_token_info),
        cmocka_unit_test(test_lost_answer),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_bad_arguments),
#if !LWA_SANITIZE
        cmocka_unit_test(test_no_memory_for_an_answer),
#endif
        cmocka_unit_test(test_probe),
    };
    return cmocka_run_group_tests(tests, NULL, end_group);
}
