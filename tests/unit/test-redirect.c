/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a browser or a person brings back from Amazon's page: what is taken, and that nothing else is. */

#include "tests/unit/unit.h"

#include "client/lwactl/redirect.h"

#include <string.h>

static const struct redirect_place place = {"127.0.0.1:8123", "/lwa-callback", "/lwa-login"};

#define HOST "Host: 127.0.0.1:8123\r\n"
#define GET(target) "GET " target " HTTP/1.1\r\n" HOST "\r\n"
#define ANSWER "/lwa-callback?code=ANcM&scope=music%3A%3Alibrary+profile&state=s-1_x"

static enum redirect_kind parse(const char *head, size_t n, struct redirect *ret)
{
    /* At the very end of an allocation, where a sanitizer sees a read beyond it. */
    char *copy = malloc(n > 0 ? n : 1);
    assert_non_null(copy);
    memcpy(copy, head, n);
    enum redirect_kind kind = redirect_parse_head(copy, n, &place, ret);
    free(copy);
    return kind;
}

static void test_an_answer(void **state)
{
    struct redirect r;
    (void)state;
    assert_int_equal(parse(GET(ANSWER), strlen(GET(ANSWER)), &r), REDIRECT_ANSWER);
    assert_string_equal(r.code, "ANcM");
    assert_string_equal(r.error, "");
    assert_string_equal(r.state, "s-1_x");
    assert_string_equal(r.scope, "music::library profile");
    assert_true(r.has_scope);

    static const char refusal[] =
        GET("/lwa-callback?error=access_denied&error_description=no+%1b%00&state=s");
    assert_int_equal(parse(refusal, strlen(refusal), &r), REDIRECT_ANSWER);
    assert_string_equal(r.code, "");
    assert_string_equal(r.error, "access_denied");
    assert_false(r.has_scope);
}

static void test_requests(void **state)
{
#define BEGIN "GET /lwa-callback?code=a&state=b HTTP/1.1\r\n"
#define LOGIN "GET /lwa-login HTTP/1.1\r\n" HOST
    static const struct {
        const char *head;
        enum redirect_kind kind;
    } cases[] = {
        {BEGIN HOST "\r\n", REDIRECT_ANSWER},
        {BEGIN "hOST:127.0.0.1:8123 \t\r\nAccept: */*\r\nContent-Length: 0\r\n\r\n", REDIRECT_ANSWER},
        {"GET /lwa-callback?code=a&state=b HTTP/1.0\r\n" HOST "\r\n", REDIRECT_ANSWER},
        {GET("/lwa-login"), REDIRECT_BEGIN},
        {GET("/lwa-login?x"), REDIRECT_BEGIN},
        {LOGIN "sec-fetch-site: none\r\n\r\n", REDIRECT_BEGIN},
        {LOGIN "Sec-Fetch-Site: same-origin\r\n\r\n", REDIRECT_BEGIN},
        {LOGIN "Sec-Fetch-Site: cross-site\r\n\r\n", REDIRECT_E_HOST},
        {LOGIN "Sec-Fetch-Site: same-site\r\n\r\n", REDIRECT_E_HOST},
        {LOGIN "Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n\r\n", REDIRECT_E_HOST},
        {LOGIN "Sec-Fetch-Site:\r\n\r\n", REDIRECT_E_HOST},
        {BEGIN HOST "Sec-Fetch-Site: cross-site\r\n\r\n", REDIRECT_ANSWER},
        {GET("/"), REDIRECT_E_OTHER},
        {GET("/favicon.ico"), REDIRECT_E_OTHER},
        {GET("/lwa-callback/?code=a&state=b"), REDIRECT_E_OTHER},
        {GET("/lwa-callbac%6b?code=a&state=b"), REDIRECT_E_OTHER},
        {GET("//lwa-callback?code=a&state=b"), REDIRECT_E_OTHER},
        {"POST /lwa-callback?code=a&state=b HTTP/1.1\r\n" HOST "\r\n", REDIRECT_E_METHOD},
        {"HEAD /lwa-callback?code=a&state=b HTTP/1.1\r\n" HOST "\r\n", REDIRECT_E_METHOD},
        {"get /lwa-callback?code=a&state=b HTTP/1.1\r\n" HOST "\r\n", REDIRECT_E_METHOD},
        {BEGIN "Host: evil.example:8123\r\n\r\n", REDIRECT_E_HOST},
        {BEGIN "Host: 127.0.0.1\r\n\r\n", REDIRECT_E_HOST},
        {BEGIN "Host: 127.0.0.1:81234\r\n\r\n", REDIRECT_E_HOST},
        {BEGIN "Host: localhost:8123\r\n\r\n", REDIRECT_E_HOST},
        {BEGIN "Host:\r\n\r\n", REDIRECT_E_HOST},
        {BEGIN "\r\n", REDIRECT_E_MALFORMED},
        {BEGIN HOST HOST "\r\n", REDIRECT_E_MALFORMED},
        {BEGIN HOST "Content-Length: 5\r\n\r\n", REDIRECT_E_MALFORMED},
        {BEGIN HOST "Transfer-Encoding: chunked\r\n\r\n", REDIRECT_E_MALFORMED},
        {BEGIN HOST " folded\r\n\r\n", REDIRECT_E_MALFORMED},
        {BEGIN HOST "no colon\r\n\r\n", REDIRECT_E_MALFORMED},
        {BEGIN HOST "a b: c\r\n\r\n", REDIRECT_E_MALFORMED},
        {BEGIN HOST "a: \x1b\r\n\r\n", REDIRECT_E_MALFORMED},
        {BEGIN HOST "a: b\n\r\n\r\n", REDIRECT_E_MALFORMED},
        {BEGIN HOST "\r\nmore", REDIRECT_E_MALFORMED},
        {BEGIN HOST, REDIRECT_E_MALFORMED},
        {BEGIN HOST "\r", REDIRECT_E_MALFORMED},
        {"GET /lwa-callback?code=a&state=b\r\n" HOST "\r\n", REDIRECT_E_MALFORMED},
        {"GET /lwa-callback?code=a&state=b HTTP/2\r\n" HOST "\r\n", REDIRECT_E_MALFORMED},
        {"GET  /lwa-callback?code=a&state=b HTTP/1.1\r\n" HOST "\r\n", REDIRECT_E_MALFORMED},
        {"GET /lwa-callback?code=a b&state=b HTTP/1.1\r\n" HOST "\r\n", REDIRECT_E_MALFORMED},
        {"GET http://127.0.0.1:8123/lwa-callback?code=a&state=b HTTP/1.1\r\n" HOST "\r\n",
         REDIRECT_E_MALFORMED},
        {"GET * HTTP/1.1\r\n" HOST "\r\n", REDIRECT_E_MALFORMED},
        {GET("/lwa-callback?code=a&state=b#x"), REDIRECT_E_MALFORMED},
        {GET("/lwa-callback?code=a&state=\xc3\xa9"), REDIRECT_E_MALFORMED},
        {"", REDIRECT_E_MALFORMED},
        {"\r\n\r\n", REDIRECT_E_MALFORMED},
        {"\x16\x03\x01\x02", REDIRECT_E_MALFORMED},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct redirect r;
        enum redirect_kind kind = parse(cases[i].head, strlen(cases[i].head), &r);
        if (kind != cases[i].kind)
            fail_msg("%s: %d", cases[i].head, kind);
    }
}

