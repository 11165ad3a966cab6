/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The name of a uid, and the uid of a name. A worker looks it up: the name service may ask a server that does
 * not answer, so at most LIMIT_IDENTITY_LOOKUPS workers do so at once, and the rest wait for their turn in
 * our queue.
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

/* `uid` is (uid_t)-1 when there is no user of this name. False: it could not be told. */
typedef void (*uid_callback)(bool is_told, uid_t uid, void *userdata);

/* The same for a name. */
int user_find(struct broker *broker, const char *name, uid_callback callback, void *userdata,
              struct user_lookup **ret) _must_check_;

void user_lookup_drop(struct user_lookup *l);
DEFINE_CLEANUP(struct user_lookup, user_lookup_drop);
