/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The start of the store: which database and which key, from configuration and command line, and what an
 * administrator is told in the log when it cannot be opened. */

#include "util/cleanup.h"

struct broker;

/* Opens it. 0, or a negative errno that has been logged. Blocks. */
int broker_store_open(struct broker *broker) _must_check_;
/* Whether it could be opened, without a word in the log and without a change; -ENOENT: there is none yet.
 * With anything but 0 a sentence in *ret_why. Blocks. */
int broker_store_check(struct broker *broker, const char **ret_why) _must_check_;
/* Reads the accounts and grants. The same. */
int broker_store_load(struct broker *broker) _must_check_;
/* Says in the log and on the trail what became of the master key. */
void broker_store_tell_key_event(struct broker *broker);
