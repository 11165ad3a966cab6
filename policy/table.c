/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The table is read file by file: a file's sections are collected apart and only joined to the table when the
 * whole file was good, so that half of a malformed file never counts. A file that is not good is searched for
 * identities without the help of the INI reader, which stops at the first fault.
 *
 * Per identity three disjoint sets are kept ready (`denied`, `asked`, `allowed`, after all of
 * table_decide()'s rules), so that a decision is one binary search and a few ORs. Invariant: `apps` is sorted
 * by name, and the ready sets agree with the written ones after every table_add_file(). */

#include "policy/table.h"

#include "util/utf8.h"

#include <string.h>

struct app {
    char *name;
    bool shut;                         /* named by a malformed file: everything is denied */
    struct scope_set allow, ask, deny; /* as written */
    struct scope_set allowed, asked, denied;
};

struct apps {
    struct app **items; /* owned, sorted by name */
    size_t n;
};

struct table {
    struct apps apps;
    struct table_problem *problems;
    size_t n_problems;
    bool unreadable; /* some file could not be read at all */
};

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

static void app_free(struct app *a)
{
    if (!a)
        return;
    free(a->name);
    free(a);
}
DEFINE_CLEANUP(struct app, app_free);

static void apps_clear(struct apps *apps)
{
    for (size_t i = 0; i < apps->n; i++)
        app_free(apps->items[i]);
    free(apps->items);
    *apps = (struct apps){NULL, 0};
}

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
    apps_clear(&t->apps);
    for (size_t i = 0; i < t->n_problems; i++)
        free(t->problems[i].file);
    free(t->problems);
    free(t);
}

/* --- identities ----------------------------------------------------------------------------------------- */

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

static int apps_get(struct apps *apps, const char *name, struct app **ret)
{
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

/* The kinds that can name an app. A program never does: it is a fact that narrows. */
static bool is_identity(const char *s)
{
    static const char *const kinds[] = {"snap:", "unit:", "flatpak:", "user:", "uid:"};
    if (strpbrk(s, " \t"))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        size_t n = strlen(kinds[i]);
        if (strncmp(s, kinds[i], n) == 0 && s[n] != '\0')
            return true;
    }
    return false;
}

/* --- a good file ---------------------------------------------------------------------------------------- */

struct reading {
    const struct catalogue *c;
    struct apps apps;
    struct app *app; /* whose section is being read */
};

static void reading_clear(struct reading *r)
{
    apps_clear(&r->apps);
}

static int add_scopes(const struct catalogue *c, struct scope_set *set, const char *value,
                      struct ini_problem *problem)
{
    _cleanup_strv_ struct strv names = STRV_EMPTY;
    int r = strv_split(&names, value, " \t,");
    if (r < 0)
        return r;
    for (size_t i = 0; i < names.n; i++) {
        int index = catalogue_find(c, names.items[i]);
        if (index < 0)
            return ini_refuse(problem, "scope \"%s\" is in no catalogue", names.items[i]);
        scope_set_add(set, index);
    }
    return 0;
}

static int take_entry(const struct ini_entry *entry, struct ini_problem *problem, void *userdata)
{
    struct reading *r = userdata;
    if (!entry->key) {
        if (!is_identity(entry->section))
            return ini_refuse(problem, "\"%s\" does not name an app: user:, uid:, unit:, flatpak: or snap:",
                              entry->section);
        return apps_get(&r->apps, entry->section, &r->app);
    }
    if (strcmp(entry->key, "description") == 0)
        return 0;
    if (strcmp(entry->key, "allow") == 0)
        return add_scopes(r->c, &r->app->allow, entry->value, problem);
    if (strcmp(entry->key, "ask") == 0)
        return add_scopes(r->c, &r->app->ask, entry->value, problem);
    if (strcmp(entry->key, "deny") == 0)
        return add_scopes(r->c, &r->app->deny, entry->value, problem);
    return ini_refuse(problem, "unknown key \"%s\": description, allow, ask or deny", entry->key);
}

/* Puts table_decide()'s rules into three sets, the earlier rule taking away from the later ones. */
static void app_prepare(struct app *a, const struct catalogue *c)
{
    struct scope_set decided = catalogue_expand_up(c, a->deny);
    a->denied = decided;
    a->asked = scope_set_minus(catalogue_expand_up(c, a->ask), decided);
    decided = scope_set_union(decided, a->asked);
    a->allowed = scope_set_minus(catalogue_expand(c, a->allow), decided);
    decided = scope_set_union(decided, a->allowed);
    a->asked = scope_set_union(a->asked, scope_set_minus(catalogue_expand(c, a->ask), decided));
}

static int join_apps(struct table *t, const struct catalogue *c, const struct apps *from)
{
    for (size_t i = 0; i < from->n; i++) {
        const struct app *read = from->items[i];
        struct app *a;
        int r = apps_get(&t->apps, read->name, &a);
        if (r < 0)
            return r;
        a->allow = scope_set_union(a->allow, read->allow);
        a->ask = scope_set_union(a->ask, read->ask);
        a->deny = scope_set_union(a->deny, read->deny);
        app_prepare(a, c);
    }
    return 0;
}

