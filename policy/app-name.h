/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The names that apps can have, of each kind as what vouches for them forms it. A section of grants.d with
 * another name would never fit anyone: it is a typing error, perhaps in a denial. Pure code. */

#include <stdbool.h>

#define APP_NAME_BYTES_MAX 263 /* "flatpak:" and 255 */

/* One of
 *   user:NAME     letters, digits, `.`, `_`, `-`; at most 63
 *   uid:NUMBER    without leading zeros, at most 4294967294
 *   unit:NAME     as systemd has it, of a type that has processes: ".service", ".scope", ".socket", ".mount",
 *                 ".swap"
 *   flatpak:ID    at least two periods; elements of letters, digits and `_` that begin with no digit; `-` in
 *                 the last one only
 *   snap:NAME.APP as snapd has it
 */
bool app_name_is_valid(const char *app);

/* The name or number of a user, as the key `user` has it; a name of digits only is a number. */
bool app_user_is_valid(const char *user);
