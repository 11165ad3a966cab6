/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/consent.h"

#include "broker/account.h"
#include "broker/broker.h"
#include "util/utf8.h"

#include <string.h>

/* Reading and loading; what changes the answers is consent-change.c. */

/* A clock that is a little slow takes nothing away. */
#define SLACK_SEC 86400

static const char *const lasts_names[] = {
    [CONSENT_ONCE] = "once",
    [CONSENT_UNTIL_LOGOUT] = "logout",
    [CONSENT_UNTIL] = "until",
};

static const char *const how_names[] = {
    [CONSENT_BY_PROMPT] = "prompt",
    [CONSENT_BY_COMMAND] = "command",
};

const char *consent_lasts_name(enum consent_lasts lasts)
{
    return lasts_names[lasts];
}

const char *consent_how_name(enum consent_how how)
{
    return how_names[how];
}

/* --- reading ----------------------------------------------------------------------------------------- */

bool consent_counts(const struct consent *c, int64_t now_sec)
{
    if (c->is_over)
        return false;
    if (c->lasts != CONSENT_UNTIL)
        return true;
    return now_sec < c->until_sec && (c->denies || now_sec >= c->given_sec - SLACK_SEC);
}

static struct consents_of_app *find(const struct account *account, const char *app)
{
    struct consents_of_app *of;
    LIST_FOREACH (of, &account->consents, node)
        if (strcmp(of->app, app) == 0)
            return of;
    return NULL;
}

void consents_get(const struct account *account, const char *app, int64_t now_sec,
                  struct consent_answers *ret)
{
    *ret = (struct consent_answers){.denies_all = false};
    const struct consents_of_app *of = account ? find(account, app) : NULL;
    if (!of)
        return;
    const struct consent *c;
    LIST_FOREACH (c, &of->answers, node) {
        if (!consent_counts(c, now_sec))
            continue;
        ret->denies_all |= c->denies && !c->scope[0];
        if (c->index < 0)
            continue;
        scope_set_add(c->denies ? &ret->deny : &ret->allow, c->index);
        if (c->lasts == CONSENT_ONCE)
            scope_set_add(&ret->once, c->index);
    }
}

/* Whether an answer of this kind has anything to say about the scope. */
static bool speaks_of(const struct consent *c, const struct catalogue *catalogue, int scope)
{
    if (!c->scope[0])
        return true;
    if (c->index < 0)
        return false;
    struct scope_set of = SCOPE_SET_EMPTY;
    scope_set_add(&of, c->index);
    of = c->denies ? catalogue_expand_up(catalogue, of) : catalogue_expand(catalogue, of);
    return scope_set_has(&of, scope);
}

const struct consent *consents_find(const struct account *account, const char *app, int scope,
                                    int64_t now_sec)
{
    const struct consents_of_app *of = account ? find(account, app) : NULL;
    const struct consent *c, *allow = NULL;
    if (!of)
        return NULL;
    LIST_FOREACH (c, &of->answers, node) {
        if (!consent_counts(c, now_sec) || !speaks_of(c, account->broker->catalogue, scope))
            continue;
        if (c->denies)
            return c;
        if (!allow || c->index == scope)
            allow = c;
    }
    return allow;
}

bool consents_has_denial(const struct account *account, const char *app, const struct scope_set *scopes,
                         int64_t now_sec)
{
    const struct consents_of_app *of = find(account, app);
    const struct consent *c;
    if (!of)
        return false;
    LIST_FOREACH (c, &of->answers, node) {
        bool is_meant = !scopes || (c->index >= 0 && scope_set_has(scopes, c->index));
        if (c->denies && is_meant && consent_counts(c, now_sec))
            return true;
    }
    return false;
}

void consents_foreach(const struct account *account, const char *app, consent_visitor visitor, void *userdata)
{
    const struct consents_of_app *of;
    const struct consent *c;
    LIST_FOREACH (of, &account->consents, node)
        if (!app || strcmp(of->app, app) == 0)
            LIST_FOREACH (c, &of->answers, node)
                visitor(c, userdata);
}

/* --- life -------------------------------------------------------------------------------------------- */

/* The position of the name, or -1. */
static int name_index(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

static bool texts_are_sound(const struct store_consent *s)
{
    size_t n_app = strlen(s->app), n_name = strlen(s->by_name);
    return n_app > 0 && n_app < IDENTITY_APP_SIZE && utf8_is_valid(s->app, n_app) &&
           n_name < OWNER_NAME_MAX && utf8_is_valid(s->by_name, n_name) &&
           (!s->scope[0] || scope_token_is_valid(s->scope));
}

/* What its words mean; false for what no broker wrote. */
static bool read_words(const struct store_consent *s, struct consent *ret)
{
    int lasts = name_index(lasts_names, ARRAY_SIZE(lasts_names), s->lasts);
    int how = name_index(how_names, ARRAY_SIZE(how_names), s->how);
    if (lasts < 0 || how < 0)
        return false;
    if (lasts == CONSENT_UNTIL && s->until_sec <= 0)
        return false;
    ret->denies = strcmp(s->answer, "deny") == 0;
    ret->lasts = (enum consent_lasts)lasts;
    ret->how = (enum consent_how)how;
    return ret->denies ? lasts != CONSENT_ONCE : strcmp(s->answer, "allow") == 0 && s->scope[0];
}

static int get_or_add(struct account *account, const char *app, struct consents_of_app **ret)
{
    struct consents_of_app *of = find(account, app);
    if (!of) {
        of = calloc(1, sizeof(*of));
        if (!of)
            return -ENOMEM;
        list_init(&of->answers);
        (void)snprintf(of->app, sizeof(of->app), "%s", app);
        list_append(&account->consents, &of->node);
    }
    *ret = of;
    return 0;
}

int consent_load(struct account *account, const struct store_consent *stored)
{
    _cleanup_free_ struct consent *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    if (!texts_are_sound(stored) || !read_words(stored, c))
        return -EUCLEAN;
    int r = get_or_add(account, stored->app, &c->of);
    if (r < 0)
        return r;
    /* Once all numbers are taken the scope gets none, and does not count. */
    c->index = stored->scope[0] ? catalogue_intern(account->broker->catalogue, stored->scope) : -1;
    (void)snprintf(c->scope, sizeof(c->scope), "%s", stored->scope);
    (void)snprintf(c->by_name, sizeof(c->by_name), "%s", stored->by_name);
    c->given_sec = stored->given_sec;
    c->until_sec = c->lasts == CONSENT_UNTIL ? stored->until_sec : 0;
    c->by_uid = stored->by_uid;
    list_append(&c->of->answers, &c->node);
    (void)TAKE_PTR(c);
    return 0;
}

void consents_free(struct account *account)
{
    struct consents_of_app *of, *after;
    LIST_FOREACH_SAFE (of, after, &account->consents, node) {
        while (!list_is_empty(&of->answers)) {
            struct consent *c = LIST_ENTRY(of->answers.next, struct consent, node);
            list_remove(&c->node);
            free(c);
        }
        list_remove(&of->node);
        free(of);
    }
}
