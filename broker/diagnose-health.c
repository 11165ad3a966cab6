/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/diagnose-internal.h"

#include <string.h>

/* --- database ---------------------------------------------------------------------------------------- */

static void on_pages(struct store_reply *reply, void *userdata)
{
    struct diagnosis *d = userdata;
    d->pages = NULL;
    if (reply->r == 0)
        findings_add(&d->findings, CHECK_DATABASE, NULL, FINDING_OK, NULL,
                     "can be written, and its pages are sound");
    else if (reply->r == STORE_E_CORRUPT || reply->r == -EUCLEAN)
        findings_add(
            &d->findings, CHECK_DATABASE, NULL, FINDING_PROBLEM,
            "Stop lwa-brokerd and put a copy of the database back, or move it away and log in again.",
            "is damaged: SQLite finds pages of it that are not as they must be");
    else
        findings_add(&d->findings, CHECK_DATABASE, NULL, FINDING_UNKNOWN, "Try again.",
                     "could not be checked: %s", strerrordesc_np(-reply->r));
    diagnosis_done(d, d->wait_pages);
}

void diagnose_database(struct diagnosis *d)
{
    const char *trouble = store_health(d->broker->store);
    if (trouble) {
        findings_add(&d->findings, CHECK_DATABASE, NULL, FINDING_PROBLEM,
                     "Do so, then look again with `lwactl doctor`.", "%s", trouble);
        return;
    }
    d->wait_pages = diagnosis_wait(d, CHECK_DATABASE, "");
    int r = store_pages_query(d->broker->store, d->caller->uid, on_pages, d, &d->pages);
    if (r < 0)
        on_pages(&(struct store_reply){.r = r}, d);
}

void diagnose_trail_health(struct diagnosis *d)
{
    const char *trouble = store_trail_health(d->broker->store);
    if (trouble)
        findings_add(&d->findings, CHECK_TRAIL, NULL, FINDING_PROBLEM, "`lwactl audit verify` tells more.",
                     "%s", trouble);
    else
        findings_add(
            &d->findings, CHECK_TRAIL, NULL, FINDING_OK, NULL,
            "goes on from where it ended, under the key that continues it; `lwactl audit verify` goes "
            "through all of it");
}

/* --- clock ------------------------------------------------------------------------------------------- */

void diagnose_clock(struct diagnosis *d)
{
    if (d->broker->wallclock && !wallclock_is_plausible(d->broker->wallclock))
        findings_add(&d->findings, CHECK_CLOCK, NULL, FINDING_PROBLEM,
                     "Set the clock (`date`), or let systemd-timesyncd do it.",
                     "is not set: it shows a time that is over for sure, at which no certificate is valid");
}
