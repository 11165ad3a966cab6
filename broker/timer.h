/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A one-shot timer as a slot: dropping it stops it. libuv frees its handle a round later; this hides that. */

#include "util/cleanup.h"

#include <stdint.h>
#include <uv.h>

struct timer;

typedef void (*timer_callback)(void *userdata);

/* The timer is gone when its callback begins: clear your pointer first thing in it. */
int timer_start(uv_loop_t *loop, uint64_t delay_usec, timer_callback callback, void *userdata,
                struct timer **ret) _must_check_;
void timer_drop(struct timer *t);
DEFINE_CLEANUP(struct timer, timer_drop);
