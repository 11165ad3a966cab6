/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What any app can do at the broker, done as any app does it: through the public header of liblwa-client.
 * Functions that return an int return an exit code, and what is not CTL_OK has been said on standard error,
 * with the next step. What only an administrator does is in bus.h. */

#include "client/library/lwa-client.h"
#include "client/lwactl/bus.h"

static inline void lwa_client_freep(struct lwa_client **client)
{
    (void)lwa_client_free(*client);
}

#define _cleanup_client_ _cleanup_(lwa_client_freep)

int app_open(const struct arguments *arguments, struct lwa_client **ret) _must_check_;
/* The scopes as the library takes them. They, and all option values that go to the broker, have been checked
 * to be UTF-8. */
int app_scopes(const struct arguments *arguments, const struct strv *scopes, char **ret) _must_check_;

/* Says what went wrong, by the name of the error, and what to do next. */
int app_report(const struct lwa_error *error, const struct arguments *arguments,
               const struct bus_context *context);
