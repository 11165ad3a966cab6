/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The wall clock of a device may not be set yet, or be wrong. Nothing of ours is timed by it, but no
 * certificate is valid then. This notices when it is set, and knows times that it cannot be before: that of
 * this version, and those that the store has seen. */

#include "util/cleanup.h"

#include <stdint.h>
#include <uv.h>

struct wallclock;

typedef void (*wallclock_callback)(void *userdata);

/* The callback runs from the loop each time the clock is set, and when the device wakes up. */
int wallclock_new(uv_loop_t *loop, wallclock_callback callback, void *userdata,
                  struct wallclock **ret) _must_check_;
void wallclock_free(struct wallclock *w);

/* It was at least this late once. NULL: nothing is known. */
void wallclock_note(struct wallclock *w, int64_t sec);
/* False where it is known to be wrong. */
bool wallclock_is_plausible(const struct wallclock *w);
