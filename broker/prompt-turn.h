/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whose turn it is to have a person asked: one app of one user puts one question at a time, however many
 * calls it makes. Who comes while a turn is taken waits until it ends and then looks anew, since the answer
 * may be his too. After a question that a person has turned down, or a few that its callers left before
 * anyone could answer, so that the window comes and goes, the app is not given a turn for a while, nor are
 * the other apps of a user whose apps were turned down again and again: whoever runs programs of that user
 * can call them what he likes. */

#include "broker/identity.h"
#include "broker/limits.h"
#include "util/list.h"

#include <stdint.h>

struct prompt_turn;
struct prompt_wait;

struct prompt_pause {
    char app[IDENTITY_APP_SIZE];
    uid_t uid;
    uint64_t until_usec; /* 0: the place is free */
    unsigned n_left;     /* questions; from LIMIT_PROMPTS_LEFT on it is a pause */
};

struct prompt_turns {
    struct list taken; /* struct prompt_turn */
    struct prompt_pause pauses[LIMIT_PROMPT_PAUSES];
};

typedef void (*prompt_wait_callback)(void *userdata);

void prompt_turns_init(struct prompt_turns *t);

enum { PROMPT_TURN_TAKEN = 1, PROMPT_TURN_E_PAUSED = 2 };

/* PROMPT_TURN_TAKEN with *ret. PROMPT_TURN_E_PAUSED. 0 with *ret_wait: another call has the turn, and the
 * callback will run when it ends; the wait is gone when it begins. Or -ENOMEM. */
int prompt_turn_take(struct prompt_turns *t, const struct identity *who, uint64_t now_usec,
                     prompt_wait_callback callback, void *userdata, struct prompt_turn **ret,
                     struct prompt_wait **ret_wait) _must_check_;
/* A person has said no, or could not prove to be who was asked: the pause begins. */
void prompt_turn_pause(struct prompt_turn *turn, uint64_t now_usec);
/* Whoever asked leaves before there is an answer. */
void prompt_turn_leave(struct prompt_turn *turn, uint64_t now_usec);
/* Ends it; those who wait are called. */
void prompt_turn_drop(struct prompt_turn *turn);
DEFINE_CLEANUP(struct prompt_turn, prompt_turn_drop);
void prompt_wait_drop(struct prompt_wait *wait);
DEFINE_CLEANUP(struct prompt_wait, prompt_wait_drop);
