/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Scopes by number. While files are read, an entry holds what its section says; sealing turns the written
 * `implies` into closures, so that every later question is an OR over at most 256 sets.
 *
 * Invariants: an entry's number and name never change; `order` holds all numbers sorted by name; from sealing
 * on, down[i] and up[i] hold i itself and are transitive; an unlisted scope implies nothing and is implied by
 * nothing. Entries own their strings. */

#include "policy/catalogue.h"

#include "util/edit-distance.h"

#include <assert.h>
#include <string.h>

#define ACTION_PREFIX "org.lwabroker.scope."
#define ACTION_OTHER ACTION_PREFIX "other"
#define TEXT_BYTES_MAX 512 /* of a description or a hint: a person reads them in a dialogue */
#define FAMILY_BYTES_MAX 32

struct entry {
    struct scope_info info; /* its strings are those below, or literals */
    char *name;
    char *description;
    char *family;
    char *action_id;
    char *scope_data;
    struct strv implies; /* as written */
    struct scope_set down;
    struct scope_set up;
};

struct catalogue {
    struct entry *entries[SCOPE_COUNT_MAX];
    unsigned short order[SCOPE_COUNT_MAX];
    unsigned n;
    struct scope_set listed;
};

static void entry_free(struct entry *e)
{
    if (!e)
        return;
    free(e->name);
    free(e->description);
    free(e->family);
    free(e->action_id);
    free(e->scope_data);
    strv_clear(&e->implies);
    free(e);
}
DEFINE_CLEANUP(struct entry, entry_free);

void catalogue_free(struct catalogue *c)
{
    if (!c)
        return;
    for (unsigned i = 0; i < c->n; i++)
        entry_free(c->entries[i]);
    free(c);
}

/* --- names and numbers ---------------------------------------------------------------------------------- */

