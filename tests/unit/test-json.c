/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/json.h"
#include "tests/unit/heap.h"

#include "autoconf.h"
#include <string.h>

struct text {
    const char *bytes;
    size_t n;
};
#define TEXT(literal)                                                                                        \
    {                                                                                                        \
        literal, sizeof(literal) - 1                                                                         \
    }

static void test_malformed(void **state _unused_)
{
    static const struct text cases[] = {
        TEXT(""),
        TEXT(" "),
        TEXT("null"),
        TEXT("1"),
        TEXT("\"a\""),
        TEXT("[]"),
        TEXT("[{\"a\":1}]"),
        TEXT("{"),
        TEXT("{\"a\""),
        TEXT("{\"a\":"),
        TEXT("{\"a\":1"),
        TEXT("{\"a\":\"x"),
        TEXT("{\"a\":1,}"),
        TEXT("{'a':1}"),
        TEXT("{a:1}"),
        TEXT("{\"a\":1}}"),
        TEXT("{\"a\":1}{\"a\":1}"),
        TEXT("{\"a\":1}x"),
        TEXT("{\"a\":1}\0"),
        TEXT("{\"a\":\"x\0y\"}"),
        TEXT("{\"a\":1\0}"),
        TEXT("{\"a\":\"x\ny\x01\"}"),
        TEXT("{/* */\"a\":1}"),
        TEXT("{\"a\":NaN}"),
        TEXT("{\"a\":True}"),
        TEXT("{\"a\":01}"),
        TEXT("{\"a\":\"\xff\"}"),
        TEXT("{\"a\":\"\xc3\"}"),
        TEXT("{\"a\":\"\xed\xa0\x80\"}"),
        TEXT("{\"\xc0\x80\":1}"),
        TEXT("{\"a\":\"\xe0\x9f\xbf\"}"),
        TEXT("{\"a\":\"\xf0\x8f\xbf\xbf\"}"),
        TEXT("{\"a\":\"\xf4\x90\x80\x80\"}"),
        TEXT("{\"a\":\"\xe2\x82\"}"),
        TEXT("{\"a\":\"\xe2\x82"),
        TEXT("{\"a\":\"\x80\"}"),
        TEXT("{\"a\":1,\"a\":1}"),
        TEXT("{\"a\":1,\"\\u0061\":2}"),
        TEXT("{\"a\":1,\"b\":{},\"a\":null}"),
        TEXT("{\"a\":{\"x\":1,\"x\":2}}"),
        TEXT("{\"a\":\"\\ud800\"}"),
        TEXT("{\"a\":18446744073709551615}"),
        TEXT("{\"a\":1e999}"),
        TEXT("<html><body>Sign in to the hotel's network</body></html>"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct json *j = NULL;
        if (json_parse(cases[i].bytes, cases[i].n, &j) != JSON_E_MALFORMED || j)
            fail_msg("case %zu was accepted: %s", i, cases[i].bytes);
    }
}

static void test_well_formed(void **state _unused_)
{
    static const struct text cases[] = {
        TEXT("{}"),
        TEXT(" \t\r\n{ \"a\" : 1 } \r\n"),
        TEXT("{\"a\":{\"b\":1,\"c\":[{\"d\":2}]},\"b\":1}"),
        TEXT("{\"a:b\":\"c:d{\",\"e\":\"\\\"f\\\":\\\\\"}"),
        TEXT("{\"a\":\"\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80\xe0\xa0\x80\xf0\x90\x80\x80\xc2\x80\"}"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct json *j = NULL;
        if (json_parse(cases[i].bytes, cases[i].n, &j) != 0)
            fail_msg("case %zu was refused: %s", i, cases[i].bytes);
        json_free(j);
    }
}

static int parse_nested(unsigned depth)
{
    char *text = malloc(8 + 2 * (size_t)depth);
    char *end = stpcpy(text, "{\"a\":");
    for (unsigned i = 1; i < depth; i++)
        *end++ = '[';
    for (unsigned i = 1; i < depth; i++)
        *end++ = ']';
    *end++ = '}';
    struct json *j = NULL;
    int r = json_parse(text, (size_t)(end - text), &j);
    json_free(j);
    free(text);
    return r;
}

static void test_depth(void **state _unused_)
{
    assert_int_equal(parse_nested(2), 0);
    assert_int_equal(parse_nested(JSON_DEPTH_MAX - 1), 0);
    assert_int_equal(parse_nested(JSON_DEPTH_MAX + 1), JSON_E_MALFORMED);
    assert_int_equal(parse_nested(10000), JSON_E_MALFORMED);
}

static void test_get_string(void **state _unused_)
{
    static const char text[] = "{\"s\":\"a%sb\",\"e\":\"\",\"z\":\"a\\u0000b\",\"u\":\"\\u00e9\xe2\x82\xac\","
                               "\"n\":1,\"x\":null,\"o\":{\"s\":\"deep\"},\"f\":true}";
    static const struct {
        const char *key;
        int r;
        const char *value;
    } cases[] = {
        {"s", 0, "a%sb"},
        {"e", 0, ""},
        {"z", JSON_E_TYPE, NULL},
        {"u", 0, "\xc3\xa9\xe2\x82\xac"},
        {"n", JSON_E_TYPE, NULL},
        {"x", JSON_E_ABSENT, NULL},
        {"o", JSON_E_TYPE, NULL},
        {"f", JSON_E_TYPE, NULL},
        {"missing", JSON_E_ABSENT, NULL},
        {"", JSON_E_ABSENT, NULL},
    };
    struct json *j = NULL;
    assert_int_equal(json_parse(text, sizeof(text) - 1, &j), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *value = "untouched";
        size_t n = 77;
        assert_int_equal(json_get_string(j, cases[i].key, &value, &n), cases[i].r);
        assert_string_equal(value, cases[i].value ? cases[i].value : "untouched");
        assert_int_equal(n, cases[i].value ? strlen(cases[i].value) : 77);
    }
    json_free(j);
}

static void test_get_uint(void **state _unused_)
{
    static const struct {
        const char *value;
        int r;
        uint64_t expected;
    } cases[] = {
        {"0", 0, 0},
        {"3600", 0, 3600},
        {"\"3600\"", 0, 3600},
        {"\"0003600\"", 0, 3600},
        {"9223372036854775807", 0, INT64_MAX},
        {"-1", JSON_E_TYPE, 0},
        {"1.0", JSON_E_TYPE, 0},
        {"1e3", JSON_E_TYPE, 0},
        {"\"\"", JSON_E_TYPE, 0},
        {"\"-1\"", JSON_E_TYPE, 0},
        {"\"+1\"", JSON_E_TYPE, 0},
        {"\" 1\"", JSON_E_TYPE, 0},
        {"\"1.0\"", JSON_E_TYPE, 0},
        {"\"0x10\"", JSON_E_TYPE, 0},
        {"\"99999999999999999999\"", JSON_E_TYPE, 0},
        {"\"1\\u0000\"", JSON_E_TYPE, 0},
        {"true", JSON_E_TYPE, 0},
        {"[1]", JSON_E_TYPE, 0},
        {"null", JSON_E_ABSENT, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[64];
        int n = snprintf(text, sizeof(text), "{\"v\":%s}", cases[i].value);
        struct json *j = NULL;
        uint64_t value = 0;
        assert_int_equal(json_parse(text, (size_t)n, &j), 0);
        int r = json_get_uint(j, "v", &value);
        if (r != cases[i].r || value != cases[i].expected)
            fail_msg("%s: %d, %llu", cases[i].value, r, (unsigned long long)value);
        json_free(j);
    }
}

#if !LWA_SANITIZE /* whose allocator keeps what is freed, and elsewhere */
#define SECRET "Atza-0815-the-access-token-0815"
#define SECRET_MIRRORED "5180-nekot-ssecca-eht-5180-aztA"
#define PIECES_MAX 30

static void assert_wiped(const char *format, const char *secret)
{
    char text[4 * PIECES_MAX * sizeof(SECRET) + 64];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int n = snprintf(text, sizeof(text), format, secret, secret, secret, secret);
#pragma GCC diagnostic pop
    struct json *j = NULL;
    if (json_parse(text, (size_t)n, &j) == 0)
        assert_true(heap_count(SECRET_MIRRORED) > 0); /* the search can find */
    json_free(j);
    if (heap_count(SECRET_MIRRORED) != 0)
        fail_msg("left in the heap: %s", format);
}

static void test_everything_is_wiped(void **state _unused_)
{
    static const char *const formats[] = {
        "{\"t\":\"%s\"}",
        "{\"t\":\"%s",
        "{\"t\":\"%s\",",
        "{\"o\":{\"t\":[\"%s\", \"x",
        "{\"t\":\"%s\",\"t\":\"%s\"}",
        "{\"t\":\"%s\"}}",
        "{\"t\":\"\\u00e9%s\"}",
        "{\"a\":\"%s\",\"t\":\"\\/%s\\/%s%s\"}",
    };
    if (heap_count("x") < 0)
        skip(); /* an allocator that is not the C library's: valgrind */
    /* Of many sizes: what is re-used after a free is seldom re-used whole, what moves seldom moves always. */
    char secret[PIECES_MAX * sizeof(SECRET)] = "";
    for (size_t i = 0; i < PIECES_MAX; i++) {
        memcpy(secret + i * (sizeof(SECRET) - 1), SECRET, sizeof(SECRET));
        for (size_t k = 0; i > 0 && k < ARRAY_SIZE(formats); k++)
            assert_wiped(formats[k], secret);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_well_formed),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_get_string),
        cmocka_unit_test(test_get_uint),
#if !LWA_SANITIZE
        cmocka_unit_test(test_everything_is_wiped),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
