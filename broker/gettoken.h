/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of GetToken share: gettoken.c reads, decides and finds the account, gettoken-grant.c finds
 * the grant, gettoken-prompt.c has a person asked, gettoken-token.c sees to a token, its record and its
 * delivery, gettoken-answer.c words what else there is to say. */

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/disclosure.h"
#include "broker/handlers.h"
#include "broker/prompt-turn.h"

struct get_token {
    struct call *call;
    struct peer *peer; /* who would get it: the caller, but of a dry run */
    /* A dry run (explain.h) ends with this instead of an answer, where a token would be seen to (BUS_OK) or
     * where one is refused, with the scopes that the refusal names; nothing is recorded. The state may be
     * gone after. */
    void (*ended)(struct get_token *g, enum bus_error error, struct scope_set scopes);
    struct scope_set asked;                          /* canonical */
    char account_name[LWA_ACCOUNT_ID_BYTES_MAX + 1]; /* "" when not named */
    uint32_t min_valid_sec;
    struct scope_set refused; /* extras that polkit refused: grants that may carry them are passed over */
    unsigned restarts;

    /* Where a person may be asked. */
    bool may_prompt;
    unsigned n_consents;
    unsigned n_turns;
    struct prompt_turn *turn; /* while this call may ask */
    /* Consents that count for this call to its end and are remembered nowhere: they were given once and this
     * call used them up, or they rest on a temporary authorisation. Of this account, by its row. */
    struct scope_set agreed;
    int64_t agreed_row;
    /* For what somebody authenticated, as an administrator's rule wants it; for this very question and while
     * polkit's rules do not change. */
    struct scope_set authenticated;
    struct authorize_question authenticated_for;
    uint64_t authenticated_epoch;

    /* Of the present pass. */
    uint64_t epoch;                     /* of the policy that it rests on */
    struct authorize_question question; /* about what was asked */
    struct authorize_question whole;    /* about all that a token would carry, and ... */
    struct authorize_answer answer;     /* ... what came of it, once there is one */
    bool is_answered;
    struct scope_set asking; /* extras that nobody may have without being asked */
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
    struct prompt_wait *turn_wait;
    struct consent_prompt *prompt;
    struct polkit_check *check;
    int check_scope;      /* what the check is about, and ... */
    uint64_t check_epoch; /* ... broker->polkit_epoch when it began */
};

/* Drops what it waits for. */
void get_token_deinit(struct get_token *g);
struct account *get_token_find_account(struct get_token *g);
/* What was agreed to for this call only, of the present account; and adds to it. */
struct scope_set get_token_agreed(const struct get_token *g);
void get_token_agree(struct get_token *g, int64_t account, struct scope_set scopes);
/* Begins a pass. */
void get_token_decide(struct get_token *g);
/* Goes back to the start of the pass; a world that will not stand still is not waited for. */
void get_token_start_over(struct get_token *g);

/* What was asked may be had, or a person may be asked about it. */
void get_token_choose_grant(struct get_token *g);
/* After a wait: is the grant that this pass chose still there, under the same policy? */
bool get_token_is_grant_valid(struct get_token *g);
/* Some of what the grant's token may carry challenges: goes on when all of it may be had. */
void get_token_ask(struct get_token *g);
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
