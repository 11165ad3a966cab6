/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Files of grants.d, separated by 0xff in the input; an empty one is a file that could not be read. What a
 * file that is not good leaves behind never widens what anyone may have. */

#include "policy/table.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/decide.h"
#include "util/utf8.h"

/* a implies b and c, b implies c. */
static const char catalogue_text[] = "[a]\ndescription = a\nimplies = b c\n"
                                     "[b]\ndescription = b\nimplies = c\n"
                                     "[c]\ndescription = c\n"
                                     "[d]\ndescription = d\n";
static const char *const apps[] = {"user:x", "uid:1", "flatpak:x", "user:"};
#define N_APPS ARRAY_SIZE(apps)

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

static void decide_all(const struct table *t, struct verdicts ret[2 * N_APPS])
{
    for (size_t i = 0; i < 2 * N_APPS; i++) {
        decide_for(t, catalogue, apps[i / 2], i % 2 ? VERDICT_ASK : VERDICT_DENY, &ret[i]);
        check_verdicts(&ret[i]);
    }
}

static void require_not_wider(const struct verdicts *after, const struct verdicts *before)
{
    require(scope_set_is_subset(after->allow, before->allow));
    require(scope_set_is_subset(scope_set_union(after->allow, after->ask),
                                scope_set_union(before->allow, before->ask)));
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
    struct verdicts before[2 * N_APPS], after[2 * N_APPS];
    size_t problems = table_count_problems(t);
    decide_all(t, before);
    require(table_add_file(t, catalogue, "file", n > 0 ? text : NULL, n) == 0);
    decide_all(t, after);
    if (table_count_problems(t) == problems)
        return;
    const struct ini_problem *p = &table_get_problem(t, problems)->problem;
    require(p->reason[0] && utf8_is_valid(p->reason, strlen(p->reason)));
    for (size_t i = 0; i < 2 * N_APPS; i++) {
        require_not_wider(&after[i], &before[i]);
        if (strcmp(apps[i / 2], "user:") != 0 && names(text, n, apps[i / 2]))
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
