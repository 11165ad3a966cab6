/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* http.c against a hostile server on loopback. Three functions are replaced for all of the program, curl's
 * calls included: getaddrinfo(), so that no test asks a real resolver and one can be slow;
 * curl_multi_socket_action(), so that curl can be made to fail as a whole; and curl_version_info(), which
 * tells where the system's authorities are. */

#include "tests/unit/unit.h"

#include "broker/http-text.h"
#include "broker/http.h"
#include "broker/secret.h"
#include "tests/unit/heap.h"
#include "tests/unit/tls-server.h"
#include "util/clock.h"

#include "autoconf.h"
#include <arpa/inet.h>
#include <curl/curl.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define SLOW_RESOLVER_MSEC 1000
#define WATCHDOG_MSEC 60000
#define SECRET_PIECES 60

/* --- replaced functions --------------------------------------------------------------------------------- */

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (node && strcmp(node, "slow.test") == 0) {
        const struct timespec delay = {SLOW_RESOLVER_MSEC / 1000, 0};
        (void)nanosleep(&delay, NULL);
        return EAI_FAIL;
    }
    if (node && strcmp(node, "nowhere.test") == 0)
        return EAI_NONAME;
    if (node && strcmp(node, "elsewhere.test") == 0)
        node = "127.0.0.1";
    return real(node, service, hints, res);
}

static bool curl_is_broken;

CURLMcode curl_multi_socket_action(CURLM *multi, curl_socket_t fd, int mask, int *running)
{
    CURLMcode (*real)(CURLM *, curl_socket_t, int, int *);
    *(void **)&real = dlsym(RTLD_NEXT, "curl_multi_socket_action");
    return curl_is_broken ? CURLM_INTERNAL_ERROR : real(multi, fd, mask, running);
}

static const char *ca_folder; /* instead of the system's */

curl_version_info_data *curl_version_info(CURLversion age)
{
    static curl_version_info_data info;
    curl_version_info_data *(*real)(CURLversion);
    *(void **)&real = dlsym(RTLD_NEXT, "curl_version_info");
    info = *real(age);
    if (ca_folder)
        info.capath = ca_folder;
    return &info;
}

/* --- fixture -------------------------------------------------------------------------------------------- */

struct fixture {
    uv_loop_t loop;
    uv_timer_t watchdog;
    struct http *h;
    struct tls_server *server;
};

struct result {
    unsigned n_calls;
    enum http_failure failure;
    bool sent;
    long status;
    bool is_json;
    long retry_after_sec;
    uint64_t sent_usec;
    char request_id[HTTP_REQUEST_ID_SIZE];
    size_t n_body;
    char body[128];
    struct http_request *request;
    /* What to do from within the callback. */
    struct fixture *fixture;
    struct http_request **drop;
    struct result *post_next;
    bool free_http;
};

static struct http_options default_options(void)
{
    return (struct http_options){
        .ca_file = tls_server_ca_file(),
        .connect_timeout_sec = 5,
        .request_timeout_sec = 10,
    };
}

static void on_watchdog(uv_timer_t *timer _unused_)
{
    fail_msg("the loop has been waiting too long");
}

static struct fixture *setup(enum tls_certificate certificate, enum tls_manner manner)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(uv_timer_init(&f->loop, &f->watchdog), 0);
    assert_int_equal(uv_timer_start(&f->watchdog, on_watchdog, WATCHDOG_MSEC, 0), 0);
    uv_unref((uv_handle_t *)&f->watchdog);
    f->server = tls_server_start(certificate, manner);
    struct http_options options = default_options();
    assert_int_equal(http_new(&f->loop, &options, &f->h), 0);
    return f;
}

/* Whatever is not closed by now keeps the loop from closing, and fails the test. */
static void teardown(struct fixture *f)
{
    http_free(f->h);
    uv_close((uv_handle_t *)&f->watchdog, NULL);
    assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    tls_server_stop(f->server);
    free(f);
}

static const char *url_of(const struct fixture *f, const char *path)
{
    static char url[256];
    if (path[0] != '/')
        return path;
    (void)snprintf(url, sizeof(url), "https://localhost:%d%s", tls_server_port(f->server), path);
    return url;
}

static void start_post(struct fixture *f, const char *path, struct result *result);

