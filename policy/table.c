/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The table is read file by file: a file's sections are collected apart and only joined to the table when the
 * whole file was good, so that half of a malformed file never counts.
 *
 * What a section says is kept ready as sets over all scopes. These sets add up as the sections do: what is
 * implied by a union is the union of what is implied. So a decision is one binary search and, for each
 * section of the app that fits, a few ORs. Invariants after every table_add_file(): `apps` is sorted by name,
 * `all` has the sections of all of them in that order. */

#include "policy/table-internal.h"

#include "util/utf8.h"

#include <string.h>

const char *verdict_name(enum verdict verdict)
{
    switch (verdict) {
    case VERDICT_DENY:
        return "deny";
    case VERDICT_ASK:
        return "ask";
    case VERDICT_ALLOW:
        return "allow";
    }
    return "deny";
}

/* --- life ----------------------------------------------------------------------------------------------- */

void section_free(struct section *s)
{
    if (!s)
        return;
    free(s->app);
    free(s->exe);
    free(s->text);
    free(s->description);
    strv_clear(&s->users);
    strv_clear(&s->accounts);
    free(s->entries);
    free(s);
}

void sections_clear(struct sections *sections)
{
    for (size_t i = 0; i < sections->n; i++)
        section_free(sections->items[i]);
    free(sections->items);
    *sections = (struct sections){NULL, 0};
}

int sections_add(struct sections *sections, struct section *section)
{
    struct section **items = reallocarray(sections->items, sections->n + 1, sizeof(*items));
    if (!items)
        return -ENOMEM;
    sections->items = items;
    items[sections->n++] = section;
    return 0;
}

static void app_free(struct app *a)
{
    if (!a)
        return;
    sections_clear(&a->sections);
    free(a->name);
    free(a);
}
DEFINE_CLEANUP(struct app, app_free);

int table_new(struct table **ret)
{
    struct table *t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    *ret = t;
    return 0;
}

void table_free(struct table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->apps.n; i++)
        app_free(t->apps.items[i]);
    free(t->apps.items);
    free(t->all);
    for (size_t i = 0; i < t->n_problems; i++)
        free(t->problems[i].file);
    free(t->problems);
    strv_clear(&t->files);
    free(t);
}

/* --- apps ----------------------------------------------------------------------------------------------- */

static struct app *apps_find(const struct apps *apps, const char *name, size_t *ret_place)
{
    size_t low = 0, high = apps->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(apps->items[middle]->name, name);
        if (order == 0) {
            *ret_place = middle;
            return apps->items[middle];
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_place = low;
    return NULL;
}

struct app *table_find_app(const struct table *t, const char *name)
{
    size_t place;
    return apps_find(&t->apps, name, &place);
}

int table_make_app(struct table *t, const char *name, struct app **ret)
{
    struct apps *apps = &t->apps;
    size_t place;
    struct app *found = apps_find(apps, name, &place);
    if (found) {
        *ret = found;
        return 0;
    }

    _cleanup_(app_freep) struct app *a = calloc(1, sizeof(*a));
    if (!a)
        return -ENOMEM;
    a->name = strdup(name);
    struct app **items = reallocarray(apps->items, apps->n + 1, sizeof(*items));
    if (items)
        apps->items = items;
    if (!a->name || !items)
        return -ENOMEM;
    memmove(items + place + 1, items + place, (apps->n - place) * sizeof(*items));
    apps->n++;
    *ret = items[place] = TAKE_PTR(a);
    return 0;
}

/* --- files ---------------------------------------------------------------------------------------------- */

static int list_all(struct table *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->apps.n; i++)
        n += t->apps.items[i]->sections.n;
    if (n == 0)
        return 0;
    struct section **all = reallocarray(t->all, n, sizeof(struct section *));
    if (!all)
        return -ENOMEM;
    t->all = all;
    t->n_sections = 0;
    for (size_t i = 0; i < t->apps.n; i++) {
        const struct sections *of = &t->apps.items[i]->sections;
        for (size_t k = 0; k < of->n; k++)
            all[t->n_sections++] = of->items[k];
    }
    return 0;
}

static int join(struct table *t, struct sections *from)
{
    for (size_t i = 0; i < from->n; i++) {
        struct app *a;
        int r = table_make_app(t, from->items[i]->app, &a);
        if (r == 0)
            r = sections_add(&a->sections, from->items[i]);
        if (r < 0)
            return r;
        from->items[i] = NULL;
    }
    return list_all(t);
}

