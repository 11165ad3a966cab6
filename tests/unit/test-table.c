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
    assert_int_equal(table_count_apps(t), 2);
    assert_int_equal(table_count_sections(t), 4);
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
        {"[user:a exe:usr/bin/x]\nallow = y\n", 1, "-", "A"},
        {"[user:a /usr/bin/x]\nallow = y\n", 1, "-", "A"},
        {"[user:a exe:/usr/bin/x y]\naccounts = main\nuser = b\nx = y\n", 4, "-", "A"},
        {"[user:a exe:/x]\n[unit:b]\n", 2, "-", "A"}, /* that unit would have no type */
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

/* --- conditions ----------------------------------------------------------------------------------------- */

static const struct subject someone = {
    .app = "user:a",
    .user = "a",
    .exe = "/usr/bin/x",
    .uid = 1000,
    .kind = SUBJECT_USER,
    .strength = STRENGTH_UID,
    .is_pinned = true,
};

static struct table_query ask_for(struct subject subject, const char *account, int64_t now_sec)
{
    return (struct table_query){
        .subject = subject, .account = account, .now_sec = now_sec, .fallback = VERDICT_ASK};
}

/* The verdict for y, as a letter; what table_explain() says must be the same. */
static char decide_y(const struct table *t, struct subject subject, const char *account, int64_t now_sec,
                     struct table_finding *ret)
{
    struct table_query query = ask_for(subject, account, now_sec);
    struct verdicts v;
    int y = catalogue_find(catalogue, "y");
    table_decide(t, catalogue, &query, &v);
    table_explain(t, catalogue, &query, y, ret);
    assert_int_equal(ret->verdict, verdicts_get(&v, y));
    return "-qA"[verdicts_get(&v, y)];
}

#define JANUARY_END INT64_C(1801440000) /* 2027-02-01 */

