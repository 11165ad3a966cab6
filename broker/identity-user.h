/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The name of a uid. A worker looks it up: the name service may ask a server that does not answer, so at most
 * LIMIT_IDENTITY_LOOKUPS workers do so at once, and the rest wait for their turn in our queue.
 *
 * A look-up that is dropped while its worker runs is only marked: the worker's own memory is freed when it
 * comes back, however late that is. */

#include "util/cleanup.h"

#include <sys/types.h>

struct broker;
struct user_lookup;

/* `name` is "" for a uid without a usable one, and NULL when it could not be told. */
typedef void (*user_callback)(const char *name, void *userdata);

/* The callback never runs from within this call; the look-up is gone when it begins. */
int user_look_up(struct broker *broker, uid_t uid, user_callback callback, void *userdata,
                 struct user_lookup **ret) _must_check_;
void user_lookup_drop(struct user_lookup *l);
DEFINE_CLEANUP(struct user_lookup, user_lookup_drop);