/* --- a malformed file ----------------------------------------------------------------------------------- */

static int shut_app(struct table *t, const char *text, size_t n)
{
    while (n > 0 && (*text == ' ' || *text == '\t')) {
        text++;
        n--;
    }
    while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t'))
        n--;
    _cleanup_free_ char *name = strndup(text, n);
    if (!name)
        return -ENOMEM;
    struct app *a;
    if (!is_identity(name))
        return 0;
    int r = apps_get(&t->apps, name, &a);
    if (r == 0)
        a->shut = true;
    return r;
}

/* Every word of the line that could be an identity. */
static int shut_words(struct table *t, const char *line, size_t n)
{
    static const char separators[] = " \t[]();#,\"'";
    for (size_t start = 0, end; start < n; start = end + 1) {
        end = start;
        while (end < n && !memchr(separators, line[end], sizeof(separators) - 1))
            end++;
        int r = shut_app(t, line + start, end - start);
        if (r < 0)
            return r;
    }
    return 0;
}

/* A line may name an identity if it is, or was perhaps meant to be, the head of a section: what stands
 * between its brackets up to the first and up to the last that closes, and every word. Comments do not count,
 * and lines with a `=` after no bracket are keys. */
static int shut_line(struct table *t, const char *line, size_t n)
{
    while (n > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        n--;
    }
    if (n == 0 || *line == ';' || *line == '#')
        return 0;
    for (size_t i = 1; i < n; i++)
        if (line[i] == ';' && (line[i - 1] == ' ' || line[i - 1] == '\t'))
            n = i;
    const char *open = memchr(line, '[', n);
    if (!open)
        return memchr(line, '=', n) ? 0 : shut_words(t, line, n);

    const char *inside = open + 1;
    size_t rest = n - (size_t)(inside - line);
    const char *first = memchr(inside, ']', rest);
    const char *last = memrchr(inside, ']', rest);
    int r = shut_app(t, inside, first ? (size_t)(first - inside) : rest);
    if (r == 0)
        r = shut_app(t, inside, last ? (size_t)(last - inside) : rest);
    return r < 0 ? r : shut_words(t, line, n);
}

static int shut_file(struct table *t, const char *text, size_t n)
{
    if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3;
        n -= 3;
    }
    for (size_t start = 0, end; start < n; start = end + 1) {
        end = start;
        while (end < n && text[end] != '\n' && text[end] != '\r' && text[end] != '\0')
            end++;
        int r = shut_line(t, text + start, end - start);
        if (r < 0)
            return r;
    }
    return 0;
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

int table_add_file(struct table *t, const struct catalogue *c, const char *file, const char *text, size_t n)
{
    struct ini_problem problem = {0};
    if (!text) {
        t->unreadable = true;
        (void)ini_refuse(&problem, "the file cannot be read; what no other file mentions is denied");
        return add_problem(t, file, &problem);
    }

    _cleanup_(reading_clear) struct reading reading = {.c = c};
    int r = ini_parse_text(text, n, take_entry, &reading, &problem);
    if (r < 0)
        return r;
    if (r == 0)
        return join_apps(t, c, &reading.apps);
    r = shut_file(t, text, n);
    return r < 0 ? r : add_problem(t, file, &problem);
}

size_t table_count_sections(const struct table *t)
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

/* --- decisions ------------------------------------------------------------------------------------------ */

void table_decide(const struct table *t, const struct catalogue *c, const struct table_query *query,
                  struct verdicts *ret)
{
    struct scope_set listed = catalogue_listed(c);
    struct scope_set unmentioned = listed;
    struct verdicts v = {SCOPE_SET_EMPTY, SCOPE_SET_EMPTY, SCOPE_SET_EMPTY, SCOPE_SET_EMPTY};

    size_t place;
    const struct app *a = apps_find(&t->apps, query->subject.app, &place);
    if (a && a->shut) {
        unmentioned = SCOPE_SET_EMPTY;
    } else if (a) {
        /* The sets were made with the catalogue of their time: what has left it since is denied. */
        v.allow = scope_set_intersection(a->allowed, listed);
        v.ask = scope_set_intersection(a->asked, listed);
        unmentioned = scope_set_minus(listed, a->denied);
        unmentioned = scope_set_minus(unmentioned, scope_set_union(v.allow, v.ask));
    }
    if (t->unreadable)
        unmentioned = SCOPE_SET_EMPTY;
    v.mentioned = scope_set_minus(listed, unmentioned);
    if (query->fallback == VERDICT_ASK)
        v.ask = scope_set_union(v.ask, unmentioned);
    *ret = v;
}

bool table_speaks_of(const struct table *t, const char *app, const struct subject *subject)
{
    size_t place;
    return apps_find(&t->apps, app, &place) && subject_is_system_uid(subject->uid);
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
