/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Asks polkit. The protocol:
 *
 * 1. CheckAuthorization with subject system-bus-name of the caller (never a pid), the action and the facts as
 *    details; at most LIMIT_POLKIT_IN_FLIGHT under way. The others wait here, and the users whose checks wait
 *    take turns, so that one who asks for much waits for himself only.
 * 2. Without interaction polkit must answer within LIMIT_POLKIT_TIMEOUT_SEC. With it, polkit answers when a
 *    human has; our own time-out ends that, with CancelCheckAuthorization, as does dropping the check. Such
 *    checks are counted apart, since a user's own agent decides how long they take; what is beyond their
 *    limits is asked without interaction.
 * 3. Anything but a well-formed answer is POLKIT_UNAVAILABLE: no (I5).
 *
 * The owner of polkit's name and its Changed signal are watched: either changing calls `changed`. */

#include "broker/bus.h"
#include "util/strv.h"

struct polkit;
struct polkit_check;

struct polkit_detail {
    const char *key;
    const char *value; /* valid UTF-8 */
};

enum polkit_result {
    POLKIT_YES,
    POLKIT_NO,
    POLKIT_CHALLENGE,   /* somebody would have to authenticate, and nobody was asked */
    POLKIT_CROWDED,     /* the same, since too many questions wait for a person already */
    POLKIT_DISMISSED,   /* the person closed the prompt */
    POLKIT_TIMED_OUT,   /* nobody answered the prompt */
    POLKIT_UNAVAILABLE, /* no polkit, an error, a malformed reply */
};

struct polkit_answer {
    enum polkit_result result;
    bool is_temporary; /* a yes that rests on a temporary authorisation: never to be remembered */
};

typedef void (*polkit_callback)(const struct polkit_answer *answer, void *userdata);

int polkit_new(uv_loop_t *loop, struct bus *bus, void (*changed)(void *userdata), void *userdata,
               struct polkit **ret) _must_check_;
/* All checks must have been dropped. */
void polkit_free(struct polkit *p);
DEFINE_CLEANUP(struct polkit, polkit_free);

/* `uid` is the subject's. `prompt_timeout_sec` 0: no interaction. The callback never runs from within this
 * call; the check is gone when it begins. -EUSERS when too many wait. */
int polkit_check(struct polkit *p, const char *subject, uid_t uid, const char *action,
                 const struct polkit_detail *details, size_t n_details, unsigned prompt_timeout_sec,
                 polkit_callback callback, void *userdata, struct polkit_check **ret) _must_check_;
void polkit_check_drop(struct polkit_check *c);
DEFINE_CLEANUP(struct polkit_check, polkit_check_drop);

/* How many questions may wait for a person, in all and of one user. */
void polkit_set_limits(struct polkit *p, unsigned prompts, unsigned prompts_per_uid);
/* After -EUSERS: when the checks that wait will have been answered. */
uint64_t polkit_wait_usec(const struct polkit *p);

/* Asks polkit which actions it knows (an action it does not know, or one that does not name us as its owner,
 * gives the very error that a foreign subject gives) and compares. polkit_health() tells what was found:
 * "ok", or what is wrong. Runs by itself whenever polkit appears. */
void polkit_set_expected_actions(struct polkit *p, const struct strv *action_ids, const char *owner);
const char *polkit_health(const struct polkit *p);

/* To be called with every signal from the bus. */
void polkit_on_signal(struct polkit *p, DBusMessage *signal);