static void on_reply(const struct http_reply *reply, void *userdata)
{
    struct result *result = userdata;
    result->n_calls++;
    result->failure = reply->failure;
    result->sent = reply->sent;
    result->status = reply->status;
    result->is_json = reply->is_json;
    result->retry_after_sec = reply->retry_after_sec;
    result->sent_usec = reply->sent_usec;
    memcpy(result->request_id, reply->request_id, sizeof(result->request_id));
    result->n_body = reply->n;
    assert_int_equal(reply->body[reply->n], '\0');
    (void)snprintf(result->body, sizeof(result->body), "%s", reply->body);
    http_request_drop(result->request); /* its own: harmless */
    result->request = NULL;
    if (result->drop)
        http_request_drop(TAKE_PTR(*result->drop));
    if (result->post_next)
        start_post(result->fixture, "/ok", result->post_next);
    if (result->free_http)
        http_free(TAKE_PTR(result->fixture->h));
}

static const struct http_field default_fields[] = {{"grant_type", "refresh_token"}};

static void start_post(struct fixture *f, const char *path, struct result *result)
{
    result->fixture = f;
    int r = http_post(f->h, url_of(f, path), default_fields, ARRAY_SIZE(default_fields), NULL, on_reply,
                      result, &result->request);
    assert_int_equal(r, 0);
    assert_int_equal(result->n_calls, 0); /* never from within */
}

static void wait_for(struct fixture *f, struct result *result)
{
    while (result->n_calls == 0)
        (void)uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(result->n_calls, 1);
}

static struct result post(struct fixture *f, const char *path)
{
    struct result result = {0};
    start_post(f, path, &result);
    wait_for(f, &result);
    return result;
}

static void on_pause_over(uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, NULL);
}

/* Runs the loop for a while. */
static void let_run(struct fixture *f, unsigned msec)
{
    uv_timer_t pause;
    assert_int_equal(uv_timer_init(&f->loop, &pause), 0);
    assert_int_equal(uv_timer_start(&pause, on_pause_over, msec, 0), 0);
    while (!uv_is_closing((uv_handle_t *)&pause))
        (void)uv_run(&f->loop, UV_RUN_ONCE);
    (void)uv_run(&f->loop, UV_RUN_NOWAIT); /* the close callback: `pause` is on this stack */
}

static void assert_failure(struct result result, enum http_failure failure, bool sent)
{
    assert_string_equal(http_failure_name(result.failure), http_failure_name(failure));
    assert_int_equal(result.sent, sent);
    if (failure != HTTP_OK)
        assert_int_equal(result.status, 0);
}

/* --- good replies --------------------------------------------------------------------------------------- */

static void test_ok(void **state _unused_)
{
    struct fixture *f = setup(TLS_GOOD, TLS_SERVE);
    uint64_t before = boottime_usec();
    struct result result = post(f, "/ok");
    assert_failure(result, HTTP_OK, true);
    assert_int_equal(result.status, 200);
    assert_true(result.is_json);
    assert_string_equal(result.body, "{\"a\":\"ok\"}\n");
    assert_int_equal(result.n_body, 11);
    assert_string_equal(result.request_id, "0a1B-22");
    assert_int_equal(result.retry_after_sec, -1);
    assert_true(result.sent_usec >= before && result.sent_usec <= boottime_usec());

    assert_failure(post(f, "/ok"), HTTP_OK, true);
    assert_int_equal(tls_server_count_connections(f->server), 1); /* kept alive */
    teardown(f);
}

