/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whose process is at the other end of a connection over the loopback: TCP carries no credentials, but the
 * kernel notes the owner of each socket, and tells it (sock_diag(7), /proc/net/tcp). */

#include "util/cleanup.h"

#include <sys/types.h>

#define PEER_UIDS_MAX 4

struct peer_uids {
    uid_t uids[PEER_UIDS_MAX];
    size_t n;
};

/* The caller and root. For root also the person behind it: who called sudo, and who owns the terminal. */
struct peer_uids peer_uids_allowed(void);
/* False, too, when it cannot be found out, or when the other end has closed its socket: then it has no owner
 * any more. */
bool peer_uid_is_allowed(int fd, const struct peer_uids *allowed);
