/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What `lwactl audit report` shows: gathered over the bus page by page (audit-report-data.c), then written as
 * one page of HTML (audit-report-page.c, audit-report-rows.c). Nothing grows with the trail: records are
 * counted into spans of time, and lists keep their newest. Strings are exact; html.h makes them harmless. */

#include "client/lwactl/audit-call.h"
#include "client/lwactl/audit-query.h"
#include "client/lwactl/matrix.h"
#include "client/lwactl/timeline.h"

#define REPORT_DENIALS_MAX 100 /* different ones */
#define REPORT_CHANGES_MAX 50
#define REPORT_HOLDERS_MAX 200

/* Refusals that differ in nothing but their time. */
struct report_denial {
    struct json_object *record; /* the newest of them */
    uint64_t n;
    int64_t first_sec;
};

struct report {
    bool own;
    int64_t now_sec;
    int64_t since_sec;
    struct timeline timeline;
    uint64_t n_records, n_given, n_repeats, n_refused;
    struct json_object *rows; /* of the matrix */
    struct matrix matrix;
    struct json_object *holders; /* tokens that are out */
    bool has_more_holders;       /* than the list has room for */
    struct report_denial denials[REPORT_DENIALS_MAX];
    size_t n_denials;
    uint64_t n_denials_left_out;                     /* refusals, not groups */
    struct json_object *changes[REPORT_CHANGES_MAX]; /* a ring */
    uint64_t n_changes;
    struct json_object *verified; /* Verify's result; NULL: it could not be asked for */
};

/* The report is zeroed but for the first three. CTL_OK, or an exit code: said. */
int report_gather(struct report *r, struct bus *bus) _must_check_;
void report_deinit(struct report *r);
#define _cleanup_report_ _cleanup_(report_deinit)

/* Writes the page. A write that fails is seen in the stream's error. */
void report_write(const struct report *r, FILE *out);

/* --- parts of the page (audit-report-rows.c) -------------------------------------------------------------
 */

void report_write_holders(const struct report *r, FILE *out);
void report_write_matrix(const struct report *r, FILE *out);
void report_write_denials(const struct report *r, FILE *out);
void report_write_changes(const struct report *r, FILE *out);
void report_write_timeline(const struct report *r, FILE *out);
