/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a plan (policy/plan.h) of one account is made of: what the table gives its apps, and the logins there
 * are. */

#include "broker/account.h"
#include "broker/limits.h"
#include "policy/plan.h"

struct plan_input {
    struct broker *broker;
    const struct account *account; /* NULL: nobody has logged in yet */
    struct owner owner;
    const char *id;                 /* of the account, or the one that a first login would get */
    struct table_section *sections; /* LIMIT_PLAN_SECTIONS */
    size_t n_sections;
    struct plan_app *apps;
    struct strv names; /* of the apps, as a section's head has them */
    struct plan_grant grants[LIMIT_GRANTS_PER_ACCOUNT];
    const struct grant *of[LIMIT_GRANTS_PER_ACCOUNT];
    size_t n_grants;
};

/* Fills the rest, of one whose broker, account, owner and id are set. 0; -ENOMEM; -E2BIG: more sections are
 * for this account than can be compared with each other on the loop. */
int plan_input_collect(struct plan_input *in) _must_check_;
void plan_input_clear(struct plan_input *in);
