/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Why the table decides as it does, entry by entry and rule by rule: slow, and by other code than
 * table_decide(), against which tests/unit/test-table.c holds it. */

#include "policy/table-internal.h"

#include <string.h>

const char *table_source_name(enum table_source source)
{
    static const char *const names[] = {
        [TABLE_FALLBACK] = "default",      [TABLE_ENTRY] = "entry",       [TABLE_MALFORMED] = "malformed",
        [TABLE_UNREADABLE] = "unreadable", [TABLE_UNLISTED] = "unlisted",
    };
    return names[source];
}

const char *table_condition_name(enum table_condition condition)
{
    static const char *const names[] = {
        [TABLE_CONDITION_NONE] = "",
        [TABLE_CONDITION_EXE] = "exe",
        [TABLE_CONDITION_USER] = "user",
        [TABLE_CONDITION_ACCOUNTS] = "accounts",
        [TABLE_CONDITION_STRENGTH] = "require_strength",
        [TABLE_CONDITION_PINNED] = "require_pinned",
        [TABLE_CONDITION_EXPIRES] = "expires",
    };
    return names[condition];
}

/* --- the line that decided ------------------------------------------------------------------------------ */

/* A scope that is asked about, with what it implies (`down`) and what implies it (`up`). */
struct asked {
    const struct table_query *query;
    int scope;
    struct scope_set down, up;
};

/* table_decide()'s rules, the earlier one first: entries under this key speak of the scope if it implies
 * theirs, or is implied by theirs. */
#define RULE_ASK 1
static const struct rule {
    enum verdict key;
    bool implies;
} rules[] = {
    {VERDICT_DENY, true},
    [RULE_ASK] = {VERDICT_ASK, true},
    {VERDICT_ALLOW, false},
    {VERDICT_ASK, false},
};

static bool speaks_of(const struct rule *rule, const struct entry *entry, const struct asked *asked)
{
    return entry->key == rule->key && scope_set_has(rule->implies ? &asked->down : &asked->up, entry->scope);
}

static struct table_place place_of(const struct section *s, unsigned line)
{
    return (struct table_place){.file = s->file, .section = s->text, .line = line};
}

/* The first entry by this rule in sections that fit so, or that of the scope's own name where there is one.
 */
static bool find_entry(const struct app *a, const struct rule *rule, const struct asked *asked,
                       enum fit least, enum fit most, struct table_finding *ret)
{
    bool is_found = false;
    for (size_t i = 0; i < a->sections.n; i++) {
        const struct section *s = a->sections.items[i];
        enum table_condition unmet;
        enum fit fit = section_fit(s, asked->query, &unmet);
        if (fit < least || fit > most)
            continue;
        for (size_t k = 0; k < s->n_entries; k++) {
            const struct entry *entry = &s->entries[k];
            if (!speaks_of(rule, entry, asked) || (is_found && entry->scope != asked->scope))
                continue;
            ret->source = TABLE_ENTRY;
            ret->verdict = ret->key = rule->key;
            ret->scope = entry->scope;
            ret->place = place_of(s, entry->line);
            is_found = true;
            if (entry->scope == asked->scope)
                return true;
        }
    }
    return is_found;
}

static void blame_problem(const struct table *t, size_t problem, enum table_source source,
                          struct table_finding *ret)
{
    const struct table_problem *p = &t->problems[problem - 1];
    ret->source = source;
    ret->verdict = VERDICT_DENY;
    ret->place = (struct table_place){.file = p->file, .section = "", .line = p->problem.line};
}

static void find_what_decided(const struct table *t, const struct app *a, const struct asked *asked,
                              struct table_finding *ret)
{
    for (size_t i = 0; a && i < ARRAY_SIZE(rules); i++) {
        if (!find_entry(a, &rules[i], asked, rules[i].key == VERDICT_DENY ? FIT_DENY : FIT_ALL, FIT_ALL, ret))
            continue;
        if (rules[i].key == VERDICT_ALLOW) /* held back by an `ask` that cannot give? */
            (void)find_entry(a, &rules[RULE_ASK], asked, FIT_DENY, FIT_DENY, ret);
        return;
    }
    if (t->unreadable)
        blame_problem(t, t->unreadable, TABLE_UNREADABLE, ret);
}

