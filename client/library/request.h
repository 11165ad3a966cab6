/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The calls that were started, as the handle sees them. */

#include "client/library/client.h"

/* Takes in the replies that have come; sends anew what was lost with the connection, if `is_lost`. */
void requests_collect(struct lwa_client *client);
void requests_handle_lost(struct lwa_client *client);
/* Ends those whose time is over. */
void requests_expire(struct lwa_client *client);
/* The number of the arrival of the first answer whose callback is due; UINT64_MAX if there is none. */
uint64_t requests_get_first(const struct lwa_client *client);
/* Calls that callback. */
void requests_deliver_first(struct lwa_client *client);
/* Frees all of them; no callback is called. */
void requests_clear(struct lwa_client *client);
uint64_t requests_get_due_usec(const struct lwa_client *client);
