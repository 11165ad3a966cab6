/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Completions of shells, made from the tables of commands and options while building: `lwactl completion
 * bash` and `zsh`, which no help lists. What they offer are words of these tables, files, and the scopes of
 * the catalogue, which they read: a key press must not ask the broker, which may ask a person. */

#include "client/lwactl/options.h"

/* What is asked for is in argv[1]. Returns the exit code; everything has been said. */
int completion_run(int argc, char **argv, const struct command *const *commands, size_t n_commands);
