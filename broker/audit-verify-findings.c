/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/audit-verify-internal.h"

#include <limits.h>
#include <stdarg.h>

static const char *const names[AUDIT_FINDING_KIND_COUNT] = {
    [AUDIT_FINDING_ALTERED] = "altered",   [AUDIT_FINDING_SEAL] = "seal",
    [AUDIT_FINDING_GAP] = "gap",           [AUDIT_FINDING_ORDER] = "order",
    [AUDIT_FINDING_EPOCH] = "epoch",       [AUDIT_FINDING_TRUNCATED] = "truncated",
    [AUDIT_FINDING_REPEATS] = "repeats",   [AUDIT_FINDING_BASE] = "base",
    [AUDIT_FINDING_UNSEALED] = "unsealed", [AUDIT_FINDING_KEY_LOST] = "key-lost",
    [AUDIT_FINDING_REPORTED] = "reported", [AUDIT_FINDING_CLOCK] = "clock",
    [AUDIT_FINDING_PRUNED] = "pruned",     [AUDIT_FINDING_PARTIAL] = "partial",
};

const char *audit_finding_name(enum audit_finding_kind kind)
{
    return names[kind];
}

bool audit_finding_is_damage(enum audit_finding_kind kind)
{
    return kind < AUDIT_FINDING_CLOCK;
}

int verify_findings_init(struct verify_findings *f, unsigned max)
{
    f->kept = calloc(max > 0 ? max : 1, sizeof(*f->kept));
    f->max = max;
    return f->kept ? 0 : -ENOMEM;
}

void verify_findings_deinit(struct verify_findings *f)
{
    free(f->kept);
}

/* NULL: there is none. Damage takes the place of the last that is none. */
static struct audit_finding *find_place(struct verify_findings *f, enum audit_finding_kind kind)
{
    if (f->n_kept < f->max)
        return &f->kept[f->n_kept++];
    for (unsigned i = f->n_kept; audit_finding_is_damage(kind) && i > 0; i--)
        if (!audit_finding_is_damage(f->kept[i - 1].kind))
            return &f->kept[i - 1];
    return NULL;
}

void verify_findings_add(struct verify_findings *f, enum audit_finding_kind kind, int64_t sequence,
                         const char *format, ...)
{
    if (audit_finding_is_damage(kind)) {
        if (f->n_damage < UINT_MAX)
            f->n_damage++;
        if (sequence > 0 && (f->first_damage == 0 || sequence < f->first_damage))
            f->first_damage = sequence;
    }
    struct audit_finding *finding = find_place(f, kind);
    if (!finding)
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(finding->text, sizeof(finding->text), format, args);
    va_end(args);
    finding->kind = kind;
    finding->sequence = sequence;
}

static int compare(const void *a, const void *b)
{
    const struct audit_finding *x = a, *y = b;
    int x_is_damage = audit_finding_is_damage(x->kind), y_is_damage = audit_finding_is_damage(y->kind);
    if (x_is_damage != y_is_damage)
        return y_is_damage - x_is_damage;
    if (x->sequence != y->sequence)
        return x->sequence < y->sequence ? -1 : 1;
    return (int)x->kind - (int)y->kind;
}

void verify_findings_sort(struct verify_findings *f)
{
    qsort(f->kept, f->n_kept, sizeof(*f->kept), compare);
}
