/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "policy/catalogue.h"
#include "util/file.h"

#include <string.h>

#define D "description = d\n"

static const char diamond[] =
    "[a]\n" D "implies = b c\n[b]\n" D "implies = d\n[c]\n" D "implies = d\n[d]\n" D "[e]\n" D;

static struct catalogue *make(const struct catalogue *previous, const char *text)
{
    struct catalogue *c = NULL;
    struct ini_problem problem = {0};
    assert_int_equal(catalogue_new(previous, &c), 0);
    assert_int_equal(catalogue_add_text(c, text, strlen(text), true, &problem), 0);
    assert_int_equal(catalogue_seal(c, &problem), 0);
    return c;
}

static struct scope_set set_of(struct catalogue *c, const char *names)
{
    struct scope_set set;
    assert_int_equal(catalogue_split(c, names, &set), 0);
    return set;
}

static void assert_set(const struct catalogue *c, struct scope_set set, const char *names)
{
    _cleanup_free_ char *joined = catalogue_join(c, set);
    assert_string_equal(joined, names);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *reason;
        unsigned line; /* 0: found when sealing */
    } cases[] = {
        {"description = d\n", "before any section", 1},
        {"[a]\n" D "colour = red\n", "unknown key", 3},
        {"[a b]\n" D, "not a scope", 1},
        {"[a\"b]\n" D, "not a scope", 1},
        {"[a]\n" D "[b]\n" D "[a]\n" D, "listed twice", 5},
        {"[a]\n" D "[a]\n" D, "listed twice", 3},
        {"[a]\n[b]\n" D, "no description", 2},
        {"[b]\n" D "[a]\nfamily = x\n", "a has no description", 0},
        {"[a]\ndescription =\n", "empty", 2},
        {"[a]\n" D D, "given twice", 3},
        {"[a]\n" D "family = Upper\n", "family", 3},
        {"[a]\n" D "implies = \\\n", "not a scope", 3},
        {"[a]\n" D "implies = nowhere\n", "in no catalogue", 0},
        {"[a]\n" D "implies = a\n", "implies itself", 0},
        {"[a]\n" D "implies = b\n[b]\n" D "implies = c\n[c]\n" D "implies = a\n", "imply each other", 0},
        {"[a_b]\n" D "[a-b]\n" D, "same action id", 0},
        {"[a:b]\n" D "[a::b]\n" D, "same action id", 0},
        {"[other]\n" D, "taken", 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_(catalogue_freep) struct catalogue *c = NULL;
        struct ini_problem problem = {0};
        assert_int_equal(catalogue_new(NULL, &c), 0);
        int r = catalogue_add_text(c, cases[i].text, strlen(cases[i].text), true, &problem);
        if (r == 0)
            r = catalogue_seal(c, &problem);
        assert_int_equal(r, CATALOGUE_E_MALFORMED);
        assert_int_equal(problem.line, cases[i].line);
        assert_non_null(strstr(problem.reason, cases[i].reason));
    }
}

static void test_info(void **state)
{
    (void)state;
    _cleanup_(catalogue_freep) struct catalogue *c = NULL;
    struct ini_problem problem;
    static const char shipped[] = "[amazon_music:access]\ndescription = one\n  two\nfamily = music\n"
                                  "scope_data = {}\n[music::library:read]\n" D;
    static const char added[] = "[x_y]\n" D "implies = music::library:read\n";
    assert_int_equal(catalogue_new(NULL, &c), 0);
    assert_int_equal(catalogue_add_text(c, shipped, strlen(shipped), true, &problem), 0);
    assert_int_equal(catalogue_add_text(c, added, strlen(added), false, &problem), 0);
    assert_int_equal(catalogue_seal(c, &problem), 0);

    const struct scope_info *info = catalogue_get(c, catalogue_find(c, "amazon_music:access"));
    assert_string_equal(info->description, "one two");
    assert_string_equal(info->family, "music");
    assert_string_equal(info->scope_data, "{}");
    assert_string_equal(info->action_id, "org.lwabroker.scope.amazon-music.access");
    assert_true(info->listed && info->shipped);
    info = catalogue_get(c, catalogue_find(c, "music::library:read"));
    assert_string_equal(info->action_id, "org.lwabroker.scope.music.library.read");
    assert_string_equal(info->family, "other");
    assert_string_equal(info->scope_data, "");
    info = catalogue_get(c, catalogue_find(c, "x_y"));
    assert_string_equal(info->action_id, "org.lwabroker.scope.other");
    assert_false(info->shipped);
    assert_int_equal(catalogue_find(c, "x"), -1);
    assert_int_equal(catalogue_count(c), 3);
}

