/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/findings.h"

#include "broker/limits.h"
#include "util/utf8.h"

#include <stdarg.h>
#include <string.h>

static const char *const level_names[FINDING_LEVELS] = {
    [FINDING_OK] = "ok",           [FINDING_NOTE] = "note",       [FINDING_WARNING] = "warning",
    [FINDING_PROBLEM] = "problem", [FINDING_UNKNOWN] = "unknown",
};

const char *finding_level_name(enum finding_level level)
{
    return level_names[level];
}

static void finding_clear(struct finding *finding)
{
    free(finding->subject);
    free(finding->text);
    free(finding->fix);
}

void findings_clear(struct findings *f)
{
    for (size_t i = 0; i < f->n; i++)
        finding_clear(&f->items[i]);
    free(f->items);
    *f = (struct findings){NULL, 0, false, 0};
}

/* A copy that is UTF-8 without controls; NULL when memory is out. */
static char *printable(const char *text)
{
    char *copy = strdup(text ? text : "");
    if (copy)
        utf8_scrub(copy);
    return copy;
}

static int append(struct findings *f, struct finding *finding)
{
    struct finding *bigger = reallocarray(f->items, f->n + 1, sizeof(*bigger));
    if (!bigger)
        return -ENOMEM;
    f->items = bigger;
    f->items[f->n++] = *finding;
    return 0;
}

void findings_add(struct findings *f, const char *check, const char *subject, enum finding_level level,
                  const char *fix, const char *format, ...)
{
    if (f->n == LIMIT_FINDINGS) {
        f->is_cut = true;
        return;
    }
    _cleanup_free_ char *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    struct finding finding = {
        .check = check,
        .level = level,
        .subject = printable(subject),
        .text = text ? printable(text) : NULL,
        .fix = printable(fix),
    };
    if (!finding.subject || !finding.text || !finding.fix || append(f, &finding) < 0) {
        finding_clear(&finding);
        f->error = -ENOMEM;
    }
}