static void test_what_is_sent(void **state _unused_)
{
    struct fixture *f = setup(TLS_GOOD, TLS_SERVE);
    const struct http_field fields[] = {
        {"refresh_token", "Atzr|a b&c=d%+~"},
        {"scope", "music::library:read \xc3\xa9"},
        {"empty", ""},
    };
    struct result result = {.fixture = f};
    assert_int_equal(http_post(f->h, url_of(f, "/ok"), fields, ARRAY_SIZE(fields), "de-DE", on_reply, &result,
                               &result.request),
                     0);
    wait_for(f, &result);
    const char *request = tls_server_last_request(f->server);
    assert_non_null(strstr(request, "POST /ok HTTP/1.1\r\n"));
    assert_non_null(strstr(request, "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
    assert_non_null(strstr(request, "\r\nAccept-Language: de-DE\r\n"));
    assert_non_null(strstr(request, "\r\nUser-Agent: lwa-broker/" PACKAGE_VERSION "\r\n"));
    assert_null(strcasestr(request, "\r\nCookie:"));
    assert_null(strcasestr(request, "\r\nAuthorization:"));
    assert_non_null(strstr(request, "\r\n\r\nrefresh_token=Atzr%7Ca%20b%26c%3Dd%25%2B~"
                                    "&scope=music%3A%3Alibrary%3Aread%20%C3%A9&empty="));

    result = (struct result){.fixture = f};
    assert_int_equal(
        http_get(f->h, url_of(f, "/ok"), "x-amz-access-token", "Atza|x", on_reply, &result, &result.request),
        0);
    wait_for(f, &result);
    assert_non_null(strstr(tls_server_last_request(f->server), "GET /ok HTTP/1.1\r\n"));
    assert_non_null(strstr(tls_server_last_request(f->server), "\r\nx-amz-access-token: Atza|x\r\n"));
    teardown(f);
}

static void test_scripted_headers(void **state _unused_)
{
    static const struct {
        const char *reply;
        long status;
        bool is_json;
        long retry_after_sec;
        const char *request_id;
    } cases[] = {
        {"HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n", 503, false, 120, ""},
        {"HTTP/1.1 429 Slow\r\nRetry-After: 99999999999999999999\r\nContent-Length: 0\r\n\r\n", 429, false,
         86400, ""},
        {"HTTP/1.1 503 Busy\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n", 503,
         false, -1, ""},
        /* Against the reply's own date: our clock has no part in it. */
        {"HTTP/1.1 503 Busy\r\nDate: Fri, 31 Dec 1999 23:58:00 GMT\r\nRetry-After: Sat, 01 Jan 2000 00:00:30 "
         "GMT\r\n"
         "Content-Length: 0\r\n\r\n",
         503, false, 150, ""},
        {"HTTP/1.1 503 Busy\r\nDate: Fri, 31 Dec 1999 23:59:59 GMT\r\nRetry-After: Fri, 31 Dec 1999 23:59:58 "
         "GMT\r\n"
         "Content-Length: 0\r\n\r\n",
         503, false, 0, ""},
        {"HTTP/1.1 503 Busy\r\nDate: Fri, 31 Dec 1999 23:59:59 GMT\r\nRetry-After: Fri, 31 Dec 9999 23:59:59 "
         "GMT\r\n"
         "Content-Length: 0\r\n\r\n",
         503, false, 86400, ""},
        {"HTTP/1.1 503 Busy\r\nDate: Fri, 31 Dec 1999 23:59:59 GMT\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 "
         "GMT;\r\n"
         "Content-Length: 0\r\n\r\n",
         503, false, -1, ""},
        {"HTTP/1.1 503 Busy\r\nDate: yesterday\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n"
         "Content-Length: 0\r\n\r\n",
         503, false, -1, ""},
        {"HTTP/1.1 503 Busy\r\nRetry-After: -5\r\nContent-Length: 0\r\n\r\n", 503, false, -1, ""},
        {"HTTP/1.1 400 No\r\nContent-Type: text/html\r\nx-amzn-RequestId: a%sb\r\nContent-Length: 0\r\n\r\n",
         400, false, -1, ""},
        {"HTTP/1.1 400 No\r\nContent-Type: APPLICATION/JSON; charset=utf-8\r\nx-amzn-RequestId: "
         "0123456789012345678901234567890123456789012345678901234567890123\r\nContent-Length: 0\r\n\r\n",
         400, true, -1, ""},
        {"HTTP/1.1 400 No\r\nContent-Type: application/jsonx\r\nX-Amzn-RequestID: "
         "012345678901234567890123456789012345678901234567890123456789012\r\nContent-Length: 0\r\n\r\n",
         400, false, -1, "012345678901234567890123456789012345678901234567890123456789012"},
    };
    struct fixture *f = setup(TLS_GOOD, TLS_SERVE);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        tls_server_set_reply(f->server, cases[i].reply);
        struct result result = post(f, "/scripted");
        assert_failure(result, HTTP_OK, true);
        assert_int_equal(result.status, cases[i].status);
        assert_int_equal(result.is_json, cases[i].is_json);
        assert_int_equal(result.retry_after_sec, cases[i].retry_after_sec);
        assert_string_equal(result.request_id, cases[i].request_id);
        assert_int_equal(result.n_body, 0);
    }
    teardown(f);
}

static void test_redirect_is_not_followed(void **state _unused_)
{
    struct fixture *f = setup(TLS_GOOD, TLS_SERVE);
    struct result result = post(f, "/redirect");
    assert_failure(result, HTTP_OK, true);
    assert_int_equal(result.status, 302);
    assert_int_equal(tls_server_count_requests(f->server), 1);
    teardown(f);
}

static void test_body_cap(void **state _unused_)
{
    struct fixture *f = setup(TLS_GOOD, TLS_SERVE);
    struct result result = post(f, "/largest");
    assert_failure(result, HTTP_OK, true);
    assert_int_equal(result.n_body, HTTP_BODY_BYTES_MAX);
    assert_failure(post(f, "/big"), HTTP_E_TOO_LARGE, true);
    teardown(f);
}

/* --- what is not a good reply -----------------------------------------------------------------------------
 */

static void test_certificates(void **state _unused_)
{
    static const struct {
        enum tls_certificate certificate;
        enum http_failure failure;
    } cases[] = {
        {TLS_GOOD, HTTP_OK},          {TLS_EXPIRED, HTTP_E_TLS_TIME}, {TLS_FUTURE, HTTP_E_TLS_TIME},
        {TLS_OTHER_HOST, HTTP_E_TLS}, {TLS_UNTRUSTED, HTTP_E_TLS},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fixture *f = setup(cases[i].certificate, TLS_SERVE);
        assert_failure(post(f, "/ok"), cases[i].failure, cases[i].failure == HTTP_OK);
        assert_int_equal(tls_server_count_requests(f->server), cases[i].failure == HTTP_OK);
        teardown(f);
    }
}

static void test_system_authorities_do_not_know_us(void **state _unused_)
{
    struct fixture *f = setup(TLS_GOOD, TLS_SERVE);
    struct http_options options = default_options();
    static const char *const none[] = {NULL, ""};
    for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
        options.ca_file = none[i];
        assert_int_equal(http_set_options(f->h, &options), 0);
        assert_failure(post(f, "/ok"), HTTP_E_TLS, false);
    }
    options.ca_file = "/nonexistent.pem";
    assert_int_equal(http_set_options(f->h, &options), 0);
    assert_failure(post(f, "/ok"), HTTP_E_TLS, false);
    teardown(f);
}

