/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Waits until polkitd has had the chance to notice what was written into its rules just before. polkitd
 * watches its folders itself and offers no way to ask it to look:
 *
 * 1. A question that it answers in its main loop: by then it is not behind with older things.
 * 2. A pause, longer than the watch of its library (GIO) holds an event back.
 * 3. The question again: what the watch has queued is read before, or along with, it.
 *
 * Each step has a time-out; a polkitd that does not answer reads its rules when it starts again, and until
 * then says yes to nobody. */

#include "broker/bus.h"

struct polkit_settle;

/* The callback never runs from within this call; the slot is gone when it begins. */
int polkit_settle(uv_loop_t *loop, struct bus *bus, void (*callback)(void *userdata), void *userdata,
                  struct polkit_settle **ret) _must_check_;
void polkit_settle_drop(struct polkit_settle *s);
DEFINE_CLEANUP(struct polkit_settle, polkit_settle_drop);
