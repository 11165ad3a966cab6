/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Waits on the loopback for the browser that Amazon sends back: a small HTTP server for one login.
 *
 * Who is served: processes of the user who logs in (and root's, which can do all that he can), by the uid
 * that the kernel has noted for the other end of the connection. So nobody else on this device can hand in an
 * answer, nor ask where the login begins; and the address to begin at can be in an argument list, where
 * everyone sees it, since it holds no state.
 *
 * What is served: GET of one path, the callback, with the state of this login; of another, which sends the
 * browser to Amazon; fixed pages, nothing of what was asked. A request that is anything else changes nothing.
 * Connections, their time and all they send are bounded; a stranger who takes all of them only makes the
 * oldest go. */

#include "client/lwactl/redirect.h"

#include <poll.h>

#define LISTENER_PATH "/lwa-callback"
#define LISTENER_BEGIN_PATH "/lwa-login"
#define LISTENER_CONNECTIONS_MAX 8
#define LISTENER_FDS_MAX (LISTENER_CONNECTIONS_MAX + 1)

struct listener;

/* port 0: any that is free. 0 or a negative errno. */
int listener_new(unsigned port, struct listener **ret) _must_check_;
void listener_free(struct listener *l);
DEFINE_CLEANUP(struct listener, listener_free);

/* Where Amazon is to send the browser, and where the browser is to begin. They live as long as the listener.
 */
const char *listener_redirect_uri(const struct listener *l);
const char *listener_begin_uri(const struct listener *l);
unsigned listener_port(const struct listener *l);
/* From now on browsers are sent there, and an answer with this state is taken. 0 or -ENOMEM. */
int listener_expect(struct listener *l, const char *authorize_uri, const char *state) _must_check_;

/* Fills in what to poll for; returns how many. *timeout_msec is lowered to when listener_handle() is due. */
size_t listener_poll(const struct listener *l, struct pollfd fds[static LISTENER_FDS_MAX], int *timeout_msec);
/* Serves what has come. True when there is an answer with the right state. */
bool listener_handle(struct listener *l, struct redirect *ret);
/* Whether a browser of another user has been turned away since this was last asked. */
bool listener_saw_stranger(struct listener *l);