/* Without a ca_file: the folder of the system's authorities, read by hashed name. */
static void test_folder_of_authorities(void **state _unused_)
{
    char folder[] = "/tmp/lwa-test-ca-folder-XXXXXX", command[128], hash[16] = "", link[64];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(command, sizeof(command), "openssl x509 -noout -subject_hash -in %s",
                   tls_server_ca_file());
    FILE *output = popen(command, "re"); /* NOLINT(cert-env33-c): nothing in it comes from outside */
    assert_non_null(output);
    assert_int_equal(fscanf(output, "%8[0-9a-f]", hash), 1);
    assert_int_equal(pclose(output), 0);
    (void)snprintf(link, sizeof(link), "%s/%s.0", folder, hash);
    assert_int_equal(symlink(tls_server_ca_file(), link), 0);

    struct fixture *f = setup(TLS_GOOD, TLS_SERVE);
    struct http_options options = default_options();
    options.ca_file = NULL;
    ca_folder = folder;
    assert_int_equal(http_set_options(f->h, &options), 0);
    struct result result = post(f, "/ok");
    ca_folder = NULL;
    assert_int_equal(unlink(link), 0);
    assert_int_equal(rmdir(folder), 0);
    assert_failure(result, HTTP_OK, true);
    teardown(f);
}

static void test_names(void **state _unused_)
{
    struct fixture *f = setup(TLS_GOOD, TLS_SERVE);
    char url[64];
    assert_failure(post(f, "https://nowhere.test/ok"), HTTP_E_RESOLVE, false);
    (void)snprintf(url, sizeof(url), "https://elsewhere.test:%d/ok", tls_server_port(f->server));
    assert_failure(post(f, url), HTTP_E_TLS, false);
    (void)snprintf(url, sizeof(url), "https://127.0.0.1:%d/ok", tls_server_port(f->server));
    assert_failure(post(f, url), HTTP_E_TLS, false);
    teardown(f);
}

static void test_refused_connection(void **state _unused_)
{
    struct fixture *f = setup(TLS_GOOD, TLS_SERVE);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* bound, and not listening */
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof(address);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
    char url[64];
    (void)snprintf(url, sizeof(url), "https://127.0.0.1:%d/ok", ntohs(address.sin_port));
    assert_failure(post(f, url), HTTP_E_CONNECT, false);
    (void)close(fd);
    teardown(f);
}