/* --- what was left out ---------------------------------------------------------------------------------- */

static bool has_entry_left_out(const struct section *s, enum fit fit, const struct asked *asked)
{
    for (size_t i = 0; i < s->n_entries; i++)
        for (size_t k = 0; k < ARRAY_SIZE(rules); k++)
            if ((fit == FIT_NOTHING || s->entries[i].key != VERDICT_DENY) &&
                speaks_of(&rules[k], &s->entries[i], asked))
                return true;
    return false;
}

static void find_left_out(const struct app *a, const struct asked *asked, struct table_finding *ret)
{
    for (size_t i = 0; i < a->sections.n; i++) {
        const struct section *s = a->sections.items[i];
        enum table_condition unmet;
        enum fit fit = section_fit(s, asked->query, &unmet);
        if (fit == FIT_ALL || !has_entry_left_out(s, fit, asked))
            continue;
        ret->unmet = unmet;
        ret->unmet_place = place_of(s, s->lines[unmet] ? s->lines[unmet] : s->line);
        return;
    }
}

void table_explain(const struct table *t, const struct catalogue *c, const struct table_query *query,
                   int scope, struct table_finding *ret)
{
    static const struct table_place nowhere = {.file = "", .section = "", .line = 0};
    struct scope_set listed = catalogue_listed(c), one = SCOPE_SET_EMPTY;
    *ret = (struct table_finding){
        .verdict = query->fallback == VERDICT_ASK ? VERDICT_ASK : VERDICT_DENY,
        .source = TABLE_FALLBACK,
        .place = nowhere,
        .key = VERDICT_DENY,
        .scope = -1,
        .unmet = TABLE_CONDITION_NONE,
        .unmet_place = nowhere,
    };
    if (scope < 0 || !scope_set_has(&listed, scope)) {
        ret->verdict = VERDICT_DENY;
        ret->source = TABLE_UNLISTED;
        return;
    }
    const struct app *a = table_find_app(t, query->subject.app);
    if (a && a->shut) {
        blame_problem(t, a->shut, TABLE_MALFORMED, ret);
        return;
    }
    scope_set_add(&one, scope);
    const struct asked asked = {
        .query = query,
        .scope = scope,
        .down = catalogue_expand(c, one),
        .up = catalogue_expand_up(c, one),
    };
    find_what_decided(t, a, &asked, ret);
    if (a)
        find_left_out(a, &asked, ret);
}

/* --- looking -------------------------------------------------------------------------------------------- */

const char *table_description(const struct table *t, const struct subject *subject)
{
    const struct table_query query = {.subject = *subject, .account = ""};
    const struct app *a = table_find_app(t, subject->app);
    for (size_t i = 0; a && i < a->sections.n; i++) {
        const struct section *s = a->sections.items[i];
        enum table_condition unmet;
        if (s->description && section_fit(s, &query, &unmet) != FIT_NOTHING)
            return s->description;
    }
    return NULL;
}

int64_t table_next_expiry(const struct table *t, int64_t now_sec)
{
    int64_t next = 0;
    for (size_t i = 0; i < t->n_sections; i++) {
        int64_t sec = t->all[i]->expires_sec;
        if (sec > now_sec && (next == 0 || sec < next))
            next = sec;
    }
    return next;
}

size_t table_count_sections(const struct table *t)
{
    return t->n_sections;
}

void table_get_section(const struct table *t, size_t i, struct table_section *ret)
{
    const struct section *s = t->all[i];
    *ret = (struct table_section){
        .place = place_of(s, s->line),
        .app = s->app,
        .exe = s->exe,
        .description = s->description ? s->description : "",
        .users = &s->users,
        .accounts = &s->accounts,
        .strength = s->strength,
        .is_pinned = s->is_pinned,
        .expires_sec = s->expires_sec,
        .is_shut = table_find_app(t, s->app)->shut != 0,
        .deny = s->deny_up,
        .ask = scope_set_union(s->ask_up, s->ask_down),
        .allow = s->allow_down,
    };
}
