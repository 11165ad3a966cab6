/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/diagnose-internal.h"

#include "broker/limits.h"
#include "broker/timer.h"
#include "util/clock.h"

#include <assert.h>
#include <string.h>

/* The rows come in this order. A check may make rows of several of these words: CHECK_CLOCK is also what the
 * hosts say of the time. */
static const struct {
    const char *check;
    void (*run)(struct diagnosis *d); /* NULL: another one makes its rows */
    bool needs_broker;                /* store, polkit and trail */
} checks[] = {
    {CHECK_CONFIGURATION, diagnose_configuration, false},
    {CHECK_CLIENT_ID, diagnose_client_id, false},
    {CHECK_PROFILE_ID, diagnose_profile_id, false},
    {CHECK_GRANTS, NULL, false},
    {CHECK_FILES, diagnose_files, false},
    {CHECK_KEY, diagnose_key, false},
    {CHECK_DATABASE, diagnose_database, true},
    {CHECK_TRAIL, diagnose_trail_health, true},
    {CHECK_ACTIONS, diagnose_polkit_actions, true},
    {CHECK_RULE, diagnose_polkit_rule, true},
    {CHECK_CLOCK, diagnose_clock, false},
    {CHECK_HOST, diagnose_hosts, false},
    {CHECK_LOGIN, diagnose_logins, true},
    {CHECK_LOGIN_END, diagnose_deaths, true},
    {CHECK_WIDTH, diagnose_widths, true},
    {CHECK_APP, diagnose_apps, true},
};

/* --- the end ----------------------------------------------------------------------------------------- */

void diagnosis_drop(struct diagnosis *d)
{
    if (!d)
        return;
    if (d->broker->diagnosis == d)
        d->broker->diagnosis = NULL;
    timer_drop(d->timer);
    diagnose_files_drop(d->files);
    diagnose_hosts_drop(d);
    store_op_drop(d->pages);
    store_op_drop(d->deaths);
    store_op_drop(d->matrix);
    polkit_check_drop(d->allowed);
    polkit_check_drop(d->denied);
    findings_clear(&d->findings);
    free(d);
}

static size_t rank(const char *check)
{
    size_t i = 0;
    while (i < ARRAY_SIZE(checks) && strcmp(checks[i].check, check) != 0)
        i++;
    return i;
}

/* Stable: within a check the rows stay as they came, but that hosts and files answer in any order. */
static int compare(const void *a, const void *b)
{
    const struct finding *x = a, *y = b;
    size_t left = rank(x->check), right = rank(y->check);
    if (left != right)
        return left < right ? -1 : 1;
    return strcmp(x->subject, y->subject);
}

static void finish(struct diagnosis *d)
{
    diagnosis_callback callback = d->callback;
    void *userdata = d->userdata;
    struct findings findings = d->findings;
    d->findings = (struct findings){NULL, 0, false, 0};
    diagnosis_drop(d);
    if (findings.n > 0)
        qsort(findings.items, findings.n, sizeof(*findings.items), compare);
    callback(&findings, userdata);
    findings_clear(&findings);
}

static void on_time_over(void *userdata)
{
    struct diagnosis *d = userdata;
    d->timer = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(d->waits); i++)
        if (d->waits[i].check)
            findings_add(&d->findings, d->waits[i].check, d->waits[i].subject, FINDING_UNKNOWN,
                         "Try again; if it stays so, look at what this depends on.",
                         "gave no answer within %d s", LIMIT_DIAGNOSE_SEC);
    finish(d);
}

/* --- who waits for what ------------------------------------------------------------------------------ */

int diagnosis_wait(struct diagnosis *d, const char *check, const char *subject)
{
    int i = 0;
    while (d->waits[i].check) {
        i++;
        assert(i < DIAGNOSE_WAITS_MAX);
    }
    d->waits[i].check = check;
    (void)snprintf(d->waits[i].subject, sizeof(d->waits[i].subject), "%s", subject);
    d->n_waits++;
    return i;
}

void diagnosis_done(struct diagnosis *d, int wait)
{
    d->waits[wait].check = NULL;
    if (--d->n_waits == 0 && !d->is_starting)
        finish(d);
}

int diagnosis_start(struct broker *broker, const struct identity *caller, diagnosis_callback callback,
                    void *userdata, struct diagnosis **ret)
{
    struct diagnosis *d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    *d = (struct diagnosis){.broker = broker, .caller = caller, .callback = callback, .userdata = userdata};
    d->is_starting = true; /* what fails at once must not end it from within this call */
    for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
        if (checks[i].run && (caller || !checks[i].needs_broker))
            checks[i].run(d);
    d->is_starting = false;
    uint64_t delay = d->n_waits > 0 ? LIMIT_DIAGNOSE_SEC * USEC_PER_SEC : 0;
    int r = timer_start(broker->loop, delay, on_time_over, d, &d->timer);
    if (r < 0) {
        diagnosis_drop(d);
        return r;
    }
    broker->diagnosis = d;
    *ret = d;
    return 0;
}