static void test_conditions(void **state)
{
    (void)state;
    static const struct {
        const char *head, *condition;
        const char *user, *exe, *account;
        uid_t uid;
        enum subject_strength strength;
        bool is_pinned;
        int64_t now_sec;
        const char *verdicts; /* of y, with `allow = y` and with `deny = y`; q is the default */
        enum table_condition unmet;
    } cases[] = {
#define ME "a", "/usr/bin/x", "main", 1000, STRENGTH_UID, true, 0
        {"user:a", "", ME, "A-", TABLE_CONDITION_NONE},
        {"user:a exe:/usr/bin/x", "", ME, "A-", TABLE_CONDITION_NONE},
        {"user:a exe:/usr/bin/y", "", ME, "qq", TABLE_CONDITION_EXE},
        {"user:a exe:/usr/bin/x2", "", ME, "qq", TABLE_CONDITION_EXE},
        {"user:a exe:/usr/bin", "", ME, "qq", TABLE_CONDITION_EXE},
        /* which program it is is not known: it may be the one to deny to */
        {"user:a exe:/usr/bin/x", "", "a", "", "main", 1000, STRENGTH_UID, true, 0, "q-",
         TABLE_CONDITION_EXE},

        {"user:a", "accounts = main", ME, "A-", TABLE_CONDITION_NONE},
        {"user:a", "accounts = other, main", ME, "A-", TABLE_CONDITION_NONE},
        {"user:a", "accounts = other\naccounts = main", ME, "A-", TABLE_CONDITION_NONE},
        {"user:a", "accounts = other\n  main", ME, "A-", TABLE_CONDITION_NONE},
        {"user:a", "accounts = main-2", ME, "qq", TABLE_CONDITION_ACCOUNTS},
        {"user:a", "accounts = mai", ME, "qq", TABLE_CONDITION_ACCOUNTS},
        {"user:a", "accounts = other", "a", "", "", 1000, STRENGTH_UID, true, 0, "A-", TABLE_CONDITION_NONE},

        {"user:a", "user = a", ME, "A-", TABLE_CONDITION_NONE},
        {"user:a", "user = b 1000", ME, "A-", TABLE_CONDITION_NONE},
        {"user:a", "user = b 100", ME, "qq", TABLE_CONDITION_USER},
        {"user:a", "user = 1000", "1000", "", "", 1001, STRENGTH_UID, true, 0, "qq", TABLE_CONDITION_USER},
        {"user:a", "user = b", "", "", "", 1000, STRENGTH_UID, true, 0, "qq", TABLE_CONDITION_USER},

        {"user:a", "require_strength = asserted", ME, "A-", TABLE_CONDITION_NONE},
        {"user:a", "require_strength = uid", ME, "A-", TABLE_CONDITION_NONE},
        {"user:a", "require_strength = sandbox", ME, "q-", TABLE_CONDITION_STRENGTH},
        {"user:a", "require_strength = sandbox", "a", "", "", 0, STRENGTH_LABEL, true, 0, "A-",
         TABLE_CONDITION_NONE},

        {"user:a", "require_pinned = yes", ME, "A-", TABLE_CONDITION_NONE},
        {"user:a", "require_pinned = yes", "a", "", "", 0, STRENGTH_UID, false, 0, "q-",
         TABLE_CONDITION_PINNED},
        {"user:a", "require_pinned = no", "a", "", "", 0, STRENGTH_UID, false, 0, "A-", TABLE_CONDITION_NONE},

#define AT(sec) "a", "", "", 1000, STRENGTH_UID, true, sec
        {"user:a", "expires = 2027-01-31", AT(JANUARY_END - 1), "A-", TABLE_CONDITION_NONE},
        {"user:a", "expires = 2027-01-31", AT(JANUARY_END), "q-", TABLE_CONDITION_EXPIRES},
        {"user:a", "expires = 2027-01-31T12:00:01Z", AT(JANUARY_END - 43200), "A-", TABLE_CONDITION_NONE},
        {"user:a", "expires = 2027-01-31T12:00:01Z", AT(JANUARY_END - 43199), "q-", TABLE_CONDITION_EXPIRES},
        {"user:a", "expires = 9999-12-31", AT(INT64_MAX), "q-", TABLE_CONDITION_EXPIRES},
        {"user:a", "", AT(INT64_MAX), "A-", TABLE_CONDITION_NONE},
        /* what takes all away is named before what takes the granting part */
        {"user:a", "require_strength = label\naccounts = other", ME, "qq", TABLE_CONDITION_ACCOUNTS},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct subject subject = someone;
        subject.user = cases[i].user;
        subject.exe = cases[i].exe;
        subject.uid = cases[i].uid;
        subject.strength = cases[i].strength;
        subject.is_pinned = cases[i].is_pinned;
        for (unsigned k = 0; k < 2; k++) {
            char text[256];
            struct table_finding found;
            (void)snprintf(text, sizeof(text), "[%s]\n%s\n%s = y\n", cases[i].head, cases[i].condition,
                           k == 0 ? "allow" : "deny");
            const char *files[] = {text, NULL};
            _cleanup_(table_freep) struct table *t = make(files);
            assert_int_equal(table_count_problems(t), 0);
            char verdict = decide_y(t, subject, cases[i].account, cases[i].now_sec, &found);
            if (verdict != cases[i].verdicts[k])
                fail_msg("%s: %c", text, verdict);
            assert_int_equal(found.unmet, verdict == 'q' ? cases[i].unmet : TABLE_CONDITION_NONE);
        }
    }
}

static void test_unit_without_user(void **state)
{
    (void)state;
    const char *files[] = {"[unit:u.service]\nallow = x y\ndeny = r\n[unit:p.service exe:/bin/p]\nuser = a\n"
                           "require_pinned = yes\nexpires = 1971-01-01\nallow = y\n",
                           NULL};
    _cleanup_(table_freep) struct table *t = make(files);
    struct subject subject = someone;
    struct table_finding found;
    subject.app = "unit:u.service";
    assert_int_equal(decide_y(t, subject, "", 0, &found), 'q');
    assert_int_equal(found.unmet, TABLE_CONDITION_USER);
    assert_int_equal(found.unmet_place.line, 1);
    assert_false(table_speaks_of(t, "unit:u.service", &subject));
    subject.uid = 999;
    assert_int_equal(decide_y(t, subject, "", 0, &found), 'A');
    assert_true(table_speaks_of(t, "unit:u.service", &subject));

    /* Who names the app hangs from the user alone: not from what changes with the time or the program. */
    subject.uid = 1000;
    subject.exe = "";
    subject.is_pinned = false;
    assert_true(table_speaks_of(t, "unit:p.service", &subject));
    subject.user = "b";
    assert_false(table_speaks_of(t, "unit:p.service", &subject));
    assert_false(table_speaks_of(t, "unit:none.service", &subject));

    /* A lost section may have been one for this user. */
    assert_int_equal(table_add_file(t, catalogue, "f", "[unit:u.service\n", 16), 0);
    assert_true(table_speaks_of(t, "unit:u.service", &subject));
    assert_false(table_speaks_of(t, "unit:p.service", &subject));
    assert_int_equal(table_add_file(t, catalogue, "f", NULL, 0), 0);
    assert_true(table_speaks_of(t, "unit:p.service", &subject));
}

