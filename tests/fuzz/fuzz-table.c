/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Files of grants.d, separated by 0xff in the input; an empty one is a file that could not be read. What a
 * file that is not good leaves behind never widens what anyone may have. To know less about who asks never
 * does either, nor does the time; and every decision has a line that explains it. */

#include "policy/app-name.h"
#include "policy/table.h"
#include "tests/fuzz/fuzz.h"
#include "util/utf8.h"

/* a implies b and c, b implies c. */
static const char catalogue_text[] = "[a]\ndescription = a\nimplies = b c\n"
                                     "[b]\ndescription = b\nimplies = c\n"
                                     "[c]\ndescription = c\n"
                                     "[d]\ndescription = d\n";
static const char *const apps[] = {"user:x", "uid:1", "unit:x.service", "flatpak:x.y.z", "user:"};
#define N_APPS ARRAY_SIZE(apps)

/* Who asks, of each app: each knows less, or asks later, than the one before. */
static const struct {
    const char *exe;
    enum subject_strength strength;
    bool is_pinned;
    int64_t now_sec;
} ways[] = {
    {"/x", STRENGTH_LABEL, true, 0},      {"/x", STRENGTH_UID, true, 0},
    {"/x", STRENGTH_UID, false, 0},       {"/x", STRENGTH_UID, false, INT64_MAX},
    {"", STRENGTH_UID, false, INT64_MAX},
};
#define N_WAYS ARRAY_SIZE(ways)
#define N_QUERIES (N_APPS * N_WAYS)

static struct catalogue *catalogue;

static void prepare(void)
{
    struct ini_problem problem;
    if (catalogue)
        return;
    require(catalogue_new(NULL, &catalogue) == 0);
    require(catalogue_add_text(catalogue, catalogue_text, strlen(catalogue_text), true, &problem) == 0);
    require(catalogue_seal(catalogue, &problem) == 0);
    require(catalogue_intern(catalogue, "unlisted") == 4);
}

static void check_verdicts(const struct verdicts *v)
{
    require(scope_set_is_empty(scope_set_intersection(v->allow, v->ask)));
    require(scope_set_is_subset(v->allow, catalogue_listed(catalogue)));
    require(scope_set_is_subset(v->ask, catalogue_listed(catalogue)));
    /* Whoever may hold a scope may hold what it implies: the token carries both. */
    struct scope_set some = scope_set_union(v->allow, v->ask);
    require(scope_set_equal(catalogue_expand(catalogue, v->allow), v->allow));
    require(scope_set_equal(catalogue_expand(catalogue, some), some));
    for (int i = 0; i < 5; i++) {
        enum verdict verdict = verdicts_get(v, i);
        require((verdict == VERDICT_ALLOW) == scope_set_has(&v->allow, i));
        require((verdict == VERDICT_ASK) == scope_set_has(&v->ask, i));
    }
}

static void check_explanations(const struct table *t, const struct table_query *query,
                               const struct verdicts *v)
{
    for (int i = 0; i < 5; i++) {
        struct table_finding found;
        table_explain(t, catalogue, query, i, &found);
        require(found.verdict == verdicts_get(v, i));
        require((found.source == TABLE_ENTRY || found.source == TABLE_MALFORMED ||
                 found.source == TABLE_UNREADABLE) == scope_set_has(&v->mentioned, i));
        require((found.source == TABLE_ENTRY) ==
                (found.scope >= 0 && found.place.line > 0 && found.place.section[0]));
        require((found.unmet == TABLE_CONDITION_NONE) == (found.unmet_place.line == 0));
    }
}

