/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/consent-sentence.h"
#include "broker/limits.h"
#include "util/utf8.h"

#include <string.h>

static const char catalogue_text[] = "[lib]\ndescription = see and change your library\nimplies = lib:read\n"
                                     "[lib:read]\ndescription = see your library\n"
                                     "[play]\ndescription = play music\n"
                                     "[odd]\ndescription = be $(app) and $(user)\n";
static struct catalogue *catalogue;

static int set_up(void **state)
{
    (void)state;
    struct ini_problem problem;
    return catalogue_new(NULL, &catalogue) != 0 ||
           catalogue_add_text(catalogue, catalogue_text, strlen(catalogue_text), true, &problem) != 0 ||
           catalogue_seal(catalogue, &problem) != 0;
}

static int tear_down(void **state)
{
    (void)state;
    catalogue_free(catalogue);
    return 0;
}

static void check(struct consent_sentence s, const char *scopes, const char *expected)
{
    _cleanup_free_ char *text = NULL;
    assert_int_equal(catalogue_split(catalogue, scopes, &s.scopes), 0);
    s.scopes = catalogue_expand(catalogue, s.scopes);
    assert_int_equal(consent_sentence_make(catalogue, &s, &text), 0);
    assert_string_equal(text, expected);
}

static void test_sentences(void **state)
{
    (void)state;
    check((struct consent_sentence){.app = "flatpak:org.example.Player", .description = "The music player"},
          "play lib:read",
          "The music player (flatpak:org.example.Player) wants to use your Amazon account to: see your "
          "library; "
          "play music.");
    check((struct consent_sentence){.app = "user:alice"}, "lib",
          "user:alice wants to use your Amazon account to: see and change your library.");
    check((struct consent_sentence){.app = "user:alice", .description = "", .account = "main-2"}, "play",
          "user:alice wants to use your Amazon account main-2 to: play music.");
    check((struct consent_sentence){.app = "user:kiosk", .is_device = true}, "play",
          "user:kiosk wants to use the Amazon account of this device to: play music.");
    check((struct consent_sentence){.app = "user:alice"}, "",
          "user:alice wants to use your Amazon account again, for what the policy of this device allows.");
}

static void test_nothing_is_put_in_by_polkit(void **state)
{
    (void)state;
    check(
        (struct consent_sentence){.app = "user:$(x)", .description = "a\nb $(polkit.message)$$(c"}, "odd",
        "a?b ?(polkit.message)$?(c (user:?(x)) wants to use your Amazon account to: be ?(app) and ?(user).");
}

static void test_long_ones(void **state)
{
    (void)state;
    char name[400];
    for (size_t i = 0; i + 2 < sizeof(name); i += 2)
        memcpy(name + i, "\xC3\xA9", 3);
    struct consent_sentence s = {.app = "user:alice", .description = name};
    _cleanup_free_ char *text = NULL;
    scope_set_add(&s.scopes, catalogue_find(catalogue, "play"));
    assert_int_equal(consent_sentence_make(catalogue, &s, &text), 0);
    assert_true(utf8_is_valid(text, strlen(text)));
    assert_true(strlen(text) < LIMIT_PROMPT_NAME_BYTES + 100);
    assert_non_null(strstr(text, "... (user:alice) wants"));

    /* Never a part of what the token would carry. */
    struct catalogue *big;
    struct ini_problem problem;
    assert_int_equal(catalogue_new(NULL, &big), 0);
    for (int i = 0; i < 100; i++) {
        char section[600];
        (void)snprintf(section, sizeof(section), "[s%d]\ndescription = %0100d\n", i, i);
        assert_int_equal(catalogue_add_text(big, section, strlen(section), true, &problem), 0);
    }
    assert_int_equal(catalogue_seal(big, &problem), 0);
    s.scopes = catalogue_listed(big);
    char *untouched = NULL;
    assert_int_equal(consent_sentence_make(big, &s, &untouched), CONSENT_SENTENCE_E_TOO_LONG);
    assert_null(untouched);
    catalogue_free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_nothing_is_put_in_by_polkit),
        cmocka_unit_test(test_long_ones),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
