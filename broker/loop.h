/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What libuv would abort() for if memory ended in the middle of work is done at start: its table of watched
 * descriptors is made large enough, and its workers are started. */

#include "util/cleanup.h"

#include <uv.h>

/* 0 or a negative errno. Blocks until the workers run. */
int loop_prepare(uv_loop_t *loop) _must_check_;