static void test_implication(void **state)
{
    (void)state;
    _cleanup_(catalogue_freep) struct catalogue *c = make(NULL, diamond);
    static const struct {
        const char *set, *expanded, *reduced, *up;
    } cases[] = {
        {"", "", "", ""},
        {"a", "a b c d", "a", "a"},
        {"b", "b d", "b", "a b"},
        {"d", "d", "d", "a b c d"},
        {"e", "e", "e", "e"},
        {"b c", "b c d", "b c", "a b c"},
        {"a d e", "a b c d e", "a e", "a b c d e"},
        {"stranger d", "d stranger", "d stranger", "a b c d stranger"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct scope_set set = set_of(c, cases[i].set);
        assert_set(c, catalogue_expand(c, set), cases[i].expanded);
        assert_set(c, catalogue_reduce(c, set), cases[i].reduced);
        assert_set(c, catalogue_expand_up(c, set), cases[i].up);
        assert_true(scope_set_equal(catalogue_expand(c, catalogue_reduce(c, set)), catalogue_expand(c, set)));
    }
    assert_set(c, catalogue_listed(c), "a b c d e");
}

static void test_numbers_stay(void **state)
{
    (void)state;
    _cleanup_(catalogue_freep) struct catalogue *first = make(NULL, diamond);
    int stranger = catalogue_intern(first, "stranger");
    struct scope_set kept = set_of(first, "a c stranger");

    _cleanup_(catalogue_freep) struct catalogue *second =
        make(first, "[z]\n" D "[stranger]\n" D "[c]\ndescription = new\nimplies = z\n");
    assert_int_equal(catalogue_find(second, "stranger"), stranger);
    assert_int_equal(catalogue_find(second, "c"), catalogue_find(first, "c"));
    assert_set(second, kept, "a c stranger");
    assert_set(second, catalogue_listed(second), "c stranger z");
    /* What vanished keeps its number, implies nothing any more and can no longer be asked for. */
    assert_int_equal(catalogue_find(second, "a"), -1);
    assert_int_equal(catalogue_intern(second, "a"), catalogue_find(first, "a"));
    assert_false(catalogue_get(second, catalogue_find(first, "a"))->listed);
    assert_set(second, catalogue_expand(second, set_of(second, "a")), "a");
    assert_string_equal(catalogue_get(second, catalogue_find(second, "c"))->description, "new");
    assert_string_equal(catalogue_get(first, catalogue_find(first, "c"))->description, "d");
}

static void test_intern(void **state)
{
    (void)state;
    _cleanup_(catalogue_freep) struct catalogue *c = make(NULL, diamond);
    char name[16];
    assert_int_equal(catalogue_intern(c, "no good"), -EINVAL);
    assert_int_equal(catalogue_intern(c, ""), -EINVAL);
    for (int i = (int)catalogue_count(c); i < SCOPE_COUNT_MAX; i++) {
        (void)snprintf(name, sizeof(name), "s%d", i);
        assert_int_equal(catalogue_intern(c, name), i);
        assert_int_equal(catalogue_find(c, name), -1);
    }
    assert_int_equal(catalogue_intern(c, "one-more"), -ENOSPC);
    assert_int_equal(catalogue_intern(c, "s255"), 255);
    struct scope_set set;
    assert_int_equal(catalogue_split(c, "a one-more", &set), -ENOSPC);

    /* A catalogue that follows has no number left for a new scope, and says so. */
    _cleanup_(catalogue_freep) struct catalogue *next = NULL;
    struct ini_problem problem = {0};
    assert_int_equal(catalogue_new(c, &next), 0);
    static const char text[] = "[a]\n" D "[new]\n" D;
    assert_int_equal(catalogue_add_text(next, text, strlen(text), false, &problem), CATALOGUE_E_MALFORMED);
    assert_int_equal(problem.line, 3);
}

static void test_shipped_file(void **state)
{
    (void)state;
    _cleanup_free_ char *text = NULL;
    size_t n;
    assert_int_equal(file_read(SCOPES_CONF, 65536, &text, &n), 0);
    _cleanup_(catalogue_freep) struct catalogue *c = make(NULL, text);
    static const char *const music[] = {
        "music::catalog",        "music::favorites",    "music::favorites:read", "music::history",
        "music::library",        "music::playback",     "music::library:read",   "music::profile",
        "music::recommendation", "music::profile:read",
    };
    for (size_t i = 0; i < ARRAY_SIZE(music); i++)
        assert_string_equal(catalogue_get(c, catalogue_find(c, music[i]))->family, "music");
    assert_set(c, catalogue_expand(c, set_of(c, "music::library profile")),
               "music::library music::library:read profile profile:user_id");
    assert_true(catalogue_get(c, catalogue_find(c, "alexa:all"))->scope_data[0] == '{');
    assert_string_equal(catalogue_nearest(c, "music:library"), "music::library");
    assert_string_equal(catalogue_nearest(c, "music::libary:read"), "music::library:read");
    assert_null(catalogue_nearest(c, "all"));
    assert_null(catalogue_nearest(c, "#"));
    /* Nothing that only looks narrower by its name is implied. */
    assert_set(c, catalogue_expand(c, set_of(c, "alexa:all")), "alexa:all");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),     cmocka_unit_test(test_info),
        cmocka_unit_test(test_implication), cmocka_unit_test(test_numbers_stay),
        cmocka_unit_test(test_intern),      cmocka_unit_test(test_shipped_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
