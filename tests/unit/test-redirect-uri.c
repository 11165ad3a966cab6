/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/redirect-uri.h"

#include <string.h>

static void test_good(void **state _unused_)
{
    static const char *const uris[] = {
        "http://127.0.0.1:9090/cb",
        "http://127.0.0.1:1/",
        "http://[::1]:65535/cb?x=1",
        "http://localhost:8080/",
        "https://app.example",
        "https://app.example/cb",
        "https://app.example:8443/cb?a=b%20c",
        "https://app.example?x",
        "amzn://com.example.app",
        "com.example.app:/oauth2redirect",
        "com.example.app://cb/here",
    };
    for (size_t i = 0; i < ARRAY_SIZE(uris); i++)
        if (!redirect_uri_is_valid(uris[i]))
            fail_msg("refused: %s", uris[i]);
}

static void test_bad(void **state _unused_)
{
    static const char *const uris[] = {
        "",
        "http://127.0.0.1/cb", /* no port */
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:123456/cb",
        "http://127.0.0.1:80", /* no path */
        "http://127.0.0.1:80?x",
        "http://127.0.0.1:80@evil.example/",
        "http://127.0.0.1.evil.example:80/",
        "http://127.0.0.2:80/",
        "http://[::2]:80/",
        "http://localhost.evil.example:80/",
        "http://localhost@evil.example:80/",
        "http://evil.example:80/",
        "HTTP://127.0.0.1:80/",
        "https://",
        "https:///cb",
        "https://user@app.example/cb",
        "https://app.example:x/cb",
        "https://app.example:443@evil.example/",
        "https://app.example/cb#part",
        "https://app.example/c b",
        "https://app.example/\"",
        "https://app.example\\@evil.example/",
        "https://app.example/\r\nX: y",
        "https://app.example/\xc3\xa4",
        "https://app.example/\x7f",
        "javascript:alert(1)",
        "javascript:/alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "ftp://app.example/",
        "ws://app.example/",
        "amzn:",
        "amzn:/",
        "amzn:com.example.app",
        "xamzn://com.example.app",
        "com.example.app:",
        "com.example.app:/",
        ".com:/x",
        "com.:/x",
        "1com.example:/x",
        "Com.Example:/x",
        "com.example app:/x",
        "urn:ietf:wg:oauth:2.0:oob",
    };
    for (size_t i = 0; i < ARRAY_SIZE(uris); i++)
        if (redirect_uri_is_valid(uris[i]))
            fail_msg("taken: %s", uris[i]);
}

static void test_length(void **state _unused_)
{
    static const char start[] = "https://app.example/";
    char uri[REDIRECT_URI_BYTES_MAX + 2];
    memset(uri, 'x', sizeof(uri));
    memcpy(uri, start, strlen(start));
    uri[REDIRECT_URI_BYTES_MAX] = '\0';
    assert_true(redirect_uri_is_valid(uri));
    uri[REDIRECT_URI_BYTES_MAX] = 'x';
    uri[REDIRECT_URI_BYTES_MAX + 1] = '\0';
    assert_false(redirect_uri_is_valid(uri));
}

static void test_authorize_uri(void **state _unused_)
{
    struct redirect_request request = {
        .endpoint = "https://www.amazon.com/ap/oa",
        .client_id = "amzn1.application-oa2-client.0",
        .scope = "music::library profile",
        .redirect_uri = "http://127.0.0.1:9090/cb?a=b&c",
        .state = "st-ate_",
        .challenge = "E9Mel",
    };
    _cleanup_free_ char *uri = NULL;
    assert_int_equal(redirect_authorize_uri(&request, &uri), 0);
    assert_string_equal(uri, "https://www.amazon.com/ap/oa?client_id=amzn1.application-oa2-client.0"
                             "&scope=music%3A%3Alibrary%20profile&response_type=code"
                             "&redirect_uri=http%3A%2F%2F127.0.0.1%3A9090%2Fcb%3Fa%3Db%26c&state=st-ate_"
                             "&code_challenge=E9Mel&code_challenge_method=S256");
    request.scope_data = "{\"profile\":{\"essential\":false}}";
    _cleanup_free_ char *more = NULL;
    assert_int_equal(redirect_authorize_uri(&request, &more), 0);
    assert_memory_equal(more, uri, strlen(uri));
    assert_string_equal(more + strlen(uri),
                        "&scope_data=%7B%22profile%22%3A%7B%22essential%22%3Afalse%7D%7D");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_authorize_uri),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
