/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A one-shot timer as a slot: dropping it stops it.
 *
 * Time is CLOCK_BOOTTIME, as all deadlines of the broker are. A timer of libuv's stands still while the
 * device sleeps, so that what fell due then would come late by as long as the sleep was. All timers of a loop
 * share one timerfd, which exists for as long as there is a timer. Those that are due run in the order of
 * their times, then of their starts; one that is started meanwhile waits for the next round of the loop. */

#include "util/cleanup.h"

#include <stdint.h>
#include <uv.h>

struct timer;

typedef void (*timer_callback)(void *userdata);

/* The timer is gone when its callback begins: clear your pointer first thing in it. 0 or a negative errno.
 * One that is started in a callback takes the memory of the one that has run, so that what repeats does not
 * end for want of it. loop->data belongs to this module. */
int timer_start(uv_loop_t *loop, uint64_t delay_usec, timer_callback callback, void *userdata,
                struct timer **ret) _must_check_;
void timer_drop(struct timer *t);
DEFINE_CLEANUP(struct timer, timer_drop);