static void test_resets(void **state _unused_)
{
    struct fixture *f = setup(TLS_GOOD, TLS_RESET_AT_ONCE);
    struct result result = post(f, "/ok"); /* before curl looked at the connection, or after */
    assert_failure(result, result.failure == HTTP_E_CONNECT ? HTTP_E_CONNECT : HTTP_E_TLS, false);
    teardown(f);

    /* The request may be on its way before the reset arrives: then it must not be called unsent. */
    f = setup(TLS_GOOD, TLS_RESET_AFTER_HANDSHAKE);
    result = post(f, "/ok");
    assert_failure(result, result.sent ? HTTP_E_LOST : HTTP_E_CONNECT, result.sent);
    teardown(f);

    static const char *const paths[] = {"/reset", "/die", "/cut"};
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        f = setup(TLS_GOOD, TLS_SERVE);
        assert_failure(post(f, paths[i]), HTTP_E_LOST, true);
        assert_int_equal(tls_server_count_requests(f->server), 1);
        teardown(f);
    }
}

static void test_garbage_replies(void **state _unused_)
{
    static const char *const replies[] = {
        "\x15\x03garbage\r\n\r\n", "HTTP/9.9 xyz\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabc"};
    for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
        struct fixture *f = setup(TLS_GOOD, TLS_SERVE);
        struct http_options options = default_options();
        options.request_timeout_sec = 1;
        assert_int_equal(http_set_options(f->h, &options), 0);
        tls_server_set_reply(f->server, replies[i]);
        assert_failure(post(f, "/scripted"), HTTP_E_LOST, true);
        assert_int_equal(tls_server_count_requests(f->server), 1);
        teardown(f);
    }
}

static void test_time_outs(void **state _unused_)
{
    struct http_options options = default_options();
    options.request_timeout_sec = 1;
    struct fixture *f = setup(TLS_GOOD, TLS_SERVE);
    assert_int_equal(http_set_options(f->h, &options), 0);
    uint64_t before = boottime_usec();
    assert_failure(post(f, "/hang"), HTTP_E_LOST, true);
    assert_true(boottime_usec() - before < 3 * USEC_PER_SEC);
    teardown(f);

    options = default_options();
    options.connect_timeout_sec = 1;
    f = setup(TLS_GOOD, TLS_STALL);
    assert_int_equal(http_set_options(f->h, &options), 0);
    before = boottime_usec();
    assert_failure(post(f, "/ok"), HTTP_E_CONNECT, false);
    assert_true(boottime_usec() - before < 3 * USEC_PER_SEC);
    teardown(f);
}

static void test_no_descriptors(void **state _unused_)
{
    struct fixture *f = setup(TLS_GOOD, TLS_SERVE);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int lowest = dup(0);
    (void)close(lowest);
    struct rlimit none = {.rlim_cur = (rlim_t)lowest, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct result result = post(f, "/ok");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_failure(result, HTTP_E_INTERNAL, false);
    assert_failure(post(f, "/ok"), HTTP_OK, true);
    teardown(f);
}

static void test_bad_arguments(void **state _unused_)
{
    static const char *const urls[] = {
        "http://localhost/", "ftp://localhost/", "file:///etc/passwd", "localhost", "",
        "https://",          "https://a b/",     "HTTPX://localhost"};
    struct fixture *f = setup(TLS_GOOD, TLS_SERVE);
    struct http_request *request = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
        assert_int_equal(http_post(f->h, urls[i], NULL, 0, NULL, on_reply, NULL, &request), -EINVAL);
        assert_int_equal(http_get(f->h, urls[i], "x", "y", on_reply, NULL, &request), -EINVAL);
    }
    assert_int_equal(http_post(f->h, "https://localhost/", NULL, 0, "de\r\nX: y", on_reply, NULL, &request),
                     -EINVAL);
    assert_int_equal(http_get(f->h, "https://localhost/", "x", "y\nz: 1", on_reply, NULL, &request), -EINVAL);
    assert_null(request);
    teardown(f);
}

/* --- a POST is sent once -------------------------------------------------------------------------------- */

static void test_post_is_not_repeated(void **state _unused_)
{
    struct fixture *f = setup(TLS_GOOD, TLS_SERVE);
    assert_failure(post(f, "/ok"), HTTP_OK, true);
    assert_failure(post(f, "/die"), HTTP_E_LOST, true);
    assert_int_equal(tls_server_count_requests(f->server), 2);

    assert_failure(post(f, "/ok"), HTTP_OK, true);
    assert_failure(post(f, "/reset"), HTTP_E_LOST, true);
    assert_int_equal(tls_server_count_requests(f->server), 4);
    teardown(f);
}

/* A connection that the server closed while it was idle costs nothing. */
static void test_idle_close(void **state _unused_)
{
    struct fixture *f = setup(TLS_GOOD, TLS_SERVE);
    assert_failure(post(f, "/once"), HTTP_OK, true);
    let_run(f, 100);
    assert_failure(post(f, "/ok"), HTTP_OK, true);
    assert_int_equal(tls_server_count_requests(f->server), 2);
    assert_int_equal(tls_server_count_connections(f->server), 2);
    teardown(f);
}

