/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What polkit, and with it an administrator's rule, is told about a question: details of the check. One
 * place, so that every check speaks of the same things by the same names. */

#include "broker/polkit.h"
#include "policy/scope.h"

struct authorize_question;
struct peer;

#define POLKIT_FACTS_MAX 16

struct polkit_facts {
    struct polkit_detail details[POLKIT_FACTS_MAX];
    size_t n;
    char *scopes; /* owned */
};

/* Who asks for what, of which account: what is true for every scope. Points into both. */
int polkit_facts_collect(const struct peer *peer, const struct authorize_question *q,
                         struct polkit_facts *ret) _must_check_;
void polkit_facts_clear(struct polkit_facts *f);

void polkit_facts_add(struct polkit_facts *f, const char *key, const char *value);
/* What is known of one scope of the question, and of several as a whole: the least verdict. */
void polkit_facts_add_scope(struct polkit_facts *f, const struct peer *peer,
                            const struct authorize_question *q, int scope);
void polkit_facts_add_verdict(struct polkit_facts *f, const struct authorize_question *q,
                              struct scope_set scopes);
