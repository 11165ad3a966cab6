/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/consent.h"

void verdicts_apply_consent(const struct catalogue *c, const struct consent_answers *answers,
                            struct verdicts *v)
{
    struct scope_set denied =
        answers->denies_all ? catalogue_listed(c) : catalogue_expand_up(c, answers->deny);
    struct scope_set taken = scope_set_intersection(denied, scope_set_union(v->allow, v->ask));
    v->allow = scope_set_minus(v->allow, denied);
    v->ask = scope_set_minus(v->ask, denied);
    struct scope_set given = scope_set_intersection(catalogue_expand(c, answers->allow), v->ask);
    v->allow = scope_set_union(v->allow, given);
    v->ask = scope_set_minus(v->ask, given);
    v->consented = scope_set_union(taken, given);
}