static struct result post_field(struct fixture *f, const char *value)
{
    const struct http_field field = {"do", value};
    struct result result = {.fixture = f};
    assert_int_equal(http_post(f->h, url_of(f, "/"), &field, 1, NULL, on_reply, &result, &result.request), 0);
    wait_for(f, &result);
    return result;
}

static void test_http2(void **state _unused_)
{
    struct fixture *f = setup(TLS_GOOD, TLS_HTTP2);
    struct result result = post_field(f, "answer");
    assert_failure(result, HTTP_OK, true);
    assert_string_equal(result.body, "http2");
    assert_failure(post_field(f, "answer"), HTTP_OK, true);
    assert_int_equal(tls_server_count_connections(f->server), 1);

    assert_failure(post_field(f, "refuse"), HTTP_E_LOST, true);
    assert_int_equal(tls_server_count_requests(f->server), 3);
    assert_failure(post_field(f, "answer"), HTTP_OK, true);
    assert_failure(post_field(f, "die"), HTTP_E_LOST, true);
    assert_int_equal(tls_server_count_requests(f->server), 5);
    teardown(f);
}

/* --- proxies -------------------------------------------------------------------------------------------- */

static void test_proxy_comes_from_options_only(void **state _unused_)
{
    static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"};
    struct fixture *f = setup(TLS_GOOD, TLS_SERVE);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_int_equal(setenv(names[i], "http://127.0.0.1:1", 1), 0);
    assert_failure(post(f, "/ok"), HTTP_OK, true);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_int_equal(unsetenv(names[i]), 0);
    teardown(f);

    f = setup(TLS_GOOD, TLS_PROXY);
    char proxy[64];
    (void)snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", tls_server_port(f->server));
    struct http_options options = default_options();
    options.proxy = proxy;
    assert_int_equal(http_set_options(f->h, &options), 0);
    assert_int_equal(setenv("no_proxy", "localhost", 1), 0);
    assert_failure(post(f, "https://localhost:1/ok"), HTTP_OK, true);
    assert_int_equal(unsetenv("no_proxy"), 0);
    assert_failure(post(f, "https://localhost:1/die"), HTTP_E_LOST, true);
    assert_int_equal(tls_server_count_requests(f->server), 2);
    teardown(f);
}

/* --- cancelling ----------------------------------------------------------------------------------------- */

static void test_drop_in_every_phase(void **state _unused_)
{
    static const struct {
        enum tls_manner manner;
        const char *path;
        unsigned msec;
    } cases[] = {
        {TLS_SERVE, "/ok", 0},                 /* not begun */
        {TLS_SERVE, "https://slow.test/", 50}, /* name being looked up */
        {TLS_STALL, "/ok", 50},                /* in the handshake */
        {TLS_SERVE, "/hang", 100},             /* sent */
        {TLS_SERVE, "/scripted", 100},         /* half of the answer is there */
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fixture *f = setup(TLS_GOOD, cases[i].manner);
        tls_server_set_reply(f->server, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
        struct result result = {0};
        start_post(f, cases[i].path, &result);
        if (cases[i].msec > 0)
            let_run(f, cases[i].msec);
        uint64_t before = boottime_usec();
        http_request_drop(result.request);
        assert_true(boottime_usec() - before < 200 * USEC_PER_MSEC); /* waits for nobody (I7) */
        let_run(f, 20);
        assert_int_equal(result.n_calls, 0);
        teardown(f);
    }
}

static void test_drop_while_connecting(void **state _unused_)
{
    struct fixture *f = setup(TLS_GOOD, TLS_SERVE);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof(address);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, n), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &n), 0);
    assert_int_equal(listen(listener, 0), 0);
    int fillers[4]; /* whoever comes after these is not answered */
    for (size_t i = 0; i < ARRAY_SIZE(fillers); i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fillers[i], (struct sockaddr *)&address, n);
    }
    char url[64];
    (void)snprintf(url, sizeof(url), "https://127.0.0.1:%d/", ntohs(address.sin_port));
    struct result result = {0};
    start_post(f, url, &result);
    let_run(f, 50);
    http_request_drop(result.request);
    let_run(f, 20);
    assert_int_equal(result.n_calls, 0);

    struct http_options options = default_options();
    options.connect_timeout_sec = 1;
    assert_int_equal(http_set_options(f->h, &options), 0);
    assert_failure(post(f, url), HTTP_E_CONNECT, false);
    for (size_t i = 0; i < ARRAY_SIZE(fillers); i++)
        (void)close(fillers[i]);
    (void)close(listener);
    teardown(f);
}