/* To know less of who asks, or to be later, opens nothing: not even by taking an `ask` away. */
static void test_an_ask_without_its_condition_still_asks(void **state)
{
    (void)state;
    static const struct {
        const char *section;
        char verdict;
    } cases[] = {
        {"[user:a]\nrequire_strength = label\nask = y\n", 'q'},
        {"[user:a]\nexpires = 1971-01-01\nask = y\n", 'q'},
        {"[user:a]\naccounts = other\nask = y\n", 'A'},
        {"[user:a exe:/other]\nask = y\n", 'A'},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *files[] = {cases[i].section, "[user:a]\nallow = y\n", NULL};
        _cleanup_(table_freep) struct table *t = make(files);
        struct table_finding found;
        assert_int_equal(decide_y(t, someone, "main", JANUARY_END, &found), cases[i].verdict);
        if (cases[i].verdict == 'q')
            assert_int_equal(found.place.line, 3);
    }
}

static void test_unit_denies_to_anyone(void **state)
{
    (void)state;
    const char *files[] = {"[unit:u.service]\ndeny = y\n[unit:u.service]\nuser = a\nallow = y\n", NULL};
    _cleanup_(table_freep) struct table *t = make(files);
    struct subject subject = someone;
    struct table_finding found;
    subject.app = "unit:u.service";
    assert_int_equal(decide_y(t, subject, "", 0, &found), '-');
    assert_int_equal(found.place.line, 2);
}

static void test_malformed_shuts_whatever_the_head_says(void **state)
{
    (void)state;
    const char *files[] = {"[user:a]\nallow = y\n[user:b]\nallow = y\n",
                           "[user:a exe:/other]\nuser = b\naccounts = other\nexpires = 1971-01-01\nallow y\n",
                           NULL};
    _cleanup_(table_freep) struct table *t = make(files);
    struct table_finding found;
    assert_int_equal(decide_y(t, someone, "main", 0, &found), '-');
    assert_int_equal(found.source, TABLE_MALFORMED);
    assert_string_equal(found.place.file, "file");
    assert_int_equal(found.place.line, 5);
    struct subject other = someone;
    other.app = "user:b";
    assert_int_equal(decide_y(t, other, "main", 0, &found), 'A');
}

/* --- values --------------------------------------------------------------------------------------------- */

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        unsigned line;
        const char *reason; /* a part of it */
    } cases[] = {
        {"alow = y", 2, "unknown key \"alow\"; the nearest is \"allow\""},
        {"account = main", 2, "the nearest is \"accounts\""},
        {"allow = y # why", 2, "\"#\" begins a comment only at the start of a line"},
        {"require_strenght = uid", 2, "the nearest is \"require_strength\""},
        {"Allow = y", 2, "the nearest is \"allow\""},
        {"accounts = Main", 2, "\"Main\" is no account's id"},
        {"accounts = *", 2, "no account's id"},
        {"accounts = a123456789012345678901234567890123", 2, "no account's id"},
        {"accounts =", 2, "accounts names nobody"},
        {"accounts = ,", 2, "accounts names nobody"},
        {"accounts =\n  main", 2, "accounts names nobody"},
        {"user =", 2, "user names nobody"},
        {"user = a/b", 2, "no user's name"},
        {"user = 007", 2, "no user's name"},
        {"require_strength = strong", 2, "asserted, uid, sandbox, unit or label"},
        {"require_strength =", 2, "asserted, uid"},
        {"require_strength = uid label", 2, "asserted, uid"},
        {"require_strength = uid\nrequire_strength = uid", 3, "set again; it was set on line 2"},
        {"require_strength = uid\n  label", 3, "must stand on one line"},
        {"require_pinned = true", 2, "yes or no"},
        {"require_pinned = yes\nrequire_pinned = no", 3, "set again"},
        {"expires = 2027-02-29", 2, "a date in UTC"},
        {"expires = 2027-00-01", 2, "a date in UTC"},
        {"expires = 2027-13-01", 2, "a date in UTC"},
        {"expires = 2027-01-00", 2, "a date in UTC"},
        {"expires = 0000-01-01", 2, "a date in UTC"},
        {"expires = 2027-1-1", 2, "a date in UTC"},
        {"expires = 2027-01-31T24:00:00Z", 2, "a date in UTC"},
        {"expires = 2027-01-31T12:00:60Z", 2, "a date in UTC"},
        {"expires = 2027-01-31T12:00:00", 2, "a date in UTC"},
        {"expires = 2027-01-31T12:00:00+01:00", 2, "a date in UTC"},
        {"expires = 2027-01-31 ", 0, NULL},
        {"expires = 2028-02-29", 0, NULL},
        {"expires = never", 2, "a date in UTC"},
        {"description = a\ndescription = b", 3, "set again"},
        {"description = a\n  b\n  c", 0, NULL},
        {"[user:a exe:]", 2, "absolute path"},
        {"[user:a exe:/a/../b]", 2, "absolute path"},
        {"[user:a exe:/a/..]", 2, "absolute path"},
        {"[user:a exe:/a/.]", 2, "absolute path"},
        {"[user:a exe:/a//b]", 2, "absolute path"},
        {"[user:a exe:/a/]", 2, "absolute path"},
        {"[user:a exe:/]", 2, "absolute path"},
        {"[user:a exe:/..a/b..]", 0, NULL},
        {"[user:a \t exe:/opt/my player]", 0, NULL},
        {"[user:a user:b]", 2, "only be exe:"},
        {"[user:a*]", 2, "does not name an app"},
        {"[unit:musicd]", 2, "does not name an app"},
        {"[flatpak:player]", 2, "does not name an app"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[256];
        (void)snprintf(text, sizeof(text), "[user:a]\n%s\n", cases[i].lines);
        const char *files[] = {text, NULL};
        _cleanup_(table_freep) struct table *t = make(files);
        assert_int_equal(table_count_problems(t), cases[i].reason ? 1 : 0);
        if (!cases[i].reason)
            continue;
        const struct ini_problem *p = &table_get_problem(t, 0)->problem;
        assert_int_equal(p->line, cases[i].line);
        if (!strstr(p->reason, cases[i].reason))
            fail_msg("%s: %s", text, p->reason);
    }
}

