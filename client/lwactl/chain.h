/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The chain of a decision, as org.lwabroker.Policy1.Explain tells it, in lines for a person. */

#include "client/lwactl/values.h"

/* The exit code that the outcome has: that of the error which GetToken would give. */
int chain_code(struct json_object *chain);

/* Prints the outcome in a line, the chain in numbered ones, and what to do. `scopes` are those asked for. The
 * chain's strings must be safe. 0 or -ENOMEM. */
int chain_print(struct json_object *chain) _must_check_;
