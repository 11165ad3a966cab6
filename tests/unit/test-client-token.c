/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The token object of liblwa-client: what is in it, what is refused, and that it is wiped. */

#include "tests/unit/unit.h"

#include "client/library/token.h"
#include "dbus/writer.h"
#include "util/clock.h"

#include <string.h>
#include <sys/mman.h>

#define BYTES "Atza|IwEBIExampleOfAToken"

static const struct token_time now = {.boot_usec = 1000 * USEC_PER_SEC, .wall_sec = 2000000000};

static struct token_facts facts_of(struct strv scopes)
{
    return (struct token_facts){
        .type = "Bearer",
        .id = "t-0123456789abcdef",
        .account = "main",
        .api_key = "amzn1.application.0000",
        .api_base = "https://api.example",
        .scopes = scopes,
        .expires_at_sec = 2000003600,
        .expires_in_sec = 3600,
    };
}

static struct strv two_scopes(void)
{
    static char library[] = "music::library", playback[] = "music::playback";
    static char *items[] = {library, playback, NULL};
    return (struct strv){items, 2};
}

static int file_of(const char *bytes, size_t n)
{
    int fd = memfd_create("token", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n); /* and so the offset is at the end */
    return fd;
}

static int make(const char *bytes, size_t n, const struct token_facts *facts, struct lwa_token **ret)
{
    _cleanup_close_ int fd = file_of(bytes, n);
    return token_new(fd, facts, &now, ret);
}

static void test_content(void **state)
{
    (void)state;
    struct token_facts facts = facts_of(two_scopes());
    struct lwa_token *token = NULL;
    size_t n = 0;
    assert_int_equal(make(BYTES, strlen(BYTES), &facts, &token), 0);
    assert_string_equal(lwa_token_get_bytes(token, &n), BYTES);
    assert_int_equal(n, strlen(BYTES));
    assert_string_equal(lwa_token_get_bytes(token, NULL), BYTES);
    assert_string_equal(lwa_token_get_authorization(token), "Bearer " BYTES);
    assert_string_equal(lwa_token_get_authorization_header(token), "Authorization: Bearer " BYTES);
    assert_string_equal(lwa_token_get_api_key(token), "amzn1.application.0000");
    assert_string_equal(lwa_token_get_api_key_header(token), "x-api-key: amzn1.application.0000");
    assert_string_equal(lwa_token_get_api_base(token), "https://api.example");
    assert_string_equal(lwa_token_get_scope(token), "music::library music::playback");
    assert_string_equal(lwa_token_get_id(token), "t-0123456789abcdef");
    assert_string_equal(lwa_token_get_account(token), "main");
    assert_int_equal(lwa_token_get_expires_at(token), 2000003600);
    assert_int_equal(token_get_end_usec(token), 4600 * USEC_PER_SEC);
    assert_null(lwa_token_unref(token));
}

static void test_one_copy(void **state)
{
    (void)state;
    struct token_facts facts = facts_of(two_scopes());
    struct lwa_token *token = NULL;
    assert_int_equal(make(BYTES, strlen(BYTES), &facts, &token), 0);
    const char *header = lwa_token_get_authorization_header(token);
    assert_ptr_equal(lwa_token_get_authorization(token), header + strlen("Authorization: "));
    assert_ptr_equal(lwa_token_get_bytes(token, NULL), header + strlen("Authorization: Bearer "));
    lwa_token_unref(token);
}

static void test_little_is_known(void **state)
{
    (void)state;
    struct token_facts facts = facts_of(STRV_EMPTY);
    struct lwa_token *token = NULL;
    facts.api_key = facts.api_base = "";
    assert_int_equal(make("x", 1, &facts, &token), 0);
    assert_null(lwa_token_get_api_key(token));
    assert_null(lwa_token_get_api_key_header(token));
    assert_string_equal(lwa_token_get_api_base(token), "");
    assert_string_equal(lwa_token_get_scope(token), "");
    assert_int_equal(lwa_token_has_scope(token, ""), 0);
    lwa_token_unref(token);
}

static void test_has_scope(void **state)
{
    (void)state;
    struct token_facts facts = facts_of(two_scopes());
    struct lwa_token *token = NULL;
    assert_int_equal(make("x", 1, &facts, &token), 0);
    assert_int_equal(lwa_token_has_scope(token, "music::library"), 1);
    assert_int_equal(lwa_token_has_scope(token, "music::playback"), 1);
    static const char *const others[] = {
        "music::library:read", "music::librar", "library", "", " ", "music::library music::playback",
    };
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        assert_int_equal(lwa_token_has_scope(token, others[i]), 0);
    assert_int_equal(lwa_token_has_scope(token, NULL), 0);
    lwa_token_unref(token);
}

