/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/syscall-filter.h"

#include <seccomp.h>

static int add(scmp_filter_ctx ctx, uint32_t action, const char *name, unsigned n,
               const struct scmp_arg_cmp *conditions)
{
    int number = seccomp_syscall_resolve_name(name);
    /* A libseccomp that does not know the name was made before the call was: nothing here makes it. */
    return number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add_array(ctx, action, number, n, conditions);
}

static int add_conditions(scmp_filter_ctx ctx, uint32_t action, const struct syscall_condition *conditions,
                          size_t n)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        const struct scmp_arg_cmp fits =
            SCMP_CMP(conditions[i].argument, SCMP_CMP_MASKED_EQ, conditions[i].mask, conditions[i].value);
        r = add(ctx, action, conditions[i].name, 1, &fits);
    }
    return r;
}

static int fill(scmp_filter_ctx ctx, const struct syscall_filter *f)
{
    int r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (r == 0)
        r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree: some are made all the time */
    for (size_t i = 0; r == 0 && i < f->n_allowed; i++)
        r = add(ctx, SCMP_ACT_ALLOW, f->allowed[i], 0, NULL);
    for (size_t i = 0; r == 0 && i < f->n_absent; i++)
        r = add(ctx, SCMP_ACT_ERRNO((uint32_t)f->absent[i].error), f->absent[i].name, 0, NULL);
    if (r == 0)
        r = add_conditions(ctx, SCMP_ACT_ALLOW, f->conditional, f->n_conditional);
    if (r == 0)
        r = add_conditions(ctx, SCMP_ACT_ERRNO(EACCES), f->refused, f->n_refused);
    const struct syscall_condition abort_self = {"tgkill", 0, UINT32_MAX, (uint32_t)getpid()};
    return r < 0 ? r : add_conditions(ctx, SCMP_ACT_ALLOW, &abort_self, 1);
}

int syscall_filter_load(const struct syscall_filter *filter)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!ctx)
        return -ENOMEM;
    int r = fill(ctx, filter);
    if (r == 0)
        r = seccomp_load(ctx);
    seccomp_release(ctx);
    return r;
}
