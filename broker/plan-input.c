/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/plan-input.h"

#include "broker/broker.h"
#include "broker/verdict.h"
#include "policy/app-name.h"

#include <string.h>

void plan_input_clear(struct plan_input *in)
{
    free(in->sections);
    free(in->apps);
    strv_clear(&in->names);
}

/* --- the table's apps -------------------------------------------------------------------------------- */

static bool has(const struct strv *list, const char *item)
{
    return list->n == 0 || strv_contains(list, item);
}

/* An app of another user never reaches this account; the device's is everybody's. */
static bool may_be_owners(const struct plan_input *in, const struct table_section *s)
{
    char number[16], user[IDENTITY_APP_SIZE], uid[IDENTITY_APP_SIZE];
    if (in->owner.device)
        return true;
    (void)snprintf(number, sizeof(number), "%u", (unsigned)in->owner.uid);
    (void)snprintf(user, sizeof(user), "user:%s", in->owner.name);
    (void)snprintf(uid, sizeof(uid), "uid:%s", number);
    bool is_user = app_kind_from_name(s->app) == SUBJECT_USER;
    if (is_user && strcmp(s->app, user) != 0 && strcmp(s->app, uid) != 0)
        return false;
    if (s->users->n == 0)
        return app_kind_from_name(s->app) != SUBJECT_SYSTEM_UNIT || subject_is_system_uid(in->owner.uid);
    return strv_contains(s->users, in->owner.name) || strv_contains(s->users, number);
}

static bool counts(const struct plan_input *in, const struct table_section *s, int64_t now_sec)
{
    return !s->is_shut && has(s->accounts, in->id) && may_be_owners(in, s) &&
           (s->expires_sec == 0 || s->expires_sec > now_sec);
}

/* The sections that are for this account. -E2BIG: more than can be compared with each other on the loop. */
static int collect_sections(struct plan_input *in)
{
    size_t n = table_count_sections(in->broker->table);
    int64_t now_sec = verdict_now_sec(in->broker);
    if (n > LIMIT_PLAN_TABLE_SECTIONS)
        return -E2BIG;
    in->sections = reallocarray(NULL, LIMIT_PLAN_SECTIONS, sizeof(*in->sections));
    if (!in->sections)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        struct table_section s;
        table_get_section(in->broker->table, i, &s);
        if (!counts(in, &s, now_sec))
            continue;
        if (in->n_sections == LIMIT_PLAN_SECTIONS)
            return -E2BIG;
        in->sections[in->n_sections++] = s;
    }
    return 0;
}

/* Somebody for whom all conditions of the section are met. */
static struct subject subject_of(const struct plan_input *in, const struct table_section *s)
{
    struct subject subject = {
        .app = s->app,
        .user = in->owner.name,
        .exe = s->exe,
        .uid = in->owner.uid,
        .kind = (enum subject_kind)app_kind_from_name(s->app),
        .strength = STRENGTH_LABEL,
        .is_pinned = true,
    };
    if (!in->owner.device)
        return subject;
    const char *user = s->users->n > 0 ? s->users->items[0] : "";
    bool is_number = user[0] && user[strspn(user, "0123456789")] == '\0';
    subject.user = is_number ? "" : user;
    if (is_number)
        subject.uid = (uid_t)strtoul(user, NULL, 10);
    else if (!user[0] && subject.kind == SUBJECT_SYSTEM_UNIT)
        subject.uid = 0; /* what it is for where it names nobody: a user of the system's */
    return subject;
}

/* What the table says, and not the default: by that every app would want everything. */
static struct plan_app decide(const struct plan_input *in, const struct table_section *s)
{
    const struct table_query query = {
        .subject = subject_of(in, s),
        .account = in->id,
        .now_sec = verdict_now_sec(in->broker),
        .fallback = VERDICT_DENY,
    };
    struct verdicts verdicts;
    table_decide(in->broker->table, in->broker->catalogue, &query, &verdicts);
    return (struct plan_app){.allow = verdicts.allow, .ask = verdicts.ask};
}

static int add_app(struct plan_input *in, const struct table_section *s)
{
    char name[1024];
    (void)snprintf(name, sizeof(name), "%s%s%s", s->app, s->exe[0] ? " exe:" : "", s->exe);
    /* On the device's account an app of one user may have what that of another has not. */
    bool is_of_a_user = in->owner.device && s->users->n > 0;
    if (!is_of_a_user && strv_contains(&in->names, name))
        return 0;
    in->apps[in->names.n] = decide(in, s);
    return strv_add(&in->names, name);
}

static int collect_apps(struct plan_input *in)
{
    int r = collect_sections(in);
    if (r < 0)
        return r;
    in->apps = calloc(in->n_sections + 1, sizeof(*in->apps));
    if (!in->apps)
        return -ENOMEM;
    for (size_t i = 0; i < in->n_sections && r == 0; i++)
        r = add_app(in, &in->sections[i]);
    return r;
}

static void collect_grants(struct plan_input *in)
{
    const struct grant *grant;
    if (!in->account)
        return;
    LIST_FOREACH (grant, &in->account->grants, node) {
        if (grant->is_dead || renewal_is_foreign(grant) || in->n_grants == LIMIT_GRANTS_PER_ACCOUNT)
            continue;
        in->of[in->n_grants] = grant;
        in->grants[in->n_grants++] = (struct plan_grant){grant->carries, grant->may_carry};
    }
}

int plan_input_collect(struct plan_input *in)
{
    collect_grants(in);
    return collect_apps(in);
}
