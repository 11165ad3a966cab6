/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Words of commands that a person copies into a shell. What an app or a user is called is nobody's promise: a
 * name with a blank or a semicolon in it must not become a command of its own. */

#include "util/cleanup.h"

/* The word as a shell takes it: itself, or in quotes. NULL when memory is out. */
char *shell_word(const char *word) _must_check_;
/* `lwactl revoke APP`, as one line to copy. `owner` is whose account the app's tokens are of; that of the
 * device and the caller's own need no --user. NULL when memory is out. */
char *shell_revoke(const char *app, const char *owner) _must_check_;
/* `lwactl accounts remove ID`, likewise. Only its owner can remove an account: where that is another user, a
 * comment behind it says who. */
char *shell_remove(const char *account, const char *owner) _must_check_;