static int add_problem(struct table *t, const char *file, const struct ini_problem *problem)
{
    struct table_problem *problems = reallocarray(t->problems, t->n_problems + 1, sizeof(*problems));
    if (!problems)
        return -ENOMEM;
    t->problems = problems;
    char *name = strdup(file);
    if (!name)
        return -ENOMEM;
    utf8_scrub(name);
    problems[t->n_problems++] = (struct table_problem){.file = name, .problem = *problem};
    return 0;
}

int table_add_unreadable(struct table *t, const char *file, const char *reason)
{
    struct ini_problem problem = {0};
    (void)ini_refuse(&problem, "%s; what no other file mentions is denied", reason);
    int r = add_problem(t, file, &problem);
    if (r == 0 && t->unreadable == 0)
        t->unreadable = t->n_problems;
    return r;
}

int table_add_file(struct table *t, const struct catalogue *c, const char *file, const char *text, size_t n)
{
    if (!text)
        return table_add_unreadable(t, file, "the file cannot be read");

    int r = strv_add(&t->files, file);
    if (r < 0)
        return r;
    utf8_scrub(t->files.items[t->files.n - 1]);
    struct ini_problem problem = {0};
    _cleanup_(sections_clear) struct sections sections = {NULL, 0};
    r = table_read(c, t->files.items[t->files.n - 1], text, n, &sections, &problem);
    if (r < 0)
        return r;
    if (r == 0)
        return join(t, &sections);
    r = add_problem(t, file, &problem);
    return r < 0 ? r : table_shut(t, text, n, t->n_problems);
}

size_t table_count_apps(const struct table *t)
{
    return t->apps.n;
}

size_t table_count_problems(const struct table *t)
{
    return t->n_problems;
}

const struct table_problem *table_get_problem(const struct table *t, size_t i)
{
    return &t->problems[i];
}

/* --- conditions ----------------------------------------------------------------------------------------- */

static bool is_unit(const char *app)
{
    return strncmp(app, "unit:", strlen("unit:")) == 0;
}

/* Digits are a number, whatever a user may be called. */
static bool names_user(const char *user, const struct subject *subject)
{
    char number[16];
    if (user[strspn(user, "0123456789")] != '\0')
        return strcmp(user, subject->user) == 0;
    (void)snprintf(number, sizeof(number), "%u", (unsigned)subject->uid);
    return strcmp(user, number) == 0;
}

static enum fit fit_user(const struct section *s, const struct subject *subject)
{
    if (s->users.n == 0)
        return is_unit(s->app) && !subject_is_system_uid(subject->uid) ? FIT_DENY : FIT_ALL;
    for (size_t i = 0; i < s->users.n; i++)
        if (names_user(s->users.items[i], subject))
            return FIT_ALL;
    return FIT_NOTHING;
}

/* A program that is not known may be the one that is meant. */
static enum fit fit_exe(const struct section *s, const struct subject *subject)
{
    if (s->exe[0] == '\0' || strcmp(s->exe, subject->exe) == 0)
        return FIT_ALL;
    return subject->exe[0] == '\0' ? FIT_DENY : FIT_NOTHING;
}

enum fit section_fit(const struct section *s, const struct table_query *query,
                     enum table_condition *ret_unmet)
{
    const struct subject *subject = &query->subject;
    bool is_account =
        s->accounts.n == 0 || query->account[0] == '\0' || strv_contains(&s->accounts, query->account);
    const enum fit fits[CONDITIONS] = {
        [TABLE_CONDITION_NONE] = FIT_ALL,
        [TABLE_CONDITION_EXE] = fit_exe(s, subject),
        [TABLE_CONDITION_USER] = fit_user(s, subject),
        [TABLE_CONDITION_ACCOUNTS] = is_account ? FIT_ALL : FIT_NOTHING,
        [TABLE_CONDITION_STRENGTH] = subject->strength >= s->strength ? FIT_ALL : FIT_DENY,
        [TABLE_CONDITION_PINNED] = subject->is_pinned || !s->is_pinned ? FIT_ALL : FIT_DENY,
        [TABLE_CONDITION_EXPIRES] =
            s->expires_sec == 0 || query->now_sec < s->expires_sec ? FIT_ALL : FIT_DENY,
    };
    int unmet = TABLE_CONDITION_NONE;
    for (int i = TABLE_CONDITION_EXE; i < CONDITIONS; i++)
        if (fits[i] < fits[unmet])
            unmet = i;
    *ret_unmet = (enum table_condition)unmet;
    return fits[unmet];
}