/* An answer that lay in the socket is not taken for younger than it is; a wall clock that is behind makes it
 * no longer. */
static void test_end_of_late_answer(void **state)
{
    (void)state;
    static const struct {
        uint64_t expires_at;
        unsigned life;
    } cases[] = {{2000003600, 3600}, {2000003000, 3000}, {2000009999, 3600}, {2000000000, 0}, {1, 0}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct token_facts facts = facts_of(two_scopes());
        struct lwa_token *token = NULL;
        facts.expires_at_sec = cases[i].expires_at;
        assert_int_equal(make("x", 1, &facts, &token), 0);
        assert_int_equal(token_get_life_usec(token), cases[i].life * USEC_PER_SEC);
        assert_int_equal(token_get_end_usec(token), (1000 + cases[i].life) * USEC_PER_SEC);
        lwa_token_unref(token);
    }
}

static void test_expires_in(void **state)
{
    (void)state;
    struct token_facts facts = facts_of(two_scopes());
    struct token_time real = token_now();
    struct lwa_token *token = NULL;
    _cleanup_close_ int fd = file_of("x", 1);
    facts.expires_at_sec = (uint64_t)real.wall_sec + 3600;
    assert_int_equal(token_new(fd, &facts, &real, &token), 0);
    assert_in_range(lwa_token_get_expires_in(token), 3000, 3600);
    lwa_token_unref(token);
    real.boot_usec = 0;
    facts.expires_in_sec = 0;
    assert_int_equal(token_new(fd, &facts, &real, &token), 0);
    assert_int_equal(lwa_token_get_expires_in(token), 0);
    lwa_token_unref(token);
}

static void test_bytes_that_are_no_token(void **state)
{
    (void)state;
    static char long_one[TOKEN_BYTES_MAX + 1];
    (void)memset(long_one, 'x', sizeof(long_one));
    static const struct {
        const char *bytes;
        size_t n;
    } cases[] = {
        {"", 0},
        {"a b", 3},
        {"a\r\nX-Evil: 1", 12},
        {"a\0b", 3},
        {"caf\xC3\xA9", 5},
        {"a\x7F", 2},
        {long_one, TOKEN_BYTES_MAX + 1},
    };
    struct token_facts facts = facts_of(two_scopes());
    struct lwa_token *token = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(make(cases[i].bytes, cases[i].n, &facts, &token), -EBADMSG);
    assert_null(token);
    assert_int_equal(make(long_one, TOKEN_BYTES_MAX, &facts, &token), 0);
    lwa_token_unref(token);
}

static void test_descriptor_of_another_kind(void **state)
{
    (void)state;
    struct token_facts facts = facts_of(two_scopes());
    struct lwa_token *token = NULL;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(token_new(ends[0], &facts, &now, &token), -EBADMSG);
    close_fd(ends[0]);
    close_fd(ends[1]);
}

static void test_facts_that_are_none(void **state)
{
    (void)state;
    struct lwa_token *token = NULL;
    struct token_facts facts = facts_of(two_scopes());
    facts.type = "mac";
    assert_int_equal(make("x", 1, &facts, &token), -EBADMSG);
    facts = facts_of(two_scopes());
    facts.id = "";
    assert_int_equal(make("x", 1, &facts, &token), -EBADMSG);
    facts = facts_of(two_scopes());
    facts.api_key = "a\r\nX-Evil: 1";
    assert_int_equal(make("x", 1, &facts, &token), -EBADMSG);
    const char **const words[] = {&facts.api_base, &facts.id, &facts.account};
    static const char *const values[] = {"a b", "a\r\nX-Evil: 1", "a\x1B[2J",
                                         "\xC2\x9B"
                                         "2J"};
    for (size_t i = 0; i < ARRAY_SIZE(words) * ARRAY_SIZE(values); i++) {
        facts = facts_of(two_scopes());
        *words[i % ARRAY_SIZE(words)] = values[i / ARRAY_SIZE(words)];
        assert_int_equal(make("x", 1, &facts, &token), -EBADMSG);
    }
    static char two[] = "music::library music::playback", none[] = "";
    static char *bad[] = {two, NULL, none, NULL};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i += 2) {
        facts = facts_of((struct strv){bad + i, 1});
        assert_int_equal(make("x", 1, &facts, &token), -EBADMSG);
    }
    facts = facts_of(two_scopes());
    facts.expires_at_sec = UINT64_MAX;
    assert_int_equal(make("x", 1, &facts, &token), -EBADMSG);
}

