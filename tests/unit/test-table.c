/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "policy/table.h"
#include "tests/unit/decide.h"
#include "util/utf8.h"

#include <string.h>

#define D "description = d\n"

/* w implies r; top implies w and x. */
static const char scopes[] = "[r]\n" D "[w]\n" D "implies = r\n[x]\n" D "[top]\n" D "implies = w x\n[y]\n" D;

static struct catalogue *catalogue;

static int setup(void **state)
{
    (void)state;
    struct ini_problem problem;
    return catalogue_new(NULL, &catalogue) ||
           catalogue_add_text(catalogue, scopes, strlen(scopes), true, &problem) ||
           catalogue_seal(catalogue, &problem);
}

static int teardown(void **state)
{
    (void)state;
    catalogue_free(catalogue);
    catalogue = NULL;
    return 0;
}

static struct table *make(const char *const *files)
{
    struct table *t = NULL;
    assert_int_equal(table_new(&t), 0);
    for (; *files; files++)
        assert_int_equal(table_add_file(t, catalogue, "file", *files, strlen(*files)), 0);
    return t;
}

/* The verdicts over r w x top y, as letters: A, q for ask, and - for deny. */
static const char *decide(const struct table *t, const char *app, enum verdict fallback)
{
    static char letters[6];
    static const char *const names[] = {"r", "w", "x", "top", "y"};
    struct verdicts v;
    decide_for(t, catalogue, app, fallback, &v);
    assert_true(scope_set_is_empty(scope_set_intersection(v.allow, v.ask)));
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        letters[i] = "-qA"[verdicts_get(&v, catalogue_find(catalogue, names[i]))];
    return letters;
}

