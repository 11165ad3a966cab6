/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An export of the trail, line by line, as lwa-audit-verify reads it (broker/audit-line.h), into the
 * verifier. */

#include "broker/audit-line.h"
#include "broker/audit-verify.h"
#include "tests/fuzz/fuzz.h"

#define KEPT 4

static void require_record(const struct audit_record *r)
{
    require(r->sequence > 0 && r->time_sec >= 0 && r->grant >= 0 && r->expires_sec >= 0);
    require(r->event < AUDIT_EVENT_COUNT);
    require(r->app && r->kind && r->strength && r->unit && r->program && r->account && r->owner && r->asked &&
            r->carried && r->verdict && r->decided_by && r->chain && r->detail && r->request);
    require(r->epoch <= INT64_MAX && r->repeats <= INT64_MAX && r->repeats_epoch <= INT64_MAX);
}

static void add(struct audit_verify *v, const uint8_t *data, size_t n)
{
    _cleanup_(audit_record_freep) struct audit_record *record = NULL;
    _cleanup_free_ char *exact = malloc(n > 0 ? n : 1);
    require(exact);
    if (n > 0)
        memcpy(exact, data, n);
    int r = audit_line_parse(exact, n, &record);
    require(r == 0 || r == AUDIT_LINE_E_MALFORMED);
    require((r == 0) == (record != NULL));
    if (record) {
        require_record(record);
        require(audit_verify_add(v, record) == 0);
    } else {
        audit_verify_add_unreadable(v, 0);
    }
}

static void require_report(const struct audit_verify_report *report, unsigned n_lines)
{
    unsigned n_damage = 0;
    require(report->n_records == n_lines && report->n_proven + report->n_unchained <= n_lines);
    require(report->n_findings <= KEPT);
    for (unsigned i = 0; i < report->n_findings; i++) {
        require_printable(report->findings[i].text, sizeof(report->findings[i].text));
        n_damage += audit_finding_is_damage(report->findings[i].kind);
        require(n_damage == i + 1 || !audit_finding_is_damage(report->findings[i].kind)); /* damage first */
    }
    require(n_damage == (report->n_damage < KEPT ? report->n_damage : KEPT));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct audit_chain_key key;
    _cleanup_(audit_verify_freep) struct audit_verify *v = NULL;
    struct audit_verify_report report;
    require(audit_chain_key_new(1, &key) == 0);
    struct audit_verify_options options = {
        .is_partial = true, .findings_max = KEPT, .key = n % 2 ? &key : NULL};
    require(audit_verify_new(&options, &v) == 0);
    audit_chain_key_clear(&key);
    unsigned n_lines = 0;
    for (; n > 0; n_lines++) {
        const uint8_t *end = memchr(data, '\n', n);
        size_t length = end ? (size_t)(end - data) : n;
        add(v, data, length);
        data += length + (end != NULL);
        n -= length + (end != NULL);
    }
    require(audit_verify_finish(v, &report) == 0);
    require_report(&report, n_lines);
    return 0;
}
