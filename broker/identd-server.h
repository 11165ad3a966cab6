/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The parent of the look-ups: takes the daemon's requests, gives each to a child, passes on what it found. It
 * reads nothing of any process itself, and never waits for anything but the next event.
 *
 * A child that takes too long is killed and given up. It may live on for as long as a file system does not
 * answer, whatever signal it gets: so nobody waits for it, and it counts against its user until it is gone.
 */

#include "broker/identd-look.h"

/* Says that it is ready, and serves until the other end is closed. 0, or a negative errno. In both cases its
 * children have been killed, and the process should end without waiting for them. */
int identd_serve(int socket, const struct identd_host *host) _must_check_;