/* --- explanations --------------------------------------------------------------------------------------- */

static void test_explain(void **state)
{
    (void)state;
    static const char text[] = "[user:a]\n"                /* 1 */
                               "allow = w\n"               /* 2 */
                               "ask = x\n"                 /* 3 */
                               "[user:a exe:/usr/bin/x]\n" /* 4 */
                               "allow =\n"                 /* 5 */
                               "  y\n"                     /* 6 */
                               "[user:a]\n"                /* 7 */
                               "expires = 1971-01-01\n"    /* 8 */
                               "deny = top\n"              /* 9 */
                               "allow = x\n"               /* 10 */
                               "[user:a]\n"                /* 11 */
                               "allow = r\n";              /* 12 */
    static const struct {
        const char *scope, *by, *section;
        enum verdict verdict;
        unsigned line;
        enum table_condition unmet;
        unsigned unmet_line;
    } cases[] = {
        {"w", "w", "user:a", VERDICT_ALLOW, 2, TABLE_CONDITION_NONE, 0},
        {"r", "r", "user:a", VERDICT_ALLOW, 12, TABLE_CONDITION_NONE, 0}, /* rather than what implies it */
        {"x", "x", "user:a", VERDICT_ASK, 3, TABLE_CONDITION_EXPIRES, 8},
        {"y", "y", "user:a exe:/usr/bin/x", VERDICT_ALLOW, 6, TABLE_CONDITION_NONE, 0},
        {"top", "top", "user:a", VERDICT_DENY, 9, TABLE_CONDITION_NONE, 0},
    };
    _cleanup_(table_freep) struct table *t = NULL;
    assert_int_equal(table_new(&t), 0);
    assert_int_equal(table_add_file(t, catalogue, "dir/f\xFF.conf", text, sizeof(text) - 1), 0);
    struct table_query query = ask_for(someone, "main", JANUARY_END);
    struct table_finding found;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        table_explain(t, catalogue, &query, catalogue_find(catalogue, cases[i].scope), &found);
        assert_int_equal(found.source, TABLE_ENTRY);
        assert_int_equal(found.verdict, cases[i].verdict);
        assert_int_equal(found.key, cases[i].verdict);
        assert_int_equal(found.scope, catalogue_find(catalogue, cases[i].by));
        assert_string_equal(found.place.file, "dir/f?.conf");
        assert_string_equal(found.place.section, cases[i].section);
        assert_int_equal(found.place.line, cases[i].line);
        assert_int_equal(found.unmet, cases[i].unmet);
        assert_int_equal(found.unmet_place.line, cases[i].unmet_line);
    }
    query.subject.app = "user:b";
    table_explain(t, catalogue, &query, catalogue_find(catalogue, "y"), &found);
    assert_int_equal(found.source, TABLE_FALLBACK);
    assert_int_equal(found.verdict, VERDICT_ASK);
    assert_int_equal(found.scope, -1);
    assert_string_equal(found.place.file, "");
    table_explain(t, catalogue, &query, -1, &found);
    assert_int_equal(found.source, TABLE_UNLISTED);
    assert_int_equal(found.verdict, VERDICT_DENY);
    assert_int_equal(table_add_unreadable(t, "gone.conf", "it is a folder"), 0);
    table_explain(t, catalogue, &query, catalogue_find(catalogue, "y"), &found);
    assert_int_equal(found.source, TABLE_UNREADABLE);
    assert_string_equal(found.place.file, "gone.conf");
    assert_string_equal(table_get_problem(t, 0)->problem.reason,
                        "it is a folder; what no other file mentions is denied");
}