/* The default is "deny": it is stricter than what any section says, so that what is left out never widens. */
static void decide_all(const struct table *t, struct verdicts ret[N_QUERIES])
{
    for (size_t i = 0; i < N_QUERIES; i++) {
        const struct table_query query = {
            .subject = {.app = apps[i / N_WAYS],
                        .user = "x",
                        .exe = ways[i % N_WAYS].exe,
                        .uid = 1,
                        .strength = ways[i % N_WAYS].strength,
                        .is_pinned = ways[i % N_WAYS].is_pinned},
            .account = i / N_WAYS % 2 ? "main" : "",
            .now_sec = ways[i % N_WAYS].now_sec,
            .fallback = VERDICT_DENY,
        };
        table_decide(t, catalogue, &query, &ret[i]);
        check_verdicts(&ret[i]);
        check_explanations(t, &query, &ret[i]);
        struct table_query asking = query;
        struct verdicts other;
        asking.fallback = VERDICT_ASK;
        table_decide(t, catalogue, &asking, &other);
        check_verdicts(&other);
        check_explanations(t, &asking, &other);
        require(scope_set_equal(other.allow, ret[i].allow));
    }
}

static void require_not_wider(const struct verdicts *after, const struct verdicts *before)
{
    require(scope_set_is_subset(after->allow, before->allow));
    require(scope_set_is_subset(scope_set_union(after->allow, after->ask),
                                scope_set_union(before->allow, before->ask)));
}

static void check_sections(const struct table *t)
{
    const char *before = "";
    int64_t first = table_next_expiry(t, 0);
    for (size_t i = 0; i < table_count_sections(t); i++) {
        struct table_section section;
        table_get_section(t, i, &section);
        require(strcmp(before, section.app) <= 0);
        before = section.app;
        require(app_kind_from_name(section.app) >= 0 && section.place.line > 0);
        require(section.exe[0] == '\0' || section.exe[0] == '/');
        require(utf8_is_valid(section.description, strlen(section.description)));
        require(section.expires_sec >= 0 &&
                (section.expires_sec == 0 || (first > 0 && first <= section.expires_sec)));
        const struct subject subject = {.app = section.app, .user = "", .exe = "", .uid = 0};
        require(section.users->n > 0 || table_speaks_of(t, section.app, &subject));
        (void)table_description(t, &subject);
    }
}

/* Whether the text has this app's section as a line of its own. */
static bool names(const char *text, size_t n, const char *app)
{
    char line[64];
    int length = snprintf(line, sizeof(line), "[%s]\n", app);
    const char *found = memmem(text, n, line, (size_t)length);
    return found && (found == text || found[-1] == '\n');
}

static void add_file(struct table *t, const char *text, size_t n)
{
    struct verdicts before[N_QUERIES], after[N_QUERIES];
    size_t problems = table_count_problems(t);
    decide_all(t, before);
    require(table_add_file(t, catalogue, "file", n > 0 ? text : NULL, n) == 0);
    decide_all(t, after);
    check_sections(t);
    for (size_t i = 0; i < N_QUERIES; i++)
        if (i % N_WAYS > 0)
            require_not_wider(&after[i], &after[i - 1]);
    if (table_count_problems(t) == problems)
        return;
    const struct ini_problem *p = &table_get_problem(t, problems)->problem;
    require(p->reason[0] && utf8_is_valid(p->reason, strlen(p->reason)));
    for (size_t i = 0; i < N_QUERIES; i++) {
        require_not_wider(&after[i], &before[i]);
        if (strcmp(apps[i / N_WAYS], "user:") != 0 && names(text, n, apps[i / N_WAYS]))
            require(scope_set_is_empty(after[i].allow) && scope_set_is_empty(after[i].ask));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct input in = {data, n};
    _cleanup_(table_freep) struct table *t = NULL;
    prepare();
    require(table_new(&t) == 0);
    for (unsigned files = 0; in.n > 0 && files < 8; files++) {
        const uint8_t *end = memchr(in.data, 0xff, in.n);
        size_t n_text = end ? (size_t)(end - in.data) : in.n;
        _cleanup_free_ char *text = input_text(&in, n_text);
        (void)input_byte(&in);
        add_file(t, text, n_text);
    }
    return 0;
}
