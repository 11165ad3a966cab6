/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What GetToken would answer to an app, and why. It is GetToken itself that is run (gettoken.h), for a
 * stand-in of the app, up to where a token would be seen to: nobody is asked, nothing is refreshed, handed
 * out or recorded. */

#include "broker/app-facts.h"
#include "broker/gettoken.h"
#include "broker/permit.h"

struct explain {
    struct call *call;
    struct permit permit;
    char app[IDENTITY_APP_SIZE];   /* "" for the one that calls */
    char user[IDENTITY_USER_SIZE]; /* as named; "" for none */
    uid_t uid;                     /* of that user, as the caller says; (uid_t)-1 for nothing */
    struct app_facts facts;
    const char *polkit_subject; /* app, caller, none */
    struct peer stand_in;
    struct get_token get_token;

    /* What came of it. */
    enum bus_error result;    /* BUS_OK: a token */
    struct scope_set missing; /* that the answer names */
};

/* Goes through GetToken and ends the call with the chain. `asked` and `account_name` of get_token are set. */
void explain_run(struct explain *e);

/* --- explain-rows.c ---------------------------------------------------------------------------------- */

/* The chain, as an a{sv}. */
void explain_write(struct explain *e, struct writer *w);
/* Why the broker's own verdict about a scope is what it is. */
void explain_find(const struct explain *e, int scope, struct table_finding *ret);
/* yes, no, challenge, unavailable, not-asked: what polkit says of a scope. */
const char *explain_polkit_word(const struct explain *e, int scope);

/* --- explain-advice.c -------------------------------------------------------------------------------- */

/* Sentences: what is missing, and what to do. */
int explain_advise(const struct explain *e, struct strv *ret) _must_check_;
