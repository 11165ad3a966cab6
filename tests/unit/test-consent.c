/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "policy/consent.h"

#include <string.h>

/* What follows from an owner's answers, by hand: every rule of the header. */

#define D "description = d\n"

/* lib implies read and edit; edit implies read; the others stand alone. */
static const char scopes[] =
    "[read]\n" D "[edit]\n" D "implies = read\n[lib]\n" D "implies = edit read\n[play]\n" D "[prof]\n" D;

static struct catalogue *make_catalogue(void)
{
    struct catalogue *c = NULL;
    struct ini_problem problem;
    assert_int_equal(catalogue_new(NULL, &c), 0);
    assert_int_equal(catalogue_add_text(c, scopes, strlen(scopes), true, &problem), 0);
    assert_int_equal(catalogue_seal(c, &problem), 0);
    return c;
}

static struct scope_set set_of(struct catalogue *c, const char *names)
{
    struct scope_set set;
    assert_int_equal(catalogue_split(c, names, &set), 0);
    return set;
}

static void assert_set(struct catalogue *c, struct scope_set set, const char *expected, const char *what)
{
    _cleanup_free_ char *names = catalogue_join(c, set);
    assert_non_null(names);
    if (strcmp(names, expected) != 0)
        fail_msg("%s: '%s', not '%s'", what, names, expected);
}

static const struct {
    const char *what;
    const char *table_allow, *table_ask; /* what the table and the default said */
    const char *allow, *deny;            /* what the owner answered; deny "*": every scope */
    const char *then_allow, *then_ask, *consented;
} cases[] = {
    {"no answer changes nothing", "read", "play", "", "", "read", "play", ""},
    {"consent answers an ask", "", "play", "play", "", "play", "", "play"},
    {"consent to what is allowed changes nothing", "play", "", "play", "", "play", "", ""},
    {"what the table denies stays denied", "", "", "play", "", "", "", ""},
    {"consent reaches down", "", "edit lib read", "lib", "", "edit lib read", "", "edit lib read"},
    {"consent does not reach up", "", "edit lib read", "read", "", "read", "edit lib", "read"},
    {"of what is implied only what is asked for is answered", "", "lib", "lib", "", "lib", "", "lib"},
    {"a denial beats the table's allow", "play prof", "", "", "play", "prof", "", "play"},
    {"a denial beats an ask", "", "play", "", "play", "", "", "play"},
    {"a denial reaches up", "edit lib read", "", "", "edit", "read", "", "edit lib"},
    {"a denial does not reach down", "edit lib read", "", "", "lib", "edit read", "", "lib"},
    {"a denial beats consent to the same", "", "play", "play", "play", "", "", "play"},
    {"a denial beats consent to what implies it", "", "edit lib read", "lib", "read", "", "",
     "edit lib read"},
    {"a denial above leaves consent below", "", "edit lib read", "edit", "lib", "edit read", "",
     "edit lib read"},
    {"every scope is denied", "play", "edit lib read", "lib", "*", "", "", "edit lib play read"},
    {"what was denied already is not said to be consented", "", "", "", "play", "", "", ""},
};

static void rules(void **state _unused_)
{
    _cleanup_(catalogue_freep) struct catalogue *c = make_catalogue();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct verdicts v = {.allow = set_of(c, cases[i].table_allow), .ask = set_of(c, cases[i].table_ask)};
        bool denies_all = strcmp(cases[i].deny, "*") == 0;
        const struct consent_answers answers = {.allow = set_of(c, cases[i].allow),
                                                .deny = set_of(c, denies_all ? "" : cases[i].deny),
                                                .denies_all = denies_all};
        verdicts_apply_consent(c, &answers, &v);
        assert_set(c, v.allow, cases[i].then_allow, cases[i].what);
        assert_set(c, v.ask, cases[i].then_ask, cases[i].what);
        assert_set(c, v.consented, cases[i].consented, cases[i].what);
    }
}

static const struct {
    const char *what;
    const char *table_allow, *table_ask;
    const char *lasting, *once; /* allowed by the owner */
    const char *scopes;         /* what the token may carry */
    const char *needed;
} uses[] = {
    {"none was given", "", "play", "", "", "play", ""},
    {"the one that is needed", "", "play prof", "", "play prof", "play", "play"},
    {"both that are needed", "", "play prof", "", "play prof", "play prof", "play prof"},
    {"the table allows it anyway", "play", "", "", "play", "play", ""},
    {"another consent allows it anyway", "", "edit lib read", "lib", "read", "read", ""},
    {"the one that implies what is needed", "", "edit lib read", "", "lib", "read", "lib"},
    {"only what is missing counts", "", "edit lib read", "edit", "lib", "edit read", ""},
    {"a missing rest counts", "", "edit lib read", "edit", "lib", "lib edit read", "lib"},
    {"all that could be meant go", "", "edit lib read", "", "edit lib", "read", "edit lib"},
    {"none is needed for what is denied", "", "", "", "play", "play", "play"},
};

static void used_once(void **state _unused_)
{
    _cleanup_(catalogue_freep) struct catalogue *c = make_catalogue();
    for (size_t i = 0; i < ARRAY_SIZE(uses); i++) {
        const struct verdicts v = {.allow = set_of(c, uses[i].table_allow),
                                   .ask = set_of(c, uses[i].table_ask)};
        struct scope_set once = set_of(c, uses[i].once);
        const struct consent_answers answers = {.allow = scope_set_union(once, set_of(c, uses[i].lasting)),
                                                .once = once};
        assert_set(c, consent_needed_once(c, &answers, &v, set_of(c, uses[i].scopes)), uses[i].needed,
                   uses[i].what);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules),
        cmocka_unit_test(used_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
