/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the owner of an account has answered about an app, and what follows from it. Pure code.
 *
 * - A denial is final, whatever the table says: an owner can always keep an app from the own account. Denying
 *   a scope denies all that imply it.
 * - Consent answers an `ask`, of the table or of the default, and nothing else: what an administrator denies
 *   stays denied. Consent to a scope is consent to all that it implies. */

#include "policy/table.h"

struct consent_answers {
    struct scope_set allow;
    struct scope_set once; /* of `allow`: it is used up by being used */
    struct scope_set deny;
    bool denies_all; /* every scope, those of later catalogues too */
};

/* Changes what the table and the default said. */
void verdicts_apply_consent(const struct catalogue *c, const struct consent_answers *answers,
                            struct verdicts *v);

/* Which of the `once` answers a token that may carry `scopes` (expanded) needs: without them something of it
 * would not be allowed. `v` is what the table and the default said. */
struct scope_set consent_needed_once(const struct catalogue *c, const struct consent_answers *answers,
                                     const struct verdicts *v, struct scope_set scopes);
