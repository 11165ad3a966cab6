/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/matrix.h"

#include "broker/account.h"
#include "broker/app-facts.h"
#include "broker/broker.h"
#include "broker/consent.h"
#include "broker/limits.h"
#include "broker/peer.h"
#include "broker/verdict.h"
#include "policy/app-name.h"

#include <string.h>

#define UID_TEXT_SIZE 16

static void write_uid(uid_t uid, char ret[UID_TEXT_SIZE])
{
    (void)snprintf(ret, UID_TEXT_SIZE, "%u", (unsigned)uid);
}

/* --- whose an app is --------------------------------------------------------------------------------- */

/* "" where the broker has not met the user. */
static const char *name_of(const struct matrix *m, uid_t uid)
{
    const struct account *account;
    const struct peer *peer;
    if (m->caller->uid == uid)
        return m->caller->user;
    LIST_FOREACH (account, &m->broker->accounts, node)
        if (!account->owner.device && account->owner.uid == uid)
            return account->owner.name;
    LIST_FOREACH (peer, &m->broker->peers_by_use, by_use)
        if (peer->is_known && peer->identity.uid == uid)
            return peer->identity.user;
    return "";
}

static bool is_number(const char *user)
{
    return *user && user[strspn(user, "0123456789")] == '\0';
}

/* (uid_t)-1 for a name that the broker has not met. */
static uid_t uid_of(const struct matrix *m, const char *user)
{
    const struct account *account;
    const struct peer *peer;
    if (is_number(user))
        return (uid_t)strtoul(user, NULL, 10);
    if (*user && strcmp(m->caller->user, user) == 0)
        return m->caller->uid;
    LIST_FOREACH (account, &m->broker->accounts, node)
        if (!account->owner.device && strcmp(account->owner.name, user) == 0)
            return account->owner.uid;
    LIST_FOREACH (peer, &m->broker->peers_by_use, by_use)
        if (peer->is_known && strcmp(peer->identity.user, user) == 0)
            return peer->identity.uid;
    for (size_t i = 0; *user && i < m->n; i++) /* who has left is still on the trail */
        if (m->apps[i]->uid != (uid_t)-1 && strcmp(m->apps[i]->user, user) == 0)
            return m->apps[i]->uid;
    return (uid_t)-1;
}

/* The user that the app's own name tells; "" for none. */
static const char *user_of_app(const char *app)
{
    if (strncmp(app, "user:", 5) == 0)
        return app + 5;
    return strncmp(app, "uid:", 4) == 0 ? app + 4 : "";
}

/* --- apps -------------------------------------------------------------------------------------------- */

static void app_free(struct matrix_app *a)
{
    if (a)
        strv_clear(&a->exes);
    free(a);
}

void matrix_clear(struct matrix *m)
{
    for (size_t i = 0; i < m->n; i++)
        app_free(m->apps[i]);
    free(m->apps);
    m->apps = NULL;
    m->n = 0;
}

static bool is_app(const struct matrix_app *a, const char *app, uid_t uid, const char *user)
{
    return a->uid == uid && strcmp(a->app, app) == 0 && (uid != (uid_t)-1 || strcmp(a->user, user) == 0);
}

static struct matrix_app *find(const struct matrix *m, const char *app, uid_t uid, const char *user)
{
    for (size_t i = m->n; i > 0; i--) /* what is added comes sorted: it is mostly the last one */
        if (is_app(m->apps[i - 1], app, uid, user))
            return m->apps[i - 1];
    return NULL;
}

/* The one that is there, or a new one. 0 with *ret of NULL where there is no room for it, or where it is not
 * asked about. */
static int get_app(struct matrix *m, const char *app, uid_t uid, const char *user, struct matrix_app **ret)
{
    *ret = NULL;
    if (m->uid_only != (uid_t)-1 && uid != m->uid_only)
        return 0;
    struct matrix_app *found = find(m, app, uid, user);
    if (found || m->n == LIMIT_MATRIX_APPS) {
        m->is_complete = m->is_complete && found;
        *ret = found;
        return 0;
    }
    struct matrix_app *a = calloc(1, sizeof(*a));
    if (!a)
        return -ENOMEM;
    (void)snprintf(a->app, sizeof(a->app), "%s", app);
    (void)snprintf(a->user, sizeof(a->user), "%s", user);
    a->uid = uid;
    if (!*user && uid != (uid_t)-1)
        write_uid(uid, a->user);
    m->apps[m->n++] = a;
    *ret = a;
    return 0;
}

/* By the name or number of its user. */
static int get_app_of(struct matrix *m, const char *app, const char *user, struct matrix_app **ret)
{
    uid_t uid = uid_of(m, user);
    const char *name = is_number(user) ? name_of(m, uid) : user;
    return get_app(m, app, uid, name, ret);
}