/* --- from a reply --------------------------------------------------------------------------------------- */

enum { WITHOUT_NOTHING = -1 };

/* What the broker sends, without the entry of this number. */
static DBusMessage *reply_without(int missing, int fd, bool is_wrong_type)
{
    DBusMessage *m = dbus_message_new(DBUS_MESSAGE_TYPE_METHOD_RETURN);
    struct writer w;
    struct strv scopes = two_scopes();
    assert_non_null(m);
    writer_begin(&w, m);
    writer_fd(&w, fd);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    static const char *const texts[][2] = {{"token_type", "Bearer"},
                                           {"token_id", "t-1"},
                                           {"account", "main"},
                                           {"x_api_key", "k"},
                                           {"api_base", ""}};
    for (int i = 0; i < (int)ARRAY_SIZE(texts); i++)
        if (i != missing)
            writer_entry_string(&w, texts[i][0], texts[i][1]);
    writer_entry_string(&w, "something_new", "of a later broker");
    if (missing != 5)
        writer_entry_strv(&w, "scopes", &scopes);
    if (missing != 6)
        writer_entry_uint64(&w, "expires_at", 2000003600);
    if (missing != 7)
        writer_entry_uint32(&w, "expires_in", 3600);
    else if (is_wrong_type)
        writer_entry_uint64(&w, "expires_in", 3600);
    writer_close(&w);
    assert_int_equal(writer_end(&w), 0);
    return m;
}

static int take_reply(int missing, bool is_wrong_type, struct lwa_token **ret)
{
    _cleanup_close_ int fd = file_of(BYTES, strlen(BYTES));
    DBusMessage *m = reply_without(missing, fd, is_wrong_type);
    int r = token_new_from_reply(m, &now, ret);
    dbus_message_unref(m);
    return r;
}

static void test_reply(void **state)
{
    (void)state;
    struct lwa_token *token = NULL;
    assert_int_equal(take_reply(WITHOUT_NOTHING, false, &token), 0);
    assert_string_equal(lwa_token_get_bytes(token, NULL), BYTES);
    assert_string_equal(lwa_token_get_id(token), "t-1");
    lwa_token_unref(token);
}

static void test_reply_that_lacks_something(void **state)
{
    (void)state;
    struct lwa_token *token = NULL;
    for (int missing = 0; missing < 8; missing++)
        assert_int_equal(take_reply(missing, false, &token), -EBADMSG);
    assert_int_equal(take_reply(7, true, &token), -EBADMSG);
    assert_null(token);
}

/* --- references ----------------------------------------------------------------------------------------- */

static void test_references(void **state)
{
    (void)state;
    struct token_facts facts = facts_of(two_scopes());
    struct lwa_token *token = NULL;
    assert_int_equal(make(BYTES, strlen(BYTES), &facts, &token), 0);
    assert_ptr_equal(lwa_token_ref(token), token);
    assert_null(lwa_token_unref(token));
    assert_string_equal(lwa_token_get_bytes(token, NULL), BYTES);
    assert_null(lwa_token_unref(token));
}

static void test_null(void **state)
{
    (void)state;
    size_t n = 1;
    assert_null(lwa_token_ref(NULL));
    assert_null(lwa_token_unref(NULL));
    assert_null(lwa_token_get_bytes(NULL, &n));
    assert_int_equal(n, 0);
    assert_null(lwa_token_get_authorization(NULL));
    assert_null(lwa_token_get_authorization_header(NULL));
    assert_null(lwa_token_get_api_key(NULL));
    assert_null(lwa_token_get_api_key_header(NULL));
    assert_null(lwa_token_get_api_base(NULL));
    assert_null(lwa_token_get_scope(NULL));
    assert_int_equal(lwa_token_has_scope(NULL, "profile"), 0);
    assert_int_equal(lwa_token_get_expires_at(NULL), 0);
    assert_int_equal(lwa_token_get_expires_in(NULL), 0);
    assert_null(lwa_token_get_id(NULL));
    assert_null(lwa_token_get_account(NULL));
}

/* --- answers of the API --------------------------------------------------------------------------------- */

#define V1(code)                                                                                             \
    "{\"error\":{\"status\":\"401\",\"code\":\"" code "\",\"message\":\"The \\\"token\\\" {is} old\","       \
    "\"url\":\"/v1/me\",\"payload\":{\"a\":[1,{}]}}}"
