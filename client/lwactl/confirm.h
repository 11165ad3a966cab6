/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Asks the person at the terminal before something that cannot be undone. */

#include "util/cleanup.h"

/* CTL_OK for a yes. `question` is printed with " [y/N] " behind it, made safe; `what` says in the error of a
 * program that is not at a terminal what it could not be asked about, `undone` what a no leaves. */
int confirm(const char *question, const char *what, const char *undone) _must_check_;