/* --- the trail --------------------------------------------------------------------------------------- */

static void later(int64_t *at, int64_t sec)
{
    if (sec > *at)
        *at = sec;
}

/* Names that an app came up with may be of no scope: they are passed over, and take no number. */
static struct scope_set read_asked(const struct matrix *m, const char *joined)
{
    struct scope_set set = SCOPE_SET_EMPTY;
    char name[SCOPE_BYTES_MAX + 1];
    for (const char *at = joined; *at;) {
        size_t n = strcspn(at, " ");
        (void)snprintf(name, sizeof(name), "%.*s", (int)n, at);
        int scope = n < sizeof(name) ? catalogue_find(m->broker->catalogue, name) : -1;
        if (scope >= 0)
            scope_set_add(&set, scope);
        at += n + strspn(at + n, " ");
    }
    return set;
}

/* All that a token gives; what it carries has been a grant's, whose scopes have numbers. */
static struct scope_set read_carried(const struct matrix *m, const char *joined)
{
    struct scope_set set;
    if (catalogue_split(m->broker->catalogue, joined, &set) < 0)
        set = read_asked(m, joined);
    return catalogue_expand(m->broker->catalogue, set);
}

static void add_asked(const struct matrix *m, struct matrix_app *a, const struct store_matrix_entry *e)
{
    struct scope_set asked = read_asked(m, e->asked);
    a->scopes = scope_set_union(a->scopes, asked);
    for (int i = scope_set_next(&asked, 0); i >= 0; i = scope_set_next(&asked, i + 1)) {
        a->cells[i].n_asked += e->n;
        later(&a->cells[i].asked_sec, e->last_sec);
        if (e->kind == STORE_MATRIX_DENIED)
            later(&a->cells[i].denied_sec, e->last_sec);
    }
}

static void add_carried(const struct matrix *m, struct matrix_app *a, const struct store_matrix_entry *e)
{
    struct scope_set carried = read_carried(m, e->carried);
    a->scopes = scope_set_union(a->scopes, carried);
    for (int i = scope_set_next(&carried, 0); i >= 0; i = scope_set_next(&carried, i + 1))
        later(e->kind == STORE_MATRIX_HELD ? &a->cells[i].held_until_sec : &a->cells[i].used_sec,
              e->last_sec);
}

static int add_entry(struct matrix *m, const struct store_matrix_entry *e)
{
    struct matrix_app *a;
    const char *user = *e->user                           ? e->user
                       : strncmp(e->app, "user:", 5) == 0 ? e->app + 5
                                                          : name_of(m, e->uid);
    int r = get_app(m, e->app, e->uid, user, &a);
    if (r < 0 || !a)
        return r;
    add_asked(m, a, e);
    add_carried(m, a, e);
    return 0;
}

/* Those that hold a token come first: they are not to be left out for want of room. */
static int add_trail(struct matrix *m, const struct store_matrix *stored)
{
    int r = 0;
    m->is_complete = stored->is_complete;
    for (size_t i = stored->n; r == 0 && i > 0 && stored->entries[i - 1]->kind == STORE_MATRIX_HELD; i--)
        r = add_entry(m, stored->entries[i - 1]);
    for (size_t i = 0; r == 0 && i < stored->n && stored->entries[i]->kind != STORE_MATRIX_HELD; i++)
        r = add_entry(m, stored->entries[i]);
    return r;
}

/* --- the table and the answers ----------------------------------------------------------------------- */

static int add_section_for(struct matrix *m, const struct table_section *s, const char *user)
{
    struct matrix_app *a;
    int r = get_app_of(m, s->app, user, &a);
    if (r < 0 || !a)
        return r;
    a->scopes = scope_set_union(a->scopes, scope_set_union(s->deny, scope_set_union(s->ask, s->allow)));
    if (!s->exe[0] || a->exes.n == LIMIT_MATRIX_PROGRAMS || strv_contains(&a->exes, s->exe))
        return 0;
    return strv_add(&a->exes, s->exe);
}

/* One that is for any user: for all who have an account of their own. */
static int add_section_for_all(struct matrix *m, const struct table_section *s)
{
    const struct account *account;
    bool has_any = false;
    int r = 0;
    LIST_FOREACH (account, &m->broker->accounts, node) {
        if (account->owner.device || !account->is_default)
            continue;
        has_any = true;
        if (r == 0)
            r = add_section_for(m, s, account->owner.name);
    }
    return has_any || r < 0 ? r : add_section_for(m, s, "");
}