static void test_slow_resolver_does_not_block(void **state _unused_)
{
    struct fixture *f = setup(TLS_GOOD, TLS_SERVE);
    struct http_options options = default_options();
    struct result slow = {0};
    start_post(f, "https://slow.test/", &slow);
    uint64_t before = boottime_usec();
    assert_failure(post(f, "/ok"), HTTP_OK, true);
    assert_true(boottime_usec() - before < SLOW_RESOLVER_MSEC * USEC_PER_MSEC / 2);
    assert_int_equal(slow.n_calls, 0);
    wait_for(f, &slow);
    assert_failure(slow, HTTP_E_RESOLVE, false);
    assert_int_equal(http_set_options(f->h, &options), 0);
    teardown(f);
}

static void test_drop_from_a_callback(void **state _unused_)
{
    struct fixture *f = setup(TLS_GOOD, TLS_SERVE);
    struct result victims[3] = {0};
    static const char *const paths[] = {"/hang", "/slow", "/ok"};
    for (size_t i = 0; i < ARRAY_SIZE(victims); i++) {
        struct result killer = {.drop = &victims[i].request};
        start_post(f, paths[i], &victims[i]);
        start_post(f, "/ok", &killer);
        wait_for(f, &killer);
        let_run(f, 60);
        assert_true(victims[i].n_calls <= 1); /* the last may have been first */
        assert_null(victims[i].request);
    }
    assert_int_equal(victims[0].n_calls, 0);
    teardown(f);
}

static void test_from_a_callback(void **state _unused_)
{
    struct fixture *f = setup(TLS_GOOD, TLS_SERVE);
    struct result second = {0};
    struct result first = {.post_next = &second};
    start_post(f, "/ok", &first);
    wait_for(f, &first);
    wait_for(f, &second);
    assert_failure(second, HTTP_OK, true);

    struct result last = {.free_http = true};
    start_post(f, "/ok", &last);
    wait_for(f, &last);
    assert_null(f->h);
    teardown(f);
}

/* --- many ----------------------------------------------------------------------------------------------- */

static void test_200_at_once(void **state _unused_)
{
    struct fixture *f = setup(TLS_GOOD, TLS_SERVE);
    struct http_options options = default_options();
    options.connect_timeout_sec = options.request_timeout_sec = 60; /* the last ones wait for all before */
    assert_int_equal(http_set_options(f->h, &options), 0);
    static struct result results[200];
    memset(results, 0, sizeof(results));
    for (size_t i = 0; i < ARRAY_SIZE(results); i++)
        start_post(f, "/slow", &results[i]);
    unsigned dropped = 0;
    for (size_t i = 0; i < ARRAY_SIZE(results); i += 10, dropped++)
        http_request_drop(TAKE_PTR(results[i].request)); /* running ones and waiting ones */
    for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
        if (i % 10 == 0)
            continue;
        wait_for(f, &results[i]);
        assert_failure(results[i], HTTP_OK, true);
    }
    assert_int_equal(tls_server_count_requests(f->server), ARRAY_SIZE(results) - dropped);
    teardown(f);
}

static void test_hung_ones_give_way_when_dropped(void **state _unused_)
{
    struct fixture *f = setup(TLS_GOOD, TLS_SERVE);
    static struct result hung[100];
    memset(hung, 0, sizeof(hung));
    for (size_t i = 0; i < ARRAY_SIZE(hung); i++)
        start_post(f, "/hang", &hung[i]);
    let_run(f, 300);
    struct result waiting = {0};
    start_post(f, "/ok", &waiting);
    let_run(f, 50);
    for (size_t i = 0; i < ARRAY_SIZE(hung); i++)
        http_request_drop(hung[i].request);
    wait_for(f, &waiting);
    assert_failure(waiting, HTTP_OK, true);
    assert_true(tls_server_count_connections(f->server) <= 65);
    teardown(f);
}

/* --- options, break-down, wiping ------------------------------------------------------------------------ */