static uint64_t random_state = 88172645463325252;

static unsigned draw(unsigned n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 33) % n;
}

static const char *pick(const char *const *from, unsigned n)
{
    return from[draw(n)];
}
#define PICK(array) pick(array, ARRAY_SIZE(array))

static const char *const draw_apps[] = {"user:a", "unit:u.service"};
static const char *const draw_scopes[] = {"r", "w", "x", "top", "y"};
static const char *const draw_conditions[] = {
    "",
    "",
    "",
    "accounts = main\n",
    "accounts = other\n",
    "user = a\n",
    "user = 5\n",
    "require_strength = unit\n",
    "require_pinned = yes\n",
    "expires = 1971-01-01\n",
    "colour = red\n",
};
static const char *const draw_keys[] = {"allow", "ask", "deny"};

static void draw_file(char *text, size_t size)
{
    size_t n = 0;
    unsigned sections = 1 + draw(5);
    for (unsigned i = 0; i < sections; i++) {
        n += (size_t)snprintf(text + n, size - n, "[%s%s]\n", PICK(draw_apps),
                              draw(4) ? "" : " exe:/usr/bin/x");
        const char *condition = PICK(draw_conditions);
        if (strcmp(condition, "colour = red\n") != 0 || draw(10) == 0)
            n += (size_t)snprintf(text + n, size - n, "%s", condition);
        for (unsigned k = draw(4); k > 0; k--)
            n += (size_t)snprintf(text + n, size - n, "%s = %s\n", PICK(draw_keys), PICK(draw_scopes));
    }
}

static struct table_query draw_query(void)
{
    static const char *const accounts[] = {"main", "other", ""}, *const users[] = {"a", "b"},
                             *const programs[] = {"/usr/bin/x", "/usr/bin/y", ""};
    return (struct table_query){
        .subject = {.app = PICK(draw_apps),
                    .user = PICK(users),
                    .exe = PICK(programs),
                    .uid = draw(2) ? 5 : 1000,
                    .strength = draw(2) ? STRENGTH_UNIT : STRENGTH_UID,
                    .is_pinned = draw(2)},
        .account = PICK(accounts),
        .now_sec = draw(2) ? 0 : JANUARY_END,
        .fallback = draw(2) ? VERDICT_ASK : VERDICT_DENY,
    };
}

/* Which line decided, found line by line, and what was decided, from sets that were made ready. */
static void test_explain_agrees_with_decide(void **state)
{
    (void)state;
    unsigned by_source[TABLE_UNLISTED + 1] = {0}, n_unmet = 0;
    for (unsigned i = 0; i < 20000; i++) {
        _cleanup_(table_freep) struct table *t = NULL;
        assert_int_equal(table_new(&t), 0);
        for (unsigned files = 1 + draw(2); files > 0; files--) {
            char text[2048];
            draw_file(text, sizeof(text));
            assert_int_equal(table_add_file(t, catalogue, "f", text, strlen(text)), 0);
        }
        if (draw(8) == 0)
            assert_int_equal(table_add_file(t, catalogue, "f", NULL, 0), 0);
        for (unsigned k = 0; k < 10; k++) {
            struct table_query query = draw_query();
            struct verdicts v;
            struct table_finding found;
            int scope = catalogue_find(catalogue, PICK(draw_scopes));
            table_decide(t, catalogue, &query, &v);
            table_explain(t, catalogue, &query, scope, &found);
            assert_int_equal(found.verdict, verdicts_get(&v, scope));
            assert_int_equal(found.source != TABLE_FALLBACK, scope_set_has(&v.mentioned, scope));
            if (found.source == TABLE_ENTRY)
                assert_int_equal(found.key, found.verdict);
            by_source[found.source]++;
            n_unmet += found.unmet != TABLE_CONDITION_NONE ? 1 : 0;
        }
    }
    for (int source = 0; source < TABLE_UNLISTED; source++)
        assert_true(by_source[source] > 1000);
    assert_true(n_unmet > 1000);
}

