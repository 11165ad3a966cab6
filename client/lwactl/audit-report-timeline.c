/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The report's picture: a bar up for what was given in each span of time, one down for what was refused, so
 * that they are told apart without colour; and the numbers as a table. */

#include "client/lwactl/audit-report.h"
#include "client/lwactl/text.h"

#include <inttypes.h>

#define STEP 10 /* of the picture's width, for each span */
#define HEIGHT 100.0
#define MARGIN 2.0
#define LEAST 1.5 /* what is not zero can be seen */

static const char *span_name(const struct timeline *t, int64_t when_sec, char buffer[static TEXT_TIME_SIZE])
{
    char when[TEXT_TIME_SIZE];
    (void)snprintf(buffer, TEXT_TIME_SIZE, "%.*s", t->is_by_day ? 10 : 16, text_time(when_sec, when));
    return buffer;
}

static void write_bar(FILE *out, const char *class, size_t i, double y, double height)
{
    (void)fprintf(out, "<rect class=\"%s\" x=\"%zu\" y=\"%.2f\" width=\"%d\" height=\"%.2f\"/>", class,
                  i * STEP + 1, y, STEP - 2, height);
}

struct scale {
    double axis; /* where the bars begin */
    double each; /* the height of one event */
};

static struct scale scale_of(const struct timeline *t)
{
    uint64_t given = 0, refused = 0;
    for (size_t i = 0; i < t->n_spans; i++) {
        given = t->spans[i].n_given > given ? t->spans[i].n_given : given;
        refused = t->spans[i].n_refused > refused ? t->spans[i].n_refused : refused;
    }
    double all = (double)given + (double)refused, room = HEIGHT - 2 * (MARGIN + LEAST);
    double each = all > 0 ? room / all : 0;
    return (struct scale){.axis = MARGIN + LEAST + (double)given * each, .each = each};
}

static double height_of(const struct scale *scale, uint64_t n)
{
    double height = (double)n * scale->each;
    return height < LEAST ? LEAST : height;
}

static void write_span(const struct timeline *t, const struct scale *scale, size_t i, FILE *out)
{
    const struct timeline_span *span = &t->spans[i];
    char name[TEXT_TIME_SIZE];
    if (span->n_given == 0 && span->n_refused == 0)
        return;
    (void)fprintf(out, "<g><title>%s: %" PRIu64 " given, %" PRIu64 " refused</title>",
                  span_name(t, span->begins_sec, name), span->n_given, span->n_refused);
    if (span->n_given > 0)
        write_bar(out, "given", i, scale->axis - height_of(scale, span->n_given),
                  height_of(scale, span->n_given));
    if (span->n_refused > 0)
        write_bar(out, "refused", i, scale->axis, height_of(scale, span->n_refused));
    (void)fputs("</g>\n", out);
}

static void write_picture(const struct timeline *t, FILE *out)
{
    struct scale scale = scale_of(t);
    char first[TEXT_TIME_SIZE], last[TEXT_TIME_SIZE], middle[TEXT_TIME_SIZE];
    (void)fprintf(out,
                  "<svg viewBox=\"0 0 %zu %.0f\" preserveAspectRatio=\"none\" role=\"img\" "
                  "aria-label=\"Tokens given and "
                  "refused over time; the numbers follow as a table\">\n",
                  t->n_spans * STEP, HEIGHT);
    for (size_t i = 0; i < t->n_spans; i++)
        write_span(t, &scale, i, out);
    (void)fprintf(out, "<line class=\"axis\" x1=\"0\" x2=\"%zu\" y1=\"%.2f\" y2=\"%.2f\"/>\n</svg>\n",
                  t->n_spans * STEP, scale.axis, scale.axis);
    (void)fprintf(
        out,
        "<div class=\"scale\" aria-hidden=\"true\"><span>%s</span><span>%s</span><span>%s</span></div>\n",
        span_name(t, t->spans[0].begins_sec, first),
        t->n_spans > 2 ? span_name(t, t->spans[t->n_spans / 2].begins_sec, middle) : "",
        t->n_spans > 1 ? span_name(t, t->spans[t->n_spans - 1].begins_sec, last) : "");
}

static void write_table(const struct timeline *t, FILE *out)
{
    char name[TEXT_TIME_SIZE];
    (void)fprintf(
        out, "<details>\n<summary>The numbers</summary>\n<table role=\"table\" class=\"spans\">\n<thead "
             "role=\"rowgroup\"><tr role=\"row\"><th scope=\"col\" role=\"columnheader\">From</th><th "
             "scope=\"col\" role=\"columnheader\">Given</th><th scope=\"col\" role=\"columnheader\">Refused"
             "</th></tr></thead>\n<tbody role=\"rowgroup\">\n");
    for (size_t i = 0; i < t->n_spans; i++)
        if (t->spans[i].n_given > 0 || t->spans[i].n_refused > 0)
            (void)fprintf(
                out,
                "<tr role=\"row\"><th scope=\"row\" role=\"rowheader\">%s</th><td role=\"cell\"><span "
                "class=\"label\">Given</span><span>%" PRIu64 "</span></td><td role=\"cell\"><span "
                "class=\"label\">Refused</span><span>%" PRIu64 "</span></td></tr>\n",
                span_name(t, t->spans[i].begins_sec, name), t->spans[i].n_given, t->spans[i].n_refused);
    (void)fputs("</tbody>\n</table>\n</details>\n", out);
}

void report_write_timeline(const struct report *r, FILE *out)
{
    const struct timeline *t = &r->timeline;
    uint64_t peak = timeline_peak(t);
    (void)fputs("<section>\n<h2>Over time</h2>\n", out);
    if (peak == 0) {
        (void)fputs("<p>Nothing was given or refused.</p>\n</section>\n", out);
        return;
    }
    (void)fprintf(
        out,
        "<figure>\n<figcaption>Up: tokens given to an app. Down: refusals. A bar is %s %s; the longest "
        "stands for %" PRIu64 ".</figcaption>\n",
        t->name[0] >= '0' && t->name[0] <= '9' ? "for" : "for a", t->name, peak);
    write_picture(t, out);
    write_table(t, out);
    (void)fputs("</figure>\n</section>\n", out);
}
