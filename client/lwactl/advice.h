/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What to do after the broker refused this program: the commands, with the app that it takes the program for.
 * A person who tries what an app does need not know what the app is called. */

#include "client/lwactl/bus.h"

/* Whether there may be any about this error. */
bool advice_exists(enum bus_error error);
/* For what the caller asked for as an app: `scopes` and `account` of the context. Prints a hint; false when
 * there is none to give, or the broker does not say who this is, as in a sandbox. */
bool advice_print(struct bus *bus, enum bus_error error, const struct bus_context *context);
/* Whether the account that the caller's request is about is the device's; false where the broker does not
 * say. */
bool advice_is_about_device(struct bus *bus, const struct bus_context *context);
