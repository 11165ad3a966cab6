/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "util/ini.h"
#include "util/utf8.h"

#include <string.h>

#define TEXT(s) s, sizeof(s) - 1
#define X10 "xxxxxxxxxx"
#define X50 X10 X10 X10 X10 X10

/* What the handler was told, one line per call: section|key|value|line, with a + for a continued value. */
struct seen {
    char text[4096];
    size_t n;
};

static int note(const struct ini_entry *e, struct ini_problem *problem, void *userdata)
{
    struct seen *seen = userdata;
    if (e->key && strcmp(e->key, "refuse") == 0)
        return ini_refuse(problem, "no %s", e->value);
    if (e->key && strcmp(e->key, "fail") == 0)
        return -ENOMEM;
    seen->n +=
        (size_t)snprintf(seen->text + seen->n, sizeof(seen->text) - seen->n, "%s|%s|%s|%u%s\n", e->section,
                         e->key ? e->key : "-", e->value ? e->value : "-", e->line, e->continues ? "+" : "");
    return 0;
}

static void test_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        const char *seen;
    } cases[] = {
        {TEXT(""), ""},
        {TEXT("\n\n; comment\n# comment\n"), ""},
        {TEXT("[a]\nk = v\n"), "a|-|-|1\na|k|v|2\n"},
        {TEXT("[a]\nk = v"), "a|-|-|1\na|k|v|2\n"},
        {TEXT("[a]\r\nk = v\r\n"), "a|-|-|1\na|k|v|2\n"},
        {TEXT("\xEF\xBB\xBF[a]\nk=v\n"), "a|-|-|1\na|k|v|2\n"},
        {TEXT("[ a ]\n\tk\t=\tv w \n"), "a|-|-|1\na|k|v w|2\n"},
        {TEXT("[a] ; note\nk = v ; note\nl = v;w\n"), "a|-|-|1\na|k|v|2\na|l|v;w|3\n"},
        {TEXT("[a]\nk =\nl = ; only a comment\n"), "a|-|-|1\na|k||2\na|l||3\n"},
        {TEXT("[a]\nk = a=b:c#d\n"), "a|-|-|1\na|k|a=b:c#d|2\n"},
        /* Continued values, across comments and blank lines; their comments go as well. */
        {TEXT("[a]\nk = v\n  w ; note\n\n  ; note\n\tx = y\n"), "a|-|-|1\na|k|v|2\na|k|w|3+\na|k|x = y|6+\n"},
        /* An indented header within values is a value, never a section. */
        {TEXT("[a]\nk = v\n [b]\n"), "a|-|-|1\na|k|v|2\na|k|[b]|3+\n"},
        {TEXT("[a]\n[b]\n[a]\n"), "a|-|-|1\nb|-|-|2\na|-|-|3\n"},
        /* inih cuts section names and continued keys at 49 bytes: we do not. */
        {TEXT("[" X50 X10 "1]\n" X50 X10 "2 = v\n w\n"),
         X50 X10 "1|-|-|1\n" X50 X10 "1|" X50 X10 "2|v|2\n" X50 X10 "1|" X50 X10 "2|w|3+\n"},
        /* The longest line: 198 bytes, with CR LF after them. */
        {TEXT("[a]\nk = " X50 X50 X50 X10 X10 X10 X10 "1234\r\nl = v\n"),
         "a|-|-|1\na|k|" X50 X50 X50 X10 X10 X10 X10 "1234|2\na|l|v|3\n"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct seen seen = {.n = 0};
        struct ini_problem problem = {0};
        int r = ini_parse_text(cases[i].text, cases[i].n, note, &seen, &problem);
        assert_string_equal(problem.reason, "");
        assert_int_equal(r, 0);
        assert_string_equal(seen.text, cases[i].seen);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        unsigned line;
        const char *reason;
    } cases[] = {
        {TEXT("[a]\nk = v\0w\n"), 2, "NUL"},
        {TEXT("[a]\nk = \xC3(\n"), 2, "UTF-8"},
        {TEXT("[a]\n; \xFF\n"), 2, "UTF-8"},
        {TEXT("[a]\nk = \x1B[31m\n"), 2, "control"},
        {TEXT("[a]\nk = v\rl = w\n"), 2, "control"},
        {TEXT("[a]\nk = v\r"), 2, "control"},
        {TEXT("[a]\nk = \x7F\n"), 2, "control"},
        {TEXT("[a]\n\nk = " X50 X50 X50 X10 X10 X10 X10 "12345\n"), 3, "too long"},
        {TEXT("; " X50 X50 X50 X50 "\n[a]\n"), 1, "too long"},
        {TEXT("k = v\n"), 1, "before any section"},
        {TEXT("[a]\nkey\n"), 2, "no \"=\""},
        {TEXT("[a]\nk : v\n"), 2, "no \"=\""},
        {TEXT("[a]\nk : v = w\n"), 2, "no \"=\""},
        {TEXT("[a]\nk ; = v\n"), 2, "no \"=\""},
        {TEXT("[a]\n= v\n"), 2, "no key"},
        {TEXT("[a\nk = v\n"), 1, "not closed"},
        {TEXT("[a ;]\n"), 1, "not closed"},
        {TEXT("[a] b\n"), 1, "after the \"]\""},
        {TEXT("[a]b]\n"), 1, "after the \"]\""},
        {TEXT("[]\n"), 1, "no name"},
        {TEXT("[  ]\n"), 1, "no name"},
        {TEXT("[a]\n\nrefuse = this\n[b\n"), 3, "no this"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct seen seen = {.n = 0};
        struct ini_problem problem = {0};
        int r = ini_parse_text(cases[i].text, cases[i].n, note, &seen, &problem);
        assert_int_equal(r, INI_E_MALFORMED);
        assert_int_equal(problem.line, cases[i].line);
        assert_non_null(strstr(problem.reason, cases[i].reason));
    }
}

static void test_errors_go_up_and_end_it(void **state)
{
    (void)state;
    struct seen seen = {.n = 0};
    struct ini_problem problem = {.line = 77};
    const char text[] = "[a]\nk = v\nfail = 1\nl = w\n";
    assert_int_equal(ini_parse_text(text, strlen(text), note, &seen, &problem), -ENOMEM);
    assert_string_equal(seen.text, "a|-|-|1\na|k|v|2\n");
    assert_int_equal(problem.line, 77);
}

static void test_reason_is_cut_between_characters(void **state)
{
    (void)state;
    struct ini_problem problem = {0};
    for (size_t n = INI_REASON_SIZE - 6; n < INI_REASON_SIZE + 6; n++) {
        char filler[INI_REASON_SIZE + 8];
        memset(filler, 'x', n);
        filler[n] = '\0';
        assert_int_equal(ini_refuse(&problem, "%s\xF0\x9F\x8E\xB5\xC3\xA9", filler), INI_E_MALFORMED);
        assert_true(utf8_is_valid(problem.reason, strlen(problem.reason)));
        assert_true(strlen(problem.reason) >= INI_REASON_SIZE - 4 || strlen(problem.reason) == n + 6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_errors_go_up_and_end_it),
        cmocka_unit_test(test_reason_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
