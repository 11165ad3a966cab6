/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Calls that may wait long, one after another, for a program that is to end at any moment: when it is told to
 * (Ctrl-C, SIGTERM, SIGHUP) and when nobody reads its standard output any more. */

#include "client/lwactl/bus.h"

struct follow {
    struct bus *bus;
    int signal_fd;      /* -1: signals end the program as ever */
    bool has_said_away; /* that the broker is; for who follows what it says */
    bool is_over;       /* nothing more is to be done; `code` is the exit code */
    int code;
};

/* Takes over the signals. CTL_OK, or said. */
int follow_begin(struct follow *f, struct bus *bus) _must_check_;
void follow_end(struct follow *f);

#define _cleanup_follow_ _cleanup_(follow_end)

/* Sends and waits. The answer, which may be an error, or NULL when it is over. The broker is not started for
 * it. */
DBusMessage *follow_call(struct follow *f, DBusMessage *call) _must_check_;
/* Waits this long, or until it is over. */
void follow_pause(struct follow *f, int msec);
