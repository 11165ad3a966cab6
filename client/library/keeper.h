/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Keeps the cache true: what the broker says reaches it, also in a program that never dispatches, and what is
 * about to end is renewed by the dispatch. */

#include "client/library/client.h"

/* To be called before anything that is kept is given: reads what has come, at most each 10 ms, since a kept
 * token is to cost no system call. */
void keeper_look(struct lwa_client *client);
