/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Starts lwa-identd, while the daemon still has the capabilities that it is for, and knows no secret yet. */

#include "util/cleanup.h"

#define IDENTD_N_CAPABILITIES 2
extern const unsigned identd_capabilities[IDENTD_N_CAPABILITIES];

/* Runs the program `path` as `user` (or as who we are, unless we are root), and waits until it has said that
 * it is ready. *ret_fd is the daemon's end of the pair. A negative errno when it does not get there: the log
 * says why. */
int identd_spawn(const char *path, const char *user, int *ret_fd) _must_check_;