/* --- decisions ------------------------------------------------------------------------------------------ */

/* What all sections that fit say together. */
struct sum {
    struct scope_set deny_up, ask_up, allow_down, ask_down;
    struct scope_set held_up; /* `ask_up` of sections that may only deny: what nobody allows without asking */
};

static void add_up(const struct app *a, const struct table_query *query, struct sum *sum)
{
    for (size_t i = 0; i < a->sections.n; i++) {
        const struct section *s = a->sections.items[i];
        enum table_condition unmet;
        enum fit fit = section_fit(s, query, &unmet);
        if (fit >= FIT_DENY)
            sum->deny_up = scope_set_union(sum->deny_up, s->deny_up);
        if (fit == FIT_DENY)
            sum->held_up = scope_set_union(sum->held_up, s->ask_up);
        if (fit < FIT_ALL)
            continue;
        sum->ask_up = scope_set_union(sum->ask_up, s->ask_up);
        sum->allow_down = scope_set_union(sum->allow_down, s->allow_down);
        sum->ask_down = scope_set_union(sum->ask_down, s->ask_down);
    }
}

void table_decide(const struct table *t, const struct catalogue *c, const struct table_query *query,
                  struct verdicts *ret)
{
    struct scope_set listed = catalogue_listed(c);
    struct scope_set unmentioned = listed;
    struct verdicts v = {SCOPE_SET_EMPTY, SCOPE_SET_EMPTY, SCOPE_SET_EMPTY, SCOPE_SET_EMPTY};

    const struct app *a = table_find_app(t, query->subject.app);
    if (a && a->shut) {
        unmentioned = SCOPE_SET_EMPTY;
    } else if (a) {
        /* The sets were made with the catalogue of their time: what has left it since is denied. */
        struct sum sum = {SCOPE_SET_EMPTY, SCOPE_SET_EMPTY, SCOPE_SET_EMPTY, SCOPE_SET_EMPTY,
                          SCOPE_SET_EMPTY};
        add_up(a, query, &sum);
        struct scope_set any = scope_set_union(sum.allow_down, scope_set_union(sum.ask_up, sum.ask_down));
        any = scope_set_intersection(scope_set_minus(any, sum.deny_up), listed);
        v.allow = scope_set_minus(scope_set_intersection(any, sum.allow_down),
                                  scope_set_union(sum.ask_up, sum.held_up));
        v.ask = scope_set_minus(any, v.allow);
        unmentioned = scope_set_minus(listed, sum.deny_up);
        unmentioned = scope_set_minus(unmentioned, scope_set_union(v.allow, v.ask));
    }
    if (t->unreadable)
        unmentioned = SCOPE_SET_EMPTY;
    v.mentioned = scope_set_minus(listed, unmentioned);
    if (query->fallback == VERDICT_ASK)
        v.ask = scope_set_union(v.ask, unmentioned);
    *ret = v;
}

/* Which program it is does not count: a process could choose by whom it is named. */
bool table_speaks_of(const struct table *t, const char *app, const struct subject *subject)
{
    const struct app *a = table_find_app(t, app);
    if (t->unreadable || (a && a->shut))
        return true;
    for (size_t i = 0; a && i < a->sections.n; i++)
        if (fit_user(a->sections.items[i], subject) == FIT_ALL)
            return true;
    return false;
}

enum verdict verdicts_get(const struct verdicts *v, int scope)
{
    if (scope_set_has(&v->allow, scope))
        return VERDICT_ALLOW;
    return scope_set_has(&v->ask, scope) ? VERDICT_ASK : VERDICT_DENY;
}

enum verdict verdicts_least(const struct verdicts *v, struct scope_set set)
{
    if (scope_set_is_subset(set, v->allow))
        return VERDICT_ALLOW;
    return scope_set_is_subset(set, scope_set_union(v->allow, v->ask)) ? VERDICT_ASK : VERDICT_DENY;
}