static void test_queries(void **state)
{
    static const struct {
        const char *query;
        bool is_good;
    } cases[] = {
        {"code=a&state=b", true},
        {"&&state=b&&code=a&", true},
        {"error=e&state=b&code=", true},
        {"code=%41%7c%2F&state=b", true},
        {"code=a&state=b&unknown=%zz", true},
        {"", false},
        {"code=a", false},
        {"state=b", false},
        {"code&state=b", false},
        {"code=a&state=", false},
        {"code=a&error=e&state=b", false},
        {"code=a&code=a&state=b", false},
        {"code=a&state=b&state=b", false},
        {"code=a&state=b&scope=x&scope=y", false},
        {"code=a&state=%4", false},
        {"code=a&state=%", false},
        {"code=a&state=%g0", false},
        {"code=a%00&state=b", false},
        {"code=a%0d%0a&state=b", false},
        {"code=a+b&state=b", false},
        {"code=a&state=%1b[2J", false},
        {"code=a&state=%c3%a9", false},
        {"code=a&state=b&scope=%7f", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct redirect r;
        char head[512];
        (void)snprintf(head, sizeof(head), GET("/lwa-callback?%s"), cases[i].query);
        enum redirect_kind wanted = cases[i].is_good ? REDIRECT_ANSWER : REDIRECT_E_MALFORMED;
        if (parse(head, strlen(head), &r) != wanted)
            fail_msg("%s", cases[i].query);
    }
}

/* Each value fits up to its bound and is refused one byte beyond it. */
static void test_bounds(void **state)
{
    static const struct {
        const char *query;
        size_t most;
    } cases[] = {
        {"state=b&code=", REDIRECT_CODE_BYTES_MAX},
        {"state=b&error=", REDIRECT_ERROR_BYTES_MAX},
        {"code=a&state=", REDIRECT_STATE_BYTES_MAX},
        {"code=a&state=b&scope=", REDIRECT_SCOPE_BYTES_MAX},
    };
    static char long_text[REDIRECT_SCOPE_BYTES_MAX + 2];
    (void)state;
    (void)memset(long_text, 'x', sizeof(long_text) - 1);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        for (size_t more = 0; more < 2; more++) {
            struct redirect r;
            char line[REDIRECT_SCOPE_BYTES_MAX + 64];
            int n = snprintf(line, sizeof(line), "https://localhost/?%s%.*s", cases[i].query,
                             (int)(cases[i].most + more), long_text);
            assert_int_equal(redirect_parse_pasted(line, (size_t)n, "b", &r),
                             more ? REDIRECT_E_MALFORMED : REDIRECT_ANSWER);
        }
}

static void test_pasted(void **state)
{
    static const struct {
        const char *line, *code, *error, *state;
    } cases[] = {
        {"https://app.example/cb?code=ANcM&state=s1\r\n", "ANcM", "", "s1"},
        {" \thttp://127.0.0.1/cb?x=1&code=a&state=other#_=_ ", "a", "", "other"},
        {"amzn://org.example?code=a&state=s", "a", "", "s"},
        {"https://app.example/cb?error=access_denied&state=s", "", "access_denied", "s"},
        {"?code=a&state=s", "a", "", "s"},
        {"code=a&state=s", "a", "", "s"},
        {"ANcM-x.y\n", "ANcM-x.y", "", "mine"},
        {"", NULL, NULL, NULL},
        {" \r\n", NULL, NULL, NULL},
        {"https://app.example/cb", NULL, NULL, NULL},
        {"https://app.example/cb?code=a", NULL, NULL, NULL},
        {"https://www.amazon.com/ap/oa?client_id=x&state=s", NULL, NULL, NULL},
        {"https://app.example/cb?code=a&state=s more", NULL, NULL, NULL},
        {"two words", NULL, NULL, NULL},
        {"esc\x1b", NULL, NULL, NULL},
        {"\xc3\xa9", NULL, NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct redirect r;
        enum redirect_kind kind = redirect_parse_pasted(cases[i].line, strlen(cases[i].line), "mine", &r);
        if (kind != (cases[i].code ? REDIRECT_ANSWER : REDIRECT_E_MALFORMED))
            fail_msg("%s: %d", cases[i].line, kind);
        if (kind != REDIRECT_ANSWER)
            continue;
        assert_string_equal(r.code, cases[i].code);
        assert_string_equal(r.error, cases[i].error);
        assert_string_equal(r.state, cases[i].state);
    }
}

static void test_pasted_bounds(void **state)
{
    static char line[REDIRECT_LINE_BYTES_MAX + 1];
    struct redirect r;
    (void)state;
    (void)memset(line, ' ', sizeof(line));
    line[0] = 'a';
    assert_int_equal(redirect_parse_pasted(line, sizeof(line) - 1, "s", &r), REDIRECT_ANSWER);
    assert_int_equal(redirect_parse_pasted(line, sizeof(line), "s", &r), REDIRECT_E_MALFORMED);
    (void)memset(line, 'x', sizeof(line));
    assert_int_equal(redirect_parse_pasted(line, REDIRECT_CODE_BYTES_MAX, "s", &r), REDIRECT_ANSWER);
    assert_int_equal(redirect_parse_pasted(line, REDIRECT_CODE_BYTES_MAX + 1, "s", &r), REDIRECT_E_MALFORMED);
    assert_int_equal(redirect_parse_pasted("a\0b", 3, "s", &r), REDIRECT_E_MALFORMED);
    assert_int_equal(redirect_parse_pasted("a", 1, "", &r), REDIRECT_E_MALFORMED);
}

static void test_state(void **state)
{
    char found[REDIRECT_STATE_BYTES_MAX + 1];
    (void)state;
    assert_int_equal(redirect_find_state("https://a/ap/oa?x=1&state=a%2Db&scope=s#state=c", found), 0);
    assert_string_equal(found, "a-b");
    assert_int_equal(redirect_find_state("https://a/ap/oa?x=1", found), -EBADMSG);
    assert_int_equal(redirect_find_state("https://a/ap/oa?state=", found), -EBADMSG);
    assert_int_equal(redirect_find_state("https://a/ap/oa?state=a&state=a", found), -EBADMSG);
    assert_int_equal(redirect_find_state("state=a", found), -EBADMSG);
    assert_int_equal(redirect_find_state("", found), -EBADMSG);

    struct redirect r = {.state = "abc"};
    assert_true(redirect_state_is(&r, "abc"));
    assert_false(redirect_state_is(&r, "abd"));
    assert_false(redirect_state_is(&r, "ab"));
    assert_false(redirect_state_is(&r, "abcd"));
    assert_false(redirect_state_is(&r, ""));
    r.state[0] = '\0';
    assert_false(redirect_state_is(&r, ""));
}

static void test_head_size(void **state)
{
    (void)state;
    assert_int_equal(redirect_head_size("", 0), 0);
    assert_int_equal(redirect_head_size("a\r\n\r", 4), 0);
    assert_int_equal(redirect_head_size("a\r\n\r\nb", 6), 5);
    assert_int_equal(redirect_head_size("a\n\nb", 4), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer), cmocka_unit_test(test_requests),
        cmocka_unit_test(test_queries),   cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_pasted),    cmocka_unit_test(test_pasted_bounds),
        cmocka_unit_test(test_state),     cmocka_unit_test(test_head_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