static int add_section(struct matrix *m, const struct table_section *s)
{
    int r = 0;
    if (*user_of_app(s->app))
        return add_section_for(m, s, user_of_app(s->app));
    for (size_t i = 0; r == 0 && i < s->users->n; i++)
        r = add_section_for(m, s, s->users->items[i]);
    if (s->users->n > 0)
        return r;
    /* A unit's is for system users, one of which the caller is no more than any other. */
    return app_kind_from_name(s->app) == SUBJECT_SYSTEM_UNIT ? add_section_for(m, s, "")
                                                             : add_section_for_all(m, s);
}

static int add_table(struct matrix *m)
{
    const struct table *table = m->broker->table;
    int r = 0;
    for (size_t i = 0; r == 0 && i < table_count_sections(table); i++) {
        struct table_section s;
        table_get_section(table, i, &s);
        r = add_section(m, &s);
    }
    return r;
}

struct answers {
    struct matrix *m;
    const struct account *account;
    int r;
};

static void add_answer(const struct consent *c, void *userdata)
{
    struct answers *answers = userdata;
    const struct owner *owner = &answers->account->owner;
    struct matrix_app *a = NULL;
    const char *app = c->of->app, *user = *user_of_app(app) ? user_of_app(app) : owner->name;
    if (answers->r == 0)
        answers->r = owner->device || *user_of_app(app) ? get_app_of(answers->m, app, user, &a)
                                                        : get_app(answers->m, app, owner->uid, user, &a);
    if (a && c->index >= 0)
        scope_set_add(&a->scopes, c->index);
}

static int add_answers(struct matrix *m)
{
    struct answers answers = {.m = m};
    LIST_FOREACH (answers.account, &m->broker->accounts, node)
        consents_foreach(answers.account, NULL, add_answer, &answers);
    return answers.r;
}

/* --- all --------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    const struct matrix_app *x = *(struct matrix_app *const *)a, *y = *(struct matrix_app *const *)b;
    int r = strcmp(x->app, y->app);
    if (r == 0)
        r = strcmp(x->user, y->user);
    return r == 0 ? (x->uid > y->uid) - (x->uid < y->uid) : r;
}

int matrix_make(struct broker *broker, const struct identity *caller, uid_t uid_only,
                const struct store_matrix *stored, struct matrix *ret)
{
    struct matrix m = {.broker = broker, .caller = caller, .uid_only = uid_only};
    m.apps = calloc(LIMIT_MATRIX_APPS, sizeof(struct matrix_app *));
    int r = m.apps ? add_trail(&m, stored) : -ENOMEM;
    if (r == 0)
        r = add_table(&m);
    if (r == 0)
        r = add_answers(&m);
    if (r < 0) {
        matrix_clear(&m);
        return r;
    }
    qsort(m.apps, m.n, sizeof(struct matrix_app *), compare);
    *ret = m;
    return 0;
}

/* --- verdicts ---------------------------------------------------------------------------------------- */

/* Of its weakest connection, or what follows from its name. */
static void find_facts(const struct matrix *m, const struct matrix_app *app, struct app_facts *ret)
{
    char number[UID_TEXT_SIZE] = "";
    if (app->uid != (uid_t)-1)
        write_uid(app->uid, number);
    bool is_found = app_facts_find(m->broker, m->caller, app->app, app->uid != (uid_t)-1 ? number : app->user,
                                   app->uid, ret);
    if (is_found && ret->peer)
        return;
    if (!is_number(app->user))
        (void)snprintf(ret->identity.user, sizeof(ret->identity.user), "%s", app->user);
    if (app->uid != (uid_t)-1)
        ret->identity.uid = app->uid;
}

static void add_verdicts(struct verdicts *all, const struct verdicts *more)
{
    all->allow = scope_set_union(all->allow, more->allow);
    all->ask = scope_set_minus(scope_set_union(all->ask, more->ask), all->allow);
}

const struct account *matrix_decide(const struct matrix *m, const struct matrix_app *app,
                                    struct verdicts *ret)
{
    struct app_facts facts;
    const struct account *account = app->uid == (uid_t)-1 ? account_find_default(m->broker, true, app->uid)
                                                          : account_for_caller(m->broker, app->uid, "");
    *ret = (struct verdicts){.allow = SCOPE_SET_EMPTY};
    if (app_kind_from_name(app->app) < 0) /* in an unknown sandbox: refused everything */
        return account;
    find_facts(m, app, &facts);
    verdict_of(m->broker, &facts.identity, account, ret);
    for (size_t i = 0; i < app->exes.n; i++) {
        struct verdicts of_program;
        (void)snprintf(facts.identity.exe, sizeof(facts.identity.exe), "%s", app->exes.items[i]);
        verdict_of(m->broker, &facts.identity, account, &of_program);
        add_verdicts(ret, &of_program);
    }
    return account;
}