/* --- sections ------------------------------------------------------------------------------------------- */

static void test_sections(void **state)
{
    (void)state;
    const char *files[] = {
        "[user:b]\nallow = w\n[user:a exe:/usr/bin/x]\ndescription = the music\n  player\n"
        "accounts = main other\nuser = a, 7\nrequire_strength = unit\nrequire_pinned = yes\n"
        "expires = 2027-01-31\nask = w\ndeny = x\n",
        "[user:a]\ndescription = another\n", "[user:c\n[user:b\n", NULL};
    _cleanup_(table_freep) struct table *t = make(files);
    assert_int_equal(table_count_sections(t), 3);
    struct table_section s;
    table_get_section(t, 0, &s);
    assert_string_equal(s.app, "user:a");
    assert_string_equal(s.exe, "/usr/bin/x");
    assert_string_equal(s.description, "the music player");
    assert_string_equal(s.place.section, "user:a exe:/usr/bin/x");
    assert_string_equal(s.place.file, "file");
    assert_int_equal(s.place.line, 3);
    assert_int_equal(s.users->n, 2);
    assert_string_equal(s.users->items[1], "7");
    assert_int_equal(s.accounts->n, 2);
    assert_int_equal(s.strength, STRENGTH_UNIT);
    assert_true(s.is_pinned);
    assert_int_equal(s.expires_sec, JANUARY_END);
    assert_false(s.is_shut);
    _cleanup_free_ char *ask = catalogue_join(catalogue, s.ask);
    _cleanup_free_ char *deny = catalogue_join(catalogue, s.deny);
    assert_string_equal(ask, "r top w");
    assert_string_equal(deny, "top x");
    table_get_section(t, 1, &s);
    assert_string_equal(s.description, "another");
    assert_string_equal(s.exe, "");
    table_get_section(t, 2, &s);
    assert_string_equal(s.app, "user:b");
    assert_true(s.is_shut);
    _cleanup_free_ char *allow = catalogue_join(catalogue, s.allow);
    assert_string_equal(allow, "r w");
}

static void test_description(void **state)
{
    (void)state;
    const char *files[] = {
        "[user:a exe:/usr/bin/x]\ndescription = x\n[user:a]\nuser = a\n[user:a]\nuser = a\n"
        "accounts = other\nexpires = 1971-01-01\ndescription = d\n",
        NULL};
    _cleanup_(table_freep) struct table *t = make(files);
    struct subject subject = someone;
    assert_string_equal(table_description(t, &subject), "x");
    subject.exe = "/usr/bin/y";
    assert_string_equal(table_description(t, &subject), "d");
    subject.user = "b";
    assert_null(table_description(t, &subject));
    subject.app = "user:b";
    assert_null(table_description(t, &subject));
}

static void test_next_expiry(void **state)
{
    (void)state;
    const char *files[] = {
        "[user:a]\nexpires = 2027-01-31\n[user:b]\n[user:c]\nexpires = 2027-01-31T23:59:00Z\n", NULL};
    _cleanup_(table_freep) struct table *t = make(files);
    assert_int_equal(table_next_expiry(t, 0), JANUARY_END - 60);
    assert_int_equal(table_next_expiry(t, JANUARY_END - 61), JANUARY_END - 60);
    assert_int_equal(table_next_expiry(t, JANUARY_END - 60), JANUARY_END);
    assert_int_equal(table_next_expiry(t, JANUARY_END), 0);
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
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_unit_without_user),
        cmocka_unit_test(test_an_ask_without_its_condition_still_asks),
        cmocka_unit_test(test_unit_denies_to_anyone),
        cmocka_unit_test(test_malformed_shuts_whatever_the_head_says),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_explain),
        cmocka_unit_test(test_explain_agrees_with_decide),
        cmocka_unit_test(test_sections),
        cmocka_unit_test(test_description),
        cmocka_unit_test(test_next_expiry),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
