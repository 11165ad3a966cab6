/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon's end of the socketpair to lwa-identd, on the loop. A question is a slot: dropping it forgets
 * it. What the daemon asks never waits on anything that a peer controls: lwa-identd bounds each look-up, and
 * beyond LIMIT_IDENTD_ANSWER_SEC the answer is IDENTD_SILENT. When lwa-identd ends, every question is
 * answered IDENTD_LOST, and the owner of the link is told. */

#include "broker/identd-wire.h"
#include "util/cleanup.h"

#include <sys/types.h>
#include <uv.h>

struct identd_link;
struct identd_ask;

/* `answer` is never NULL, has been checked, and holds facts for IDENTD_OK only. The question is gone when
 * this begins. Never runs from within identd_ask(). */
typedef void (*identd_callback)(const struct identd_answer *answer, void *userdata);
typedef void (*identd_lost_callback)(void *userdata);

/* Takes the descriptor over if it succeeds. `lost` runs at most once, after the last answer. */
int identd_link_new(uv_loop_t *loop, int fd, identd_lost_callback lost, void *userdata,
                    struct identd_link **ret) _must_check_;
/* Not from within an answer. Questions that are still open are never answered. */
void identd_link_free(struct identd_link *link);
DEFINE_CLEANUP(struct identd_link, identd_link_free);

/* Who is the process `pid`, which connected to the bus as `uid`? `pidfd` is the bus's own (ProcessFD), which
 * stays the caller's, or -1. `connected_usec` (CLOCK_BOOTTIME) is a time by which the connection was there, 0
 * where that is not known. 0 or a negative errno: -EPIPE once lwa-identd has ended. */
int identd_ask(struct identd_link *link, uid_t uid, pid_t pid, int pidfd, uint64_t connected_usec,
               identd_callback callback, void *userdata, struct identd_ask **ret) _must_check_;
void identd_ask_drop(struct identd_ask *ask);
DEFINE_CLEANUP(struct identd_ask, identd_ask_drop);
