/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text of others in an HTML page. */

#include "tests/unit/unit.h"

#include "client/lwactl/html.h"

#include <string.h>

static char *written(void (*write)(FILE *, const char *), const char *text)
{
    char *bytes = NULL;
    size_t n;
    FILE *out = open_memstream(&bytes, &n);
    assert_non_null(out);
    write(out, text);
    assert_int_equal(fclose(out), 0);
    return bytes;
}

#define U(code) "<span class=\"u\">" code "</span>"

static void test_texts(_unused_ void **state)
{
    static const struct {
        const char *text, *content, *plain;
    } cases[] = {
        {"", "<bdi></bdi>", ""},
        {"user:musicd", "<bdi>user:<wbr>musicd</bdi>", "user:musicd"},
        {"a::b.c/d-e", "<bdi>a::<wbr>b.<wbr>c/<wbr>d-<wbr>e</bdi>", "a::b.c/d-e"},
        {"x --user a-", "<bdi>x --user a-</bdi>", "x --user a-"},
        {"<b>&\"'", "<bdi>&lt;b&gt;&amp;&quot;&#39;</bdi>", "&lt;b&gt;&amp;&quot;&#39;"},
        {"a\x1b[2J\n\tb", "<bdi>a" U("U+001B") "[2J" U("U+000A") U("U+0009") "b</bdi>",
         "a[U+001B][2J[U+000A][U+0009]b"},
        {"x\u202etxt", "<bdi>x" U("U+202E") "txt</bdi>", "x[U+202E]txt"},
        {"x\u2066y\u200bz", "<bdi>x" U("U+2066") "y" U("U+200B") "z</bdi>", "x[U+2066]y[U+200B]z"},
        {"\u05e9\u05dc\u05d5\u05dd", "<bdi>\u05e9\u05dc\u05d5\u05dd</bdi>", "\u05e9\u05dc\u05d5\u05dd"},
        {"\xff\xc3", "<bdi>" U("?") U("?") "</bdi>", "[?][?]"},
        {"e\u0301\u0301\u0301\u0301", "<bdi>e\u0301\u0301\u0301" U("U+0301") "</bdi>",
         "e\u0301\u0301\u0301[U+0301]"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *content = written(html_text, cases[i].text);
        _cleanup_free_ char *plain = written(html_plain, cases[i].text);
        assert_string_equal(content, cases[i].content);
        assert_string_equal(plain, cases[i].plain);
    }
}

static void test_long(_unused_ void **state)
{
    char text[3 * HTML_TEXT_CODES_MAX + 1] = "";
    for (size_t i = 0; i < HTML_TEXT_CODES_MAX + 44; i++)
        (void)memcpy(text + 2 * i, "\u00e4", 3);
    _cleanup_free_ char *plain = written(html_plain, text);
    assert_string_equal(plain + 2 * HTML_TEXT_CODES_MAX, " [\u2026 and 44 more]");
    text[2 * HTML_TEXT_CODES_MAX] = '\0';
    _cleanup_free_ char *whole = written(html_plain, text);
    assert_string_equal(whole, text);
}

/* No byte but those of our own markup can open or end anything. */
static void test_every_byte(_unused_ void **state)
{
    for (unsigned i = 1; i < 256; i++) {
        const char text[] = {'a', (char)i, 'b', '\0'};
        _cleanup_free_ char *plain = written(html_plain, text);
        assert_null(strpbrk(plain, "<>\"'\n\r\t"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
