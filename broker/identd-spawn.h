/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Gets the daemon its lwa-identd, before it knows a secret: from systemd, which starts it in a unit of its
 * own for whoever connects to a socket, or else as a child, while the daemon still has the capabilities that
 * it is for. */

#include "util/cleanup.h"

#define IDENTD_N_CAPABILITIES 2
extern const unsigned identd_capabilities[IDENTD_N_CAPABILITIES];

/* Connects to `path` where that is a socket; else runs the program `path` as `user` (or as who we are, unless
 * we are root). Waits until lwa-identd has said that it is ready. *ret_fd is the daemon's end of the pair. A
 * negative errno when it does not get there: the log says why. */
int identd_get(const char *path, const char *user, int *ret_fd) _must_check_;