/* Where the name is in `order`, or where it would be put. */
static bool find_place(const struct catalogue *c, const char *name, unsigned *ret_place)
{
    unsigned low = 0, high = c->n;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        int order = strcmp(c->entries[c->order[middle]]->name, name);
        if (order == 0) {
            *ret_place = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_place = low;
    return false;
}

static int find_any(const struct catalogue *c, const char *name)
{
    unsigned place;
    return find_place(c, name, &place) ? c->order[place] : -1;
}

static int add_entry(struct catalogue *c, const char *name, unsigned place)
{
    if (c->n == SCOPE_COUNT_MAX)
        return -ENOSPC;
    _cleanup_(entry_freep) struct entry *e = calloc(1, sizeof(*e));
    if (!e)
        return -ENOMEM;
    e->name = strdup(name);
    if (!e->name)
        return -ENOMEM;
    e->info = (struct scope_info){
        .name = e->name,
        .description = "",
        .family = "",
        .action_id = ACTION_OTHER,
        .scope_data = "",
    };
    int index = (int)c->n;
    scope_set_add(&e->down, index);
    scope_set_add(&e->up, index);

    memmove(c->order + place + 1, c->order + place, (c->n - place) * sizeof(*c->order));
    c->order[place] = (unsigned short)index;
    c->entries[index] = TAKE_PTR(e);
    c->n++;
    return index;
}

int catalogue_intern(struct catalogue *c, const char *name)
{
    if (!scope_token_is_valid(name))
        return -EINVAL;
    unsigned place;
    if (find_place(c, name, &place))
        return c->order[place];
    return add_entry(c, name, place);
}

int catalogue_new(const struct catalogue *previous, struct catalogue **ret)
{
    _cleanup_(catalogue_freep) struct catalogue *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    for (unsigned i = 0; previous && i < previous->n; i++) {
        int index = catalogue_intern(c, previous->entries[i]->name);
        if (index < 0)
            return index;
    }
    *ret = TAKE_PTR(c);
    return 0;
}

int catalogue_find_known(const struct catalogue *c, const char *name)
{
    return find_any(c, name);
}

int catalogue_find(const struct catalogue *c, const char *name)
{
    int index = find_any(c, name);
    return index >= 0 && c->entries[index]->info.listed ? index : -1;
}

const char *catalogue_nearest(const struct catalogue *c, const char *name)
{
    const char *nearest = NULL;
    /* A scope that differs in more than a third is another one, and no typing error. */
    size_t least = strlen(name) / 3 + 1;
    for (unsigned i = 0; i < c->n; i++) {
        size_t distance = edit_distance(c->entries[i]->info.name, name);
        if (c->entries[i]->info.listed && distance < least) {
            least = distance;
            nearest = c->entries[i]->info.name;
        }
    }
    return nearest;
}

unsigned catalogue_count(const struct catalogue *c)
{
    return c->n;
}

const struct scope_info *catalogue_get(const struct catalogue *c, int index)
{
    assert(index >= 0 && (unsigned)index < c->n);
    return &c->entries[index]->info;
}

struct scope_set catalogue_listed(const struct catalogue *c)
{
    return c->listed;
}

/* --- reading -------------------------------------------------------------------------------------------- */

struct reading {
    struct catalogue *c;
    struct entry *entry; /* whose section is being read */
    bool shipped;
};

/* Colons, alone or in a row, become one full stop. polkit wants ASCII letters, digits, full stop and hyphen;
 * anything else becomes a hyphen, and catalogue_seal() refuses ids that have become the same. */
static char *make_action_id(const char *scope)
{
    char *id = malloc(sizeof(ACTION_PREFIX) + strlen(scope));
    if (!id)
        return NULL;
    char *end = stpcpy(id, ACTION_PREFIX);
    for (const char *p = scope; *p; p++) {
        bool kept = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
                    *p == '.' || *p == '-';
        if (kept)
            *end++ = *p;
        else if (*p != ':')
            *end++ = '-';
        else if (end[-1] != '.')
            *end++ = '.';
    }
    *end = '\0';
    return id;
}

/* A section that was not described may not be left behind, at the next section or at the end. */
static int finish_section(const struct reading *r, struct ini_problem *problem)
{
    if (r->entry && !r->entry->description)
        return ini_refuse(problem, "scope %s has no description", r->entry->name);
    return 0;
}

static int start_section(struct reading *r, const char *name, struct ini_problem *problem)
{
    int result = finish_section(r, problem);
    if (result != 0)
        return result;
    int index = catalogue_intern(r->c, name);
    if (index == -EINVAL)
        return ini_refuse(problem, "\"%s\" is not a scope", name);
    if (index == -ENOSPC)
        return ini_refuse(problem, "there are more than %d scopes", SCOPE_COUNT_MAX);
    if (index < 0)
        return index;

    struct entry *e = r->c->entries[index];
    if (e->info.listed)
        return ini_refuse(problem, "scope %s is listed twice", name);
    if (r->shipped) {
        e->action_id = make_action_id(name);
        if (!e->action_id)
            return -ENOMEM;
        e->info.action_id = e->action_id;
    }
    e->info.family = "other";
    e->info.shipped = r->shipped;
    e->info.listed = true;
    scope_set_add(&r->c->listed, index);
    r->entry = e;
    return 0;
}

static int set_text(char **text, const struct ini_entry *entry, struct ini_problem *problem)
{
    if (*text && !entry->continues)
        return ini_refuse(problem, "%s is given twice", entry->key);
    if (entry->value[0] == '\0')
        return ini_refuse(problem, "%s is empty", entry->key);

    char *joined = NULL;
    if (asprintf(&joined, "%s%s%s", *text ? *text : "", *text ? " " : "", entry->value) < 0)
        return -ENOMEM;
    free(*text);
    *text = joined;
    if (strlen(joined) > TEXT_BYTES_MAX)
        return ini_refuse(problem, "%s is longer than %d bytes", entry->key, TEXT_BYTES_MAX);
    return 0;
}

static int set_family(char **family, const struct ini_entry *entry, struct ini_problem *problem)
{
    int r = set_text(family, entry, problem);
    if (r != 0 || !*family)
        return r;
    size_t n = strspn(*family, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if ((*family)[n] != '\0' || n > FAMILY_BYTES_MAX)
        return ini_refuse(problem, "family may hold only a-z, 0-9 and \"-\", at most %d of them",
                          FAMILY_BYTES_MAX);
    return 0;
}

static int set_implies(struct entry *e, const struct ini_entry *entry, struct ini_problem *problem)
{
    size_t before = e->implies.n;
    int r = strv_split(&e->implies, entry->value, " \t,");
    if (r < 0)
        return r;
    for (size_t i = before; i < e->implies.n; i++)
        if (!scope_token_is_valid(e->implies.items[i]))
            return ini_refuse(problem, "\"%s\" is not a scope", e->implies.items[i]);
    if (e->implies.n > SCOPE_COUNT_MAX)
        return ini_refuse(problem, "%s implies too many scopes", e->name);
    return 0;
}

static int take_entry(const struct ini_entry *entry, struct ini_problem *problem, void *userdata)
{
    struct reading *r = userdata;
    if (!entry->key)
        return start_section(r, entry->section, problem);

    struct entry *e = r->entry;
    int result;
    if (strcmp(entry->key, "description") == 0)
        result = set_text(&e->description, entry, problem);
    else if (strcmp(entry->key, "scope_data") == 0)
        result = set_text(&e->scope_data, entry, problem);
    else if (strcmp(entry->key, "family") == 0)
        result = set_family(&e->family, entry, problem);
    else if (strcmp(entry->key, "implies") == 0)
        result = set_implies(e, entry, problem);
    else
        result = ini_refuse(problem, "unknown key \"%s\"", entry->key);

    e->info.description = e->description ? e->description : "";
    e->info.scope_data = e->scope_data ? e->scope_data : "";
    e->info.family = e->family ? e->family : "other";
    return result;
}

int catalogue_add_text(struct catalogue *c, const char *text, size_t n, bool shipped,
                       struct ini_problem *ret_problem)
{
    struct reading reading = {.c = c, .shipped = shipped};
    int r = ini_parse_text(text, n, take_entry, &reading, ret_problem);
    if (r < 0)
        return r;
    if (r == INI_E_MALFORMED)
        return CATALOGUE_E_MALFORMED;

    struct ini_problem problem = {0};
    if (finish_section(&reading, &problem) == 0)
        return 0;
    *ret_problem = problem;
    return CATALOGUE_E_MALFORMED;
}

/* --- sealing -------------------------------------------------------------------------------------------- */

static int seal_implied(struct catalogue *c, struct ini_problem *problem)
{
    for (unsigned i = 0; i < c->n; i++) {
        struct entry *e = c->entries[i];
        for (size_t k = 0; k < e->implies.n; k++) {
            int implied = catalogue_find(c, e->implies.items[k]);
            if (implied < 0)
                return ini_refuse(problem, "%s implies %s, which is in no catalogue", e->name,
                                  e->implies.items[k]);
            if ((unsigned)implied == i)
                return ini_refuse(problem, "%s implies itself", e->name);
            scope_set_add(&e->down, implied);
        }
    }
    return 0;
}

/* Warshall's closure over rows of bits. */
static void seal_closures(struct catalogue *c)
{
    for (unsigned through = 0; through < c->n; through++)
        for (unsigned i = 0; i < c->n; i++)
            if (scope_set_has(&c->entries[i]->down, (int)through))
                c->entries[i]->down = scope_set_union(c->entries[i]->down, c->entries[through]->down);

    for (unsigned i = 0; i < c->n; i++)
        for (int k = scope_set_next(&c->entries[i]->down, 0); k >= 0;
             k = scope_set_next(&c->entries[i]->down, k + 1))
            scope_set_add(&c->entries[k]->up, (int)i);
}

static int check_circles(const struct catalogue *c, struct ini_problem *problem)
{
    for (unsigned i = 0; i < c->n; i++) {
        struct scope_set both = scope_set_intersection(c->entries[i]->down, c->entries[i]->up);
        scope_set_remove(&both, (int)i);
        int other = scope_set_next(&both, 0);
        if (other >= 0)
            return ini_refuse(problem, "%s and %s imply each other", c->entries[i]->name,
                              c->entries[other]->name);
    }
    return 0;
}

static int check_action_ids(const struct catalogue *c, struct ini_problem *problem)
{
    for (unsigned i = 0; i < c->n; i++) {
        const struct entry *a = c->entries[i];
        if (!a->info.shipped)
            continue;
        if (strcmp(a->action_id, ACTION_OTHER) == 0)
            return ini_refuse(problem, "%s would have the action id %s, which is taken", a->name,
                              ACTION_OTHER);
        for (unsigned k = 0; k < i; k++)
            if (c->entries[k]->info.shipped && strcmp(a->action_id, c->entries[k]->action_id) == 0)
                return ini_refuse(problem, "%s and %s would have the same action id", c->entries[k]->name,
                                  a->name);
    }
    return 0;
}

int catalogue_seal(struct catalogue *c, struct ini_problem *ret_problem)
{
    struct ini_problem problem = {0};
    int r = seal_implied(c, &problem);
    if (r == 0) {
        seal_closures(c);
        r = check_circles(c, &problem);
    }
    if (r == 0)
        r = check_action_ids(c, &problem);
    if (r != 0)
        *ret_problem = problem;
    return r == 0 ? 0 : CATALOGUE_E_MALFORMED;
}

/* --- sets ----------------------------------------------------------------------------------------------- */

#define FOR_EACH_MEMBER(i, set)                                                                              \
    for (int i = scope_set_next(&(set), 0); i >= 0; i = scope_set_next(&(set), i + 1))

/* Members without an entry cannot come from this catalogue or one before it: they stand for themselves. */
static const struct entry *get_entry(const struct catalogue *c, int index)
{
    return (unsigned)index < c->n ? c->entries[index] : NULL;
}

struct scope_set catalogue_expand(const struct catalogue *c, struct scope_set set)
{
    struct scope_set expanded = set;
    FOR_EACH_MEMBER(i, set)
    {
        const struct entry *e = get_entry(c, i);
        if (e)
            expanded = scope_set_union(expanded, e->down);
    }
    return expanded;
}

struct scope_set catalogue_reduce(const struct catalogue *c, struct scope_set set)
{
    struct scope_set reduced = set;
    FOR_EACH_MEMBER(i, set)
    {
        const struct entry *e = get_entry(c, i);
        if (!e)
            continue;
        struct scope_set implied = e->down;
        scope_set_remove(&implied, i);
        reduced = scope_set_minus(reduced, implied);
    }
    return reduced;
}

struct scope_set catalogue_expand_up(const struct catalogue *c, struct scope_set set)
{
    struct scope_set expanded = set;
    FOR_EACH_MEMBER(i, set)
    {
        const struct entry *e = get_entry(c, i);
        if (e)
            expanded = scope_set_union(expanded, e->up);
    }
    return expanded;
}

int catalogue_names(const struct catalogue *c, struct scope_set set, struct strv *names)
{
    for (unsigned i = 0; i < c->n; i++) {
        if (!scope_set_has(&set, c->order[i]))
            continue;
        int r = strv_add(names, c->entries[c->order[i]]->name);
        if (r < 0)
            return r;
    }
    return 0;
}

char *catalogue_join(const struct catalogue *c, struct scope_set set)
{
    _cleanup_strv_ struct strv names = STRV_EMPTY;
    if (catalogue_names(c, set, &names) < 0)
        return NULL;
    return strv_join(&names, " ");
}

int catalogue_split(struct catalogue *c, const char *joined, struct scope_set *ret)
{
    _cleanup_strv_ struct strv names = STRV_EMPTY;
    int r = strv_split(&names, joined, " ");
    if (r < 0)
        return r;
    struct scope_set set = SCOPE_SET_EMPTY;
    for (size_t i = 0; i < names.n; i++) {
        int index = catalogue_intern(c, names.items[i]);
        if (index < 0)
            return index;
        scope_set_add(&set, index);
    }
    *ret = set;
    return 0;
}