static void test_new_options(void **state _unused_)
{
    struct fixture *f = setup(TLS_GOOD, TLS_SERVE);
    struct http_options options = default_options();
    assert_failure(post(f, "/ok"), HTTP_OK, true);
    assert_int_equal(http_set_options(f->h, &options), 0);
    assert_failure(post(f, "/ok"), HTTP_OK, true);
    assert_int_equal(tls_server_count_connections(f->server), 2);

    struct result running = {0};
    start_post(f, "/slow", &running);
    let_run(f, 5);
    options.ca_file = "/dev/null";
    assert_int_equal(http_set_options(f->h, &options), 0);
    assert_failure(post(f, "/ok"), HTTP_E_TLS, false);
    wait_for(f, &running);
    assert_failure(running, HTTP_OK, true);
    teardown(f);
}

static void test_curl_breaks_down(void **state _unused_)
{
    struct fixture *f = setup(TLS_GOOD, TLS_SERVE);
    struct result sent = {0}, dropped = {0}, unsent = {.drop = &dropped.request};
    start_post(f, "/hang", &sent);
    let_run(f, 200);
    start_post(f, "/ok", &unsent);
    start_post(f, "/ok", &dropped);
    curl_is_broken = true;
    wait_for(f, &sent);
    wait_for(f, &unsent);
    curl_is_broken = false;
    assert_failure(sent, HTTP_E_LOST, true);
    assert_failure(unsent, HTTP_E_INTERNAL, false);
    assert_int_equal(dropped.n_calls, 0);
    assert_failure(post(f, "/ok"), HTTP_OK, true);
    teardown(f);
}

#if !LWA_SANITIZE /* whose allocator keeps what is freed, and elsewhere */
static void test_nothing_is_left_in_the_heap(void **state _unused_)
{
    if (heap_count("x") < 0)
        skip(); /* an allocator that is not the C library's: valgrind */
    struct fixture *f = setup(TLS_GOOD, TLS_SERVE);
    static const char piece[] = "Atzr-4711-the-refresh-token-4711";
    char *secret =
        calloc(1, SECRET_PIECES * sizeof(piece)); /* large: what is re-used is seldom re-used whole */
    for (size_t i = 0; i < SECRET_PIECES; i++)
        memcpy(secret + i * (sizeof(piece) - 1), piece, sizeof(piece));
    assert_int_equal(heap_count("1174-nekot-hserfer-eht-1174-rztA"), SECRET_PIECES); /* the search can find */
    const struct http_field field = {"refresh_token", secret};
    struct result result = {.fixture = f};
    char reply[4096];
    (void)snprintf(reply, sizeof(reply), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(secret),
                   secret);
    tls_server_set_reply(f->server, reply);
    assert_int_equal(
        http_post(f->h, url_of(f, "/scripted"), &field, 1, secret, on_reply, &result, &result.request), 0);
    wait_for(f, &result);
    assert_failure(result, HTTP_OK, true);
    assert_non_null(strstr(tls_server_last_request(f->server), secret));
    secret_free_string(secret);
    teardown(f);
    assert_int_equal(heap_count("1174-nekot-hserfer-eht-1174-rztA"), 0);
}
#endif

static int end_group(void **state _unused_)
{
    tls_server_forget_ca();
    /* The look-ups that were abandoned end by themselves: before the leak check, please. */
    const struct timespec delay = {1 + SLOW_RESOLVER_MSEC / 1000, 0};
    return nanosleep(&delay, NULL);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ok),
        cmocka_unit_test(test_what_is_sent),
        cmocka_unit_test(test_scripted_headers),
        cmocka_unit_test(test_redirect_is_not_followed),
        cmocka_unit_test(test_body_cap),
        cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_system_authorities_do_not_know_us),
        cmocka_unit_test(test_folder_of_authorities),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_refused_connection),
        cmocka_unit_test(test_resets),
        cmocka_unit_test(test_garbage_replies),
        cmocka_unit_test(test_time_outs),
        cmocka_unit_test(test_no_descriptors),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_post_is_not_repeated),
        cmocka_unit_test(test_idle_close),
        cmocka_unit_test(test_http2),
        cmocka_unit_test(test_proxy_comes_from_options_only),
        cmocka_unit_test(test_drop_in_every_phase),
        cmocka_unit_test(test_drop_while_connecting),
        cmocka_unit_test(test_slow_resolver_does_not_block),
        cmocka_unit_test(test_drop_from_a_callback),
        cmocka_unit_test(test_from_a_callback),
        cmocka_unit_test(test_200_at_once),
        cmocka_unit_test(test_hung_ones_give_way_when_dropped),
        cmocka_unit_test(test_new_options),
        cmocka_unit_test(test_curl_breaks_down),
#if !LWA_SANITIZE
        cmocka_unit_test(test_nothing_is_left_in_the_heap),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, end_group);
}