#define V2(code) "{\"error\":{\"code\":\"" code "\",\"message\":\"m\",\"traceId\":\"1-2\"}}"

static void test_is_rejected(void **state)
{
    (void)state;
    static const struct {
        long status;
        const char *body;
        int rejected;
    } cases[] = {
        {401, V1("INVALID_ACCESS_TOKEN"), 1},
        {401, V2("UNAUTHORIZED"), 1},
        {401, " {\n \"x\" : [ { \"error\" : 1 }, \"]\" ] , \"error\" : { \"code\" : \"UNAUTHORIZED\" } }\n",
         1},
        {401, "{\"error\":{\"message\":\"\\\\\",\"code\":\"UNAUTHORIZED\"", 1}, /* cut short */
        {401, "{\"error\":{\"message\":\"one \\\" alone\",\"code\":\"UNAUTHORIZED\"}}", 1},
        {403, V1("INVALID_ACCESS_TOKEN"), 0},
        {200, V2("UNAUTHORIZED"), 0},
        {0, V2("UNAUTHORIZED"), 0},
        {401, V1("INVALID_AUTH_TYPE"), 0},
        {401, V1("INVALID_AUTH_TOKEN"), 0},
        {401, V1("NO_X_API_KEY"), 0},
        {401, V1("INVALID_CLIENT_ID"), 0},
        {401, V1("INVALID_ACCESS_TOKEN_"), 0},
        {401, V1("xINVALID_ACCESS_TOKEN"), 0},
        {401, V1(""), 0},
        {401, "{\"code\":\"UNAUTHORIZED\"}", 0},
        {401, "{\"error\":\"UNAUTHORIZED\"}", 0},
        {401, "{\"error\":[{\"code\":\"UNAUTHORIZED\"}]}", 0},
        {401, "{\"data\":{\"error\":{\"code\":\"UNAUTHORIZED\"}}}", 0},
        {401, "{\"error\":{\"message\":\"\\\"code\\\":\\\"UNAUTHORIZED\\\"\"}}", 0},
        {401, "{\"error\":{\"payload\":{\"code\":\"UNAUTHORIZED\"},\"code\":\"NO_X_API_KEY\"}}", 0},
        {401, "{\"error\":{},\"code\":\"UNAUTHORIZED\"}", 0},
        {401, "<html>INVALID_ACCESS_TOKEN</html>", 0},
        {401, "", 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(lwa_is_rejected(cases[i].status, cases[i].body, strlen(cases[i].body)),
                         cases[i].rejected);
    assert_int_equal(lwa_is_rejected(401, NULL, 0), 0);
}

/* Every start of a good body, in memory that ends where it ends: only whole codes count, and nothing behind
 * the end is looked at (the sanitizers would tell). */
static void test_is_rejected_cut(void **state)
{
    (void)state;
    static const char body[] = V1("INVALID_ACCESS_TOKEN");
    size_t whole = (size_t)(strstr(body, "TOKEN\"") - body) + strlen("TOKEN\"");
    for (size_t n = 0; n < sizeof(body); n++) {
        _cleanup_free_ char *start = malloc(n ? n : 1);
        assert_non_null(start);
        (void)memcpy(start, body, n);
        assert_int_equal(lwa_is_rejected(401, start, n), n >= whole);
    }
}

/* Deep and long: it takes neither stack nor for ever. */
static void test_is_rejected_deep(void **state)
{
    (void)state;
    const size_t n = (size_t)8 << 20;
    _cleanup_free_ char *body = malloc(n);
    assert_non_null(body);
    (void)memset(body, '[', n);
    static const char start[] = {'{', '"', 'x', '"', ':'};
    (void)memcpy(body, start, sizeof(start));
    assert_int_equal(lwa_is_rejected(401, body, n), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content),
        cmocka_unit_test(test_one_copy),
        cmocka_unit_test(test_little_is_known),
        cmocka_unit_test(test_has_scope),
        cmocka_unit_test(test_end_of_late_answer),
        cmocka_unit_test(test_expires_in),
        cmocka_unit_test(test_bytes_that_are_no_token),
        cmocka_unit_test(test_descriptor_of_another_kind),
        cmocka_unit_test(test_facts_that_are_none),
        cmocka_unit_test(test_reply),
        cmocka_unit_test(test_reply_that_lacks_something),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_is_rejected),
        cmocka_unit_test(test_is_rejected_cut),
        cmocka_unit_test(test_is_rejected_deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