static void test_order_of_rules(void **state)
{
    (void)state;
    static const struct {
        const char *section;
        const char *with_ask, *with_deny; /* r w x top y */
    } cases[] = {
        {"", "qqqqq", "-----"},
        {"allow = w\n", "AAqqq", "AA---"},
        {"allow = top\n", "AAAAq", "AAAA-"},
        {"allow = r\n", "Aqqqq", "A----"},
        {"ask = w\n", "qqqqq", "qq-q-"},    /* top implies w, so top is asked for as well */
        {"deny = r\n", "--q-q", "-----"},   /* a denial takes away all that imply it */
        {"deny = top\n", "qqq-q", "-----"}, /* and nothing that it implies */
        {"allow = top\ndeny = r\n", "--A-q", "--A--"},
        {"allow = top\nask = r\n", "qqAqq", "qqAq-"},
        {"allow = r\nask = w\n", "Aqqqq", "Aq-q-"},
        {"ask = top\nallow = w\n", "AAqqq", "AAqq-"},
        {"ask = w\ndeny = w\n", "q-q-q", "q----"},
        {"allow = x, y r\n", "AqAqA", "A-A-A"},
        {"allow = x\nallow = y\n", "qqAqA", "--A-A"},
        {"allow = x\n  y\n", "qqAqA", "--A-A"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[256];
        (void)snprintf(text, sizeof(text), "[user:a]\n%s", cases[i].section);
        const char *files[] = {text, NULL};
        _cleanup_(table_freep) struct table *t = make(files);
        assert_int_equal(table_count_problems(t), 0);
        assert_string_equal(decide(t, "user:a", VERDICT_ASK), cases[i].with_ask);
        assert_string_equal(decide(t, "user:a", VERDICT_DENY), cases[i].with_deny);
    }
}

static void test_sections_add_up(void **state)
{
    (void)state;
    const char *files[] = {"[user:a]\nallow = r\n[user:b]\nallow = y\n[user:a]\nallow = x\n",
                           "[user:a]\nallow = y\ndeny = x\n", NULL};
    _cleanup_(table_freep) struct table *t = make(files);
    assert_string_equal(decide(t, "user:a", VERDICT_DENY), "A---A");
    assert_string_equal(decide(t, "user:b", VERDICT_DENY), "----A");
    assert_int_equal(table_count_sections(t), 2);
}

static void test_exact_identity(void **state)
{
    (void)state;
    const char *files[] = {"[flatpak:org.example.Player]\nallow = top y\n[user:ab]\nallow = y\n", NULL};
    _cleanup_(table_freep) struct table *t = make(files);
    assert_string_equal(decide(t, "flatpak:org.example.Player", VERDICT_DENY), "AAAAA");
    static const char *const others[] = {
        "",
        "flatpak:org.example.Playe",
        "flatpak:org.example.Player2",
        "flatpak:org.example.player",
        "user:a",
        "user:abc",
        "user:",
        "snap:org.example.Player",
        "USER:ab",
        " user:ab",
    };
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        assert_string_equal(decide(t, others[i], VERDICT_DENY), "-----");
}

/* Two identities that differ only after byte 49, where inih cuts names. */
static void test_long_identity(void **state)
{
    (void)state;
#define LONG "flatpak:org.example.averyveryveryveryverylongnameofanapp"
    const char *files[] = {"[" LONG "1]\nallow = y\n[" LONG "2]\nallow = x\n", NULL};
    _cleanup_(table_freep) struct table *t = make(files);
    assert_string_equal(decide(t, LONG "1", VERDICT_DENY), "----A");
    assert_string_equal(decide(t, LONG "2", VERDICT_DENY), "--A--");
}

static void test_malformed_shuts_all_it_names(void **state)
{
    (void)state;
    static const char good[] = "[user:a]\nallow = y\n[user:b]\nallow = y\n[user:c]\nallow = y\n";
    static const struct {
        const char *text;
        unsigned line;
        const char *a, *b; /* of y alone */
    } cases[] = {
        {"[user:a]\nallow = y\ncolour = red\n", 3, "-", "A"},
        {"[user:a]\nallow = unlisted\n", 2, "-", "A"},
        {"[user:a]\ndeny = yy\n", 2, "-", "A"},
        {"[user:b]\nallow = x\n[user:a\nallow = x\n", 3, "-", "-"},
        {"nonsense\n[user:a]\n[user:b]\n", 1, "-", "-"}, /* named after the fault */
        {"user:a]\nallow = y\n", 1, "-", "A"},
        {"[user:a] oops\n", 1, "-", "A"},
        {"  [ user:a ]\n[\n", 2, "-", "A"},
        {"\xEF\xBB\xBF[user:a]\r\n[\r\n", 2, "-", "A"},
        {"[user:a exe:/usr/bin/x]\nallow = y\n", 1, "-", "A"}, /* facts are not known yet */
        {"[exe:/usr/bin/x]\n[user:a]\n", 1, "-", "A"},
        {"[musicd]\nallow = y\n", 1, "A", "A"},
        {"; [user:a]\n# [user:b]\nnonsense\n", 3, "A", "A"}, /* comments name nobody */
        {"[user:a] ; not user:b\nnonsense\n", 2, "-", "A"},
        {"allow = user:a\n", 1, "A", "A"},
        {"[user:]\n", 1, "A", "A"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (int first = 0; first < 2; first++) { /* whatever the other files say, before or after */
            const char *files[] = {first ? cases[i].text : good, first ? good : cases[i].text, NULL};
            _cleanup_(table_freep) struct table *t = make(files);
            assert_int_equal(table_count_problems(t), 1);
            assert_string_equal(table_get_problem(t, 0)->file, "file");
            assert_int_equal(table_get_problem(t, 0)->problem.line, cases[i].line);
            assert_string_equal(decide(t, "user:a", VERDICT_ASK) + 4, cases[i].a);
            assert_string_equal(decide(t, "user:b", VERDICT_ASK) + 4, cases[i].b);
            assert_string_equal(decide(t, "user:c", VERDICT_ASK), "qqqqA");
            assert_string_equal(decide(t, "user:d", VERDICT_ASK), "qqqqq");
        }
    }
}

static void test_malformed_bytes(void **state)
{
    (void)state;
    static const char text[] = "[user:a]\nallow = \0y\n\0[user:b]\n[user:c]\r[user:d]\n";
    _cleanup_(table_freep) struct table *t = NULL;
    assert_int_equal(table_new(&t), 0);
    assert_int_equal(table_add_file(t, catalogue, "bad\xFF", text, sizeof(text) - 1), 0);
    static const char *const named[] = {"user:a", "user:b", "user:c", "user:d"};
    for (size_t i = 0; i < ARRAY_SIZE(named); i++)
        assert_string_equal(decide(t, named[i], VERDICT_ASK), "-----");
    assert_string_equal(table_get_problem(t, 0)->file, "bad?");
}

static void test_unreadable(void **state)
{
    (void)state;
    const char *files[] = {"[user:a]\nallow = w\nask = x\n", NULL};
    _cleanup_(table_freep) struct table *t = make(files);
    assert_string_equal(decide(t, "user:a", VERDICT_ASK), "AAqqq");
    assert_int_equal(table_add_file(t, catalogue, "gone", NULL, 0), 0);
    assert_int_equal(table_count_problems(t), 1);
    assert_string_equal(decide(t, "user:a", VERDICT_ASK), "AAqq-");
    assert_string_equal(decide(t, "user:b", VERDICT_ASK), "-----");
}

static void test_mentioned(void **state)
{
    (void)state;
    const char *files[] = {"[user:a]\nallow = w\nask = x\n", "[user:s]\n[\n", NULL};
    _cleanup_(table_freep) struct table *t = make(files);
    struct verdicts v;
    decide_for(t, catalogue, "user:a", VERDICT_ASK, &v);
    _cleanup_free_ char *names = catalogue_join(catalogue, v.mentioned);
    assert_string_equal(names, "r top w x");
    decide_for(t, catalogue, "user:b", VERDICT_ASK, &v);
    assert_true(scope_set_is_empty(v.mentioned));
    decide_for(t, catalogue, "user:s", VERDICT_ASK, &v);
    assert_true(scope_set_equal(v.mentioned, catalogue_listed(catalogue)));
    assert_true(scope_set_is_empty(scope_set_union(v.allow, v.ask)));
}

static void test_unlisted_is_denied(void **state)
{
    (void)state;
    const char *files[] = {"[user:a]\nallow = top y\n", NULL};
    _cleanup_(table_freep) struct table *t = make(files);
    int stranger = catalogue_intern(catalogue, "stranger");
    struct verdicts v;
    decide_for(t, catalogue, "user:a", VERDICT_ASK, &v);
    assert_int_equal(verdicts_get(&v, stranger), VERDICT_DENY);

    /* A scope that left the catalogue after the table was made. */
    _cleanup_(catalogue_freep) struct catalogue *next = NULL;
    struct ini_problem problem;
    static const char fewer[] = "[r]\n" D "[w]\n" D;
    assert_int_equal(catalogue_new(catalogue, &next), 0);
    assert_int_equal(catalogue_add_text(next, fewer, strlen(fewer), true, &problem), 0);
    assert_int_equal(catalogue_seal(next, &problem), 0);
    decide_for(t, next, "user:a", VERDICT_ASK, &v);
    assert_int_equal(verdicts_get(&v, catalogue_find(catalogue, "y")), VERDICT_DENY);
    assert_int_equal(verdicts_get(&v, catalogue_find(catalogue, "w")), VERDICT_ALLOW);
}

static void test_least(void **state)
{
    (void)state;
    struct verdicts v = {SCOPE_SET_EMPTY, SCOPE_SET_EMPTY, SCOPE_SET_EMPTY, SCOPE_SET_EMPTY};
    struct scope_set set = SCOPE_SET_EMPTY;
    scope_set_add(&v.allow, 1);
    scope_set_add(&v.ask, 70);
    assert_int_equal(verdicts_least(&v, set), VERDICT_ALLOW);
    scope_set_add(&set, 1);
    assert_int_equal(verdicts_least(&v, set), VERDICT_ALLOW);
    scope_set_add(&set, 70);
    assert_int_equal(verdicts_least(&v, set), VERDICT_ASK);
    scope_set_add(&set, 200);
    assert_int_equal(verdicts_least(&v, set), VERDICT_DENY);
    assert_string_equal(verdict_name(VERDICT_DENY), "deny");
    assert_string_equal(verdict_name(VERDICT_ASK), "ask");
    assert_string_equal(verdict_name(VERDICT_ALLOW), "allow");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_of_rules),
        cmocka_unit_test(test_sections_add_up),
        cmocka_unit_test(test_exact_identity),
        cmocka_unit_test(test_long_identity),
        cmocka_unit_test(test_malformed_shuts_all_it_names),
        cmocka_unit_test(test_malformed_bytes),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_mentioned),
        cmocka_unit_test(test_unlisted_is_denied),
        cmocka_unit_test(test_least),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
