/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/diagnose-internal.h"

#include "broker/limits.h"
#include "broker/matrix.h"
#include "broker/refresh.h"
#include "util/clock.h"

#include <string.h>
#include <time.h>

#define SINCE_SEC (90 * 86400)

static void format_day(int64_t sec, char ret[static 16])
{
    time_t when = sec;
    struct tm tm;
    if (!gmtime_r(&when, &tm) || strftime(ret, 16, "%Y-%m-%d", &tm) == 0)
        (void)snprintf(ret, 16, "%s", "?");
}

/* --- logins that died right after another ------------------------------------------------------------ */

static void tell_death(struct diagnosis *d, const struct audit_record *record)
{
    char subject[128], day[16];
    format_day(record->time_sec, day);
    (void)snprintf(subject, sizeof(subject), "%s of %s, grant %lld", record->account, record->owner,
                   (long long)record->grant);
    findings_add(
        &d->findings, CHECK_LOGIN_END, subject, FINDING_WARNING,
        "If it happens again, Amazon ends a login when its customer logs in anew: have one login for all "
        "apps of the account (`lwactl plan`, and grants.d so that they may share it).",
        "ended on %s, right after another login of the same customer", day);
}

static void on_deaths(struct store_reply *reply, void *userdata)
{
    struct diagnosis *d = userdata;
    size_t n = 0;
    d->deaths = NULL;
    for (size_t i = 0; reply->r == 0 && i < reply->n_records; i++) {
        const struct audit_record *record = reply->records[i];
        if (record->detail && strstr(record->detail, REFRESH_DIED_AFTER_LOGIN)) {
            tell_death(d, record);
            n++;
        }
    }
    if (reply->r != 0)
        findings_add(&d->findings, CHECK_LOGIN_END, NULL, FINDING_UNKNOWN, "Try again.",
                     "the trail could not be read");
    else if (n == 0)
        findings_add(&d->findings, CHECK_LOGIN_END, NULL, FINDING_OK, NULL,
                     "no login died right after another one");
    diagnosis_done(d, d->wait_deaths);
}

void diagnose_deaths(struct diagnosis *d)
{
    struct audit_filter filter;
    audit_filter_init(&filter);
    filter.event = AUDIT_GRANT_DIED;
    filter.since_sec = wall_sec() - SINCE_SEC;
    const struct store_page page = {.limit = LIMIT_DIAGNOSE_DEATHS, .is_newest = true};
    d->wait_deaths = diagnosis_wait(d, CHECK_LOGIN_END, "");
    int r = store_audit_query(d->broker->store, &filter, &page, d->caller->uid, on_deaths, d, &d->deaths);
    audit_filter_clear(&filter);
    if (r < 0)
        on_deaths(&(struct store_reply){.r = r}, d);
}

/* --- apps that ask for more than they may ------------------------------------------------------------- */

/* What it was refused and may not have now either. */
static struct scope_set refused(const struct matrix *m, const struct matrix_app *app, int64_t *ret_last_sec)
{
    const struct catalogue *c = m->broker->catalogue;
    struct verdicts verdicts;
    struct scope_set set = SCOPE_SET_EMPTY;
    *ret_last_sec = 0;
    (void)matrix_decide(m, app, &verdicts);
    for (int i = scope_set_next(&app->scopes, 0); i >= 0; i = scope_set_next(&app->scopes, i + 1)) {
        struct scope_set one = SCOPE_SET_EMPTY;
        scope_set_add(&one, i);
        if (app->cells[i].denied_sec == 0 ||
            verdicts_least(&verdicts, catalogue_expand(c, one)) != VERDICT_DENY)
            continue;
        scope_set_add(&set, i);
        if (app->cells[i].denied_sec > *ret_last_sec)
            *ret_last_sec = app->cells[i].denied_sec;
    }
    return set;
}

static size_t tell_apps(struct diagnosis *d, const struct matrix *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++) {
        const struct matrix_app *app = m->apps[i];
        char subject[IDENTITY_APP_SIZE + IDENTITY_USER_SIZE + 8], day[16];
        int64_t last_sec;
        struct scope_set set = refused(m, app, &last_sec);
        if (scope_set_is_empty(set))
            continue;
        _cleanup_free_ char *names = catalogue_join(m->broker->catalogue, set);
        bool is_user = strncmp(app->app, "user:", 5) == 0 || !app->user[0];
        format_day(last_sec, day);
        (void)snprintf(subject, sizeof(subject), "%s%s%s", app->app, is_user ? "" : " of ",
                       is_user ? "" : app->user);
        findings_add(
            &d->findings, CHECK_APP, subject, FINDING_WARNING,
            "If it needs that, allow it in grants.d; else tell its maker: `lwactl audit app` shows its "
            "calls, and `lwactl explain` why.",
            "asks for more than it may have: %s, last on %s", names ? names : "", day);
        n++;
    }
    return n;
}

static void on_matrix(struct store_reply *reply, void *userdata)
{
    struct diagnosis *d = userdata;
    _cleanup_(matrix_clear) struct matrix m = {.n = 0};
    d->matrix = NULL;
    int r = reply->r;
    if (r == 0)
        r = matrix_make(d->broker, d->caller, (uid_t)-1, reply->matrix, &m);
    if (r != 0)
        findings_add(&d->findings, CHECK_APP, NULL, FINDING_UNKNOWN, "Try again.",
                     "the trail could not be read");
    else if (tell_apps(d, &m) == 0)
        findings_add(&d->findings, CHECK_APP, NULL, FINDING_OK, NULL,
                     "none was refused in 90 days what it may not have still");
    diagnosis_done(d, d->wait_matrix);
}

void diagnose_apps(struct diagnosis *d)
{
    const struct store_matrix_question question = {
        .since_sec = wall_sec() - SINCE_SEC, .now_sec = wall_sec(), .owner_uid = (uid_t)-1};
    d->wait_matrix = diagnosis_wait(d, CHECK_APP, "");
    int r = store_matrix_query(d->broker->store, &question, d->caller->uid, on_matrix, d, &d->matrix);
    if (r < 0)
        on_matrix(&(struct store_reply){.r = r}, d);
}
