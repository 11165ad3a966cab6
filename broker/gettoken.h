/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of GetToken share: gettoken.c reads, decides and finds the account, gettoken-grant.c finds
 * the grant, gettoken-token.c sees to a token, its record and its delivery, gettoken-answer.c words what else
 * there is to say. */

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/disclosure.h"
#include "broker/handlers.h"

#define LIFETIME_UNKNOWN_SEC 3600 /* of Amazon's tokens, until one was seen */

struct get_token {
    struct call *call;
    struct scope_set asked;                          /* canonical */
    char account_name[LWA_ACCOUNT_ID_BYTES_MAX + 1]; /* "" when not named */
    uint32_t min_valid_sec;
    struct scope_set refused; /* extras that polkit refused: grants that may carry them are passed over */
    unsigned restarts;
    int64_t used_account;  /* the consents to these scopes of this account (its row) were given once, and */
    struct scope_set used; /* this call used them up: to it they count to its end */

    /* Of the present pass. */
    uint64_t epoch; /* of the policy that it rests on */
    struct authorize_question question;
    struct account *account;
    struct grant *grant;
    int64_t grant_row;
    const char *decided_by;

    /* What it waits for: at most one of these. */
    struct authorize_wait *authorize_wait;
    struct renewal_wait *renewal_wait;
    struct disclosure_wait *disclosure_wait;
    int64_t using_account; /* with disclosure_wait: what will be used up */
    struct scope_set using;
};

struct account *get_token_find_account(struct get_token *g);
/* What this call has used up of the present account's consents. */
struct scope_set get_token_used(const struct get_token *g);
/* Begins a pass. */
void get_token_decide(struct get_token *g);
/* Goes back to the start of the pass; a world that will not stand still is not waited for. */
void get_token_start_over(struct get_token *g);

/* The question about what was asked was answered yes. */
void get_token_choose_grant(struct get_token *g);
/* After a wait: is the grant that this pass chose still there, under the same policy? */
bool get_token_is_grant_valid(struct get_token *g);
/* All that the grant's token may carry may be given to this app. */
void get_token_ensure_token(struct get_token *g);

/* --- answers: each ends the call, and is on the trail ------------------------------------------------ */

/* With a sentence that names the scopes between its two parts. */
void get_token_fail_scopes(struct get_token *g, enum bus_error error, const char *decided_by,
                           struct scope_set scopes, const char *before, const char *after);
/* The sentence ends with the command that makes a login of the same owner. */
void get_token_ask_for_login(struct get_token *g, enum bus_error error, const char *decided_by,
                             struct scope_set scopes, const char *sentence);
/* Anything but a yes. */
void get_token_fail_answer(struct get_token *g, const struct authorize_answer *answer);
