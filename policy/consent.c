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

struct scope_set consent_needed_once(const struct catalogue *c, const struct consent_answers *answers,
                                     const struct verdicts *v, struct scope_set scopes)
{
    struct scope_set needed = SCOPE_SET_EMPTY;
    struct consent_answers lasting = *answers;
    struct verdicts without = *v;
    lasting.allow = scope_set_minus(answers->allow, answers->once);
    verdicts_apply_consent(c, &lasting, &without);
    struct scope_set missing = scope_set_minus(scopes, without.allow);
    for (int i = scope_set_next(&answers->once, 0); i >= 0; i = scope_set_next(&answers->once, i + 1)) {
        struct scope_set one = SCOPE_SET_EMPTY;
        scope_set_add(&one, i);
        if (!scope_set_is_empty(scope_set_intersection(catalogue_expand(c, one), missing)))
            scope_set_add(&needed, i);
    }
    return needed;
}
