/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The report's page: its head, the numbers, the state of the trail, and the order of the parts. */

#include "autoconf.h"

#include "client/lwactl/audit-report-style.h"
#include "client/lwactl/audit-report.h"
#include "client/lwactl/html.h"
#include "client/lwactl/text.h"

#include <inttypes.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#define FINDINGS_MAX 20

/* --- head --------------------------------------------------------------------------------------------- */

static void write_host(FILE *out)
{
    char host[256] = "";
    (void)gethostname(host, sizeof(host) - 1);
    html_text(out, *host ? host : "this device");
}

static void write_head(FILE *out)
{
    char host[256] = "";
    (void)gethostname(host, sizeof(host) - 1);
    (void)fputs(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
        "'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"robots\" content=\"noindex\">\n"
        "<meta name=\"color-scheme\" content=\"light dark\">\n<title>Audit report of ",
        out);
    html_plain(out, host);
    (void)fprintf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n", report_style);
}

static void write_title(const struct report *r, FILE *out)
{
    char since[TEXT_TIME_SIZE], now[TEXT_TIME_SIZE];
    const struct passwd *user = getpwuid(geteuid());
    (void)fputs("<header>\n<h1>Which app got what on ", out);
    write_host(out);
    (void)fprintf(out, "</h1>\n<p class=\"muted\">From <time>%s</time> to <time>%s</time>, of %s. Made for ",
                  text_time(r->since_sec, since), text_time(r->now_sec, now),
                  r->own ? "own accounts only" : "all accounts");
    html_text(out, user ? user->pw_name : "?");
    (void)fputs(" by <code>lwactl audit report</code>, from the broker's audit trail.</p>\n</header>\n", out);
}

/* --- whether it can be trusted ------------------------------------------------------------------------ */

static void write_findings(struct json_object *findings, FILE *out)
{
    size_t n = values_count(findings);
    if (n == 0)
        return;
    (void)fputs("<ul>\n", out);
    for (size_t i = 0; i < n && i < FINDINGS_MAX; i++) {
        struct json_object *finding = values_item(findings, i);
        (void)fprintf(out, "<li>Record %" PRIu64 ": ", (uint64_t)values_number(finding, "sequence"));
        html_text(out, values_text(finding, "text"));
        (void)fputs("</li>\n", out);
    }
    if (n > FINDINGS_MAX)
        (void)fprintf(out, "<li>and %zu more</li>\n", n - FINDINGS_MAX);
    (void)fputs("</ul>\n", out);
}

static void write_proof(struct json_object *v, FILE *out)
{
    (void)fprintf(out, "<p>%" PRIu64 " records, %" PRIu64 " to %" PRIu64 ", were read",
                  (uint64_t)values_number(v, "records"), (uint64_t)values_number(v, "first"),
                  (uint64_t)values_number(v, "last"));
    if (values_number(v, "unchained") > 0)
        (void)fprintf(out, "; %" PRIu64 " are of before the trail was chained",
                      (uint64_t)values_number(v, "unchained"));
    if (values_number(v, "removed_up_to") > 0)
        (void)fprintf(out, "; those up to %" PRIu64 " were removed by age or size",
                      (uint64_t)values_number(v, "removed_up_to"));
    (void)fputs(
        ".</p>\n<p class=\"note\">This was checked by the broker on its own machine, without the secret that "
        "is kept elsewhere: who had taken the machine over could have rewritten it. <code>lwactl audit "
        "verify "
        "--secret FILE</code> tells.</p>\n",
        out);
    if (*values_text(v, "head")) {
        (void)fputs("<p class=\"note\">Its head is now <code>", out);
        html_text(out, values_text(v, "head"));
        (void)fputs("</code>; kept elsewhere, it shows later whether the end was cut off.</p>\n", out);
    }
}

static void write_verified(const struct report *r, FILE *out)
{
    struct json_object *v = r->verified;
    if (!v) {
        (void)fprintf(
            out,
            "<section class=\"verdict\" aria-label=\"State of the trail\">\n<p><strong>? The trail was not "
            "verified.</strong> %s</p>\n</section>\n",
            r->own ? "Only who may read all of it can: <code>lwactl audit verify</code>."
                   : "<code>lwactl audit verify</code> does it, and says why if it cannot.");
        return;
    }
    bool is_intact = strcmp(values_text(v, "verdict"), "intact") == 0;
    (void)fprintf(
        out,
        "<section class=\"verdict %s\" aria-label=\"State of the trail\">\n<p><strong class=\"%s\">%s"
        "</strong></p>\n",
        is_intact ? "ok" : "no", is_intact ? "good" : "bad",
        is_intact ? "\xe2\x9c\x93 The trail is intact: no record is missing, altered or out of its order."
                  : "\xe2\x9c\x97 The trail is DAMAGED: do not rely on what follows.");
    write_findings(values_list(v, "findings"), out);
    write_proof(v, out);
    (void)fputs("</section>\n", out);
}

/* --- numbers ------------------------------------------------------------------------------------------ */

static void write_number(FILE *out, uint64_t number, const char *more, const char *words)
{
    (void)fprintf(out, "<div><dt>%s</dt><dd>%" PRIu64 "%s</dd></div>\n", words, number, more);
}

static size_t count_holding_apps(const struct report *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->matrix.n_apps; i++) {
        bool is_one = false;
        for (size_t j = 0; !is_one && j < r->matrix.n_scopes; j++) {
            struct json_object *row = matrix_cell(&r->matrix, i, j);
            is_one = row && matrix_state_of(row, r->now_sec) == MATRIX_HELD;
        }
        n += is_one;
    }
    return n;
}

static void write_numbers(const struct report *r, FILE *out)
{
    const char *more = r->has_more_holders ? "+" : "";
    (void)fputs("<dl class=\"numbers\">\n", out);
    write_number(out, values_count(r->holders), more, "tokens are out now");
    write_number(out, count_holding_apps(r), "", "apps hold one");
    write_number(out, r->n_given, "", "tokens were given to an app");
    write_number(out, r->n_repeats, "", "times the same token again");
    write_number(out, r->n_refused, "", "refusals");
    write_number(out, r->matrix.n_states[MATRIX_UNUSED], "", "scopes an app may have, and did not take");
    (void)fputs("</dl>\n", out);
}

/* ------------------------------------------------------------------------------------------------------ */

void report_write(const struct report *r, FILE *out)
{
    write_head(out);
    write_title(r, out);
    write_verified(r, out);
    (void)fputs("<main>\n", out);
    write_numbers(r, out);
    report_write_holders(r, out);
    report_write_matrix(r, out);
    report_write_timeline(r, out);
    report_write_denials(r, out);
    report_write_changes(r, out);
    (void)fprintf(
        out,
        "</main>\n<footer>\n<p>%" PRIu64 " records of this time were read. Times are of this device's zone. "
        "<code>lwactl audit</code> shows each record, <code>lwactl audit app APP</code> the story of one "
        "app. lwactl %s.</p>\n</footer>\n</body>\n</html>\n",
        r->n_records, PACKAGE_VERSION);
}
