/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The methods of org.lwabroker.Policy1, each in the file of its kind; policy1.c has their table. All of them
 * are closed to sandboxes. What concerns the caller's own uid and accounts needs no action of polkit's,
 * unless it gives an app something; what concerns others needs policy.manage. */

#include "broker/call.h"

/* Answers InvalidArgument and returns false for what names no app, and no account. */
bool policy1_check_app(struct call *call, const char *app);
bool policy1_check_account(struct call *call, const char *account);

void policy1_begin_reload(struct call *call);
