/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What `lwactl login` shows. On a terminal one line is redrawn in place with the time left; elsewhere lines
 * are added, one per change of state and one per minute. What the login tells is made safe before it is
 * shown. */

#include "client/library/lwa-client.h"
#include "client/lwactl/bus.h"

#include <stdint.h>

enum login_flow { LOGIN_BY_CODE, LOGIN_BY_BROWSER, LOGIN_BY_PASTE, LOGIN_BY_IMPORT, LOGIN_FLOW_COUNT };

enum login_state { LOGIN_STARTING, LOGIN_WAITING, LOGIN_EXCHANGING, LOGIN_PROVING, LOGIN_STATE_COUNT };

struct login_view {
    FILE *out; /* where to show it: standard output, or standard error */
    enum login_flow flow;
    bool wants_qr;
    bool has_shown_notice;
    bool has_shown_address; /* and the code, where there is one */
    bool is_typing;         /* a person types: nothing is redrawn */
    bool is_line_open;      /* the redrawn line is on the screen, without its newline */
    bool is_cancelling;
    enum login_state state;
    uint64_t state_usec; /* since when */
    bool has_said_slow;
    int said_state; /* the last one told in a line of its own, plus one */
    int64_t said_minutes;
    uint64_t deadline_usec; /* boot time; 0: not known */
    char code[64];
    char address[512];
    char *authorize_uri; /* NULL: not known yet */
};

void login_view_clear(struct login_view *v);

/* Takes what is new, and shows what the person needs once it is all known. */
void login_view_update(struct login_view *v, const struct lwa_login *login);
/* Brings the state and the time left up to date. */
void login_view_draw(struct login_view *v);
/* Milliseconds until login_view_draw() has something new. */
int login_view_tick_msec(const struct login_view *v);
/* Says that the browser has been asked to open the address. */
void login_view_opened(struct login_view *v);
/* Says how a browser on another computer can come back to this port. */
void login_view_tell_of_ssh(struct login_view *v, unsigned port);
/* Asks for a line, and redraws nothing until login_view_answered(). */
void login_view_ask(struct login_view *v);
void login_view_answered(struct login_view *v);
void login_view_cancelling(struct login_view *v);
/* Ends the redrawn line, so that something else can be said. */
void login_view_leave(struct login_view *v);
/* Says the outcome, and what to do next; returns the exit code. */
int login_view_finish(struct login_view *v, const struct lwa_login *login, const struct bus_context *context);
