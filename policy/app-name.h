/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The names that apps can have, of each kind: the one place with these rules, for the names that are found in
 * /proc and for those that people write. A section of grants.d with another name would never fit anyone: it
 * is a typing error, perhaps in a denial. Pure code. */

#include "policy/subject.h"

/* Which kind of app is named so; -1 for what names no app: one in an unknown sandbox has no name. One of
 *   user:NAME     letters, digits, `.`, `_`, `-`; at most 63
 *   uid:NUMBER    without leading zeros, at most 4294967294
 *   unit:NAME     as systemd has it, of a type that has processes: ".service", ".scope", ".socket", ".mount",
 *                 ".swap"
 *   flatpak:ID    at least two periods; elements of letters, digits and `_` that begin with no digit; `-` in
 *                 the last one only
 *   snap:NAME.APP as snapd has it
 */
int app_kind_from_name(const char *app);

/* The same without the kind: "org.example.Player", "musicd.service", "player.app". */
bool app_flatpak_is_valid(const char *id);
bool app_unit_is_valid(const char *name);
bool app_snap_is_valid(const char *name);

/* The name or number of a user, as the key `user` has it; a name of digits only is a number. */
bool app_user_is_valid(const char *user);
