/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where the answer of an authorization request comes from: a browser on the loopback, or a person who pastes
 * it to standard input. */

#include "client/lwactl/listener.h"

#define ANSWERS_FDS_MAX LISTENER_FDS_MAX

struct answers {
    struct listener *listener; /* NULL: standard input */
    bool is_open;              /* the address to open has been shown */
    bool is_paused;            /* an answer has been handed in, and nothing was said of it yet */
    char state[REDIRECT_STATE_BYTES_MAX + 1];
    bool has_told_of_stranger;
    unsigned n_refused;
    size_t n;
    char line[REDIRECT_LINE_BYTES_MAX + 1];
};

void answers_clear(struct answers *a);
/* From now on answers to this authorization request are taken. CTL_OK, or an exit code: said. */
int answers_open(struct answers *a, const char *authorize_uri) _must_check_;
size_t answers_poll(const struct answers *a, struct pollfd fds[static ANSWERS_FDS_MAX], int *timeout_msec);

/* Reads what has come. */
enum answers_result {
    ANSWERS_NONE,
    ANSWERS_ONE,     /* *ret is for this login */
    ANSWERS_REFUSED, /* a person gave one that is no good, which has been said: he may try again */
    ANSWERS_OVER,    /* there will be none; *ret_code is the exit code, and it has been said */
};
enum answers_result answers_handle(struct answers *a, struct redirect *ret, int *ret_code) _must_check_;
/* The broker did not take the last one, which has been said. ANSWERS_REFUSED or ANSWERS_OVER. */
enum answers_result answers_refuse(struct answers *a, int *ret_code) _must_check_;
/* True once, when a program of another user has been turned away: it may be a forger, or the browser of a
 * person who wonders why nothing happens. */
bool answers_saw_stranger(struct answers *a);
