/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/audit-offline.h"
#include "broker/audit-text.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

typedef const struct audit_verify_report report_t;

static void print_time(int64_t sec)
{
    char text[40] = "";
    time_t time = (time_t)sec;
    struct tm tm;
    if (gmtime_r(&time, &tm))
        (void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm);
    (void)printf("%s", *text ? text : "a time that cannot be");
}

static void print_verdict(report_t *r)
{
    if (r->n_damage == 0)
        (void)puts("The trail is intact, as far as it can be known.");
    else
        (void)printf("THE TRAIL IS DAMAGED: %u finding%s", r->n_damage, r->n_damage == 1 ? "" : "s");
    if (r->n_damage > 0 && r->first_damage > 0)
        (void)printf(", the first at record %" PRId64 ".\n", r->first_damage);
    else if (r->n_damage > 0)
        (void)puts(".");
    if (r->n_records == 0)
        return;
    (void)printf("\n  %" PRIu64 " records, %" PRId64 " to %" PRId64 "; the last is of ", r->n_records,
                 r->first, r->last);
    print_time(r->last_time_sec);
    (void)printf(", in epoch %" PRIu64 ".\n", r->last_epoch);
}

/* --- what was found ---------------------------------------------------------------------------------- */

static void print_findings(report_t *r, bool damage, const char *heading)
{
    unsigned n = 0;
    for (unsigned i = 0; i < r->n_findings; i++) {
        const struct audit_finding *finding = &r->findings[i];
        if (audit_finding_is_damage(finding->kind) != damage)
            continue;
        if (n++ == 0)
            (void)printf("\n%s\n", heading);
        (void)printf("  %-9s  %s\n", audit_finding_name(finding->kind), finding->text);
    }
    if (damage && r->n_damage > n)
        (void)printf("  and %u more\n", r->n_damage - n);
}

/* --- what is proven ---------------------------------------------------------------------------------- */

static void print_proven(report_t *r, const struct audit_verify_options *options)
{
    const char *but = r->n_damage > 0 ? ", but for what is told above" : "";
    (void)puts("\nWhat is proven");
    if (r->head_found)
        (void)printf("  Record %" PRId64
                     " is the one that was noted: it and all before it are as they were then%s.\n",
                     options->head.sequence, but);
    if (r->n_proven > 0)
        (void)printf(
            "  %" PRIu64 " records, of epochs %" PRIu64 " to %" PRIu64 ", were sealed in their epoch%s:\n"
            "  nobody who took over the machine later can have changed, added, removed or moved them.\n",
            r->n_proven, r->first_proven_epoch, r->last_proven_epoch, but);
    if (r->n_records > r->n_unchained)
        (void)printf("  The hashes link each record to the one before%s:\n"
                     "  nobody changed it who could not also compute all later hashes anew.\n",
                     but);
    if (r->n_records == r->n_unchained)
        (void)puts("  Nothing: there is no record that has a hash.");
}

/* --- what is not ------------------------------------------------------------------------------------- */

static void print_secret_limits(report_t *r, const struct audit_verify_options *options)
{
    uint64_t from = options->key ? options->key->epoch : 0;
    switch (r->key) {
    case AUDIT_VERIFY_KEY_NONE:
        (void)puts(
            "  Whether all hashes were computed anew, by someone who could write to the database: only the\n"
            "  verification secret tells, which `lwactl audit setup` showed once (--secret).");
        break;
    case AUDIT_VERIFY_KEY_UNUSED:
        (void)printf("  Anything that the secret would prove: it is for epochs from %" PRIu64
                     " on, and no record is\n"
                     "  of one of these. It is of a later setup, or what it is for is missing.\n",
                     from);
        break;
    case AUDIT_VERIFY_KEY_OTHER:
        (void)puts(
            "  Anything that a secret would prove: not one seal fits this one. It is the secret of another\n"
            "  machine or setup; or somebody has put another trail in the place of this one.");
        break;
    case AUDIT_VERIFY_KEY_FITS:
        if (r->first_proven_epoch > 1)
            (void)printf("  Whether records of before epoch %" PRIu64
                         " are true: that is for the secret of an earlier\n"
                         "  setup to tell.\n",
                         r->first_proven_epoch);
        if (r->last_proven_epoch < r->last_epoch)
            (void)printf("  Whether records of after epoch %" PRIu64
                         " are true: that is for the secret of a later\n"
                         "  setup to tell. Was there one then?\n",
                         r->last_proven_epoch);
        else
            (void)printf("  Whether records of epoch %" PRIu64
                         ", the last one, were written by who took over the machine\n"
                         "  while it lasted.\n",
                         r->last_epoch);
        break;
    }
}

static void print_limits(report_t *r, const struct audit_verify_options *options)
{
    (void)puts("\nWhat cannot be known");
    print_secret_limits(r, options);
    if (r->n_unchained > 0)
        (void)printf("  Whether %" PRIu64 " records of before the trail was chained are true or complete.\n",
                     r->n_unchained);
    if (options->head.sequence == 0)
        (void)puts(
            "  Whether records are missing at the end: --head tells, with a head that was noted elsewhere.");
    else
        (void)printf("  Whether records are missing at the end, after record %" PRId64 ".\n",
                     options->head.sequence);
}

static void print_head(report_t *r)
{
    if (r->n_records == r->n_unchained || r->n_damage > 0)
        return;
    char text[AUDIT_HEAD_TEXT_SIZE];
    struct audit_head head = {.sequence = r->last};
    memcpy(head.hash, r->last_hash, sizeof(head.hash));
    audit_head_format(&head, text);
    (void)printf("\nNote this elsewhere; with --head it proves all up to here the next time:\n  %s\n", text);
}

void audit_offline_report(const struct audit_verify_report *report,
                          const struct audit_verify_options *options)
{
    print_verdict(report);
    print_findings(report, true, "Damage");
    print_findings(report, false, "Worth knowing");
    print_proven(report, options);
    print_limits(report, options);
    print_head(report);
}
