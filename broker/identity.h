/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who is asking: the one interface behind which the ways of naming an app live. What stands
 * here comes from the kernel and the bus, never from what a caller says. Today there is one way: the UNIX
 * user, identity-user.c. */

#include "util/cleanup.h"

#include <sys/types.h>

#define IDENTITY_APP_SIZE 80
#define IDENTITY_USER_SIZE 64

enum identity_kind { IDENTITY_USER };
enum identity_strength { IDENTITY_STRENGTH_UID };

struct identity {
    char app[IDENTITY_APP_SIZE];   /* "user:musicd", or "uid:20001" for a uid without a usable name */
    char user[IDENTITY_USER_SIZE]; /* the user's name, "" without one */
    enum identity_kind kind;
    enum identity_strength strength;
    uid_t uid;
};

const char *identity_kind_name(const struct identity *id);     /* "user" */
const char *identity_strength_name(const struct identity *id); /* "uid" */
/* Sandboxed apps have Broker1 and nothing else (I8). */
bool identity_is_sandboxed(const struct identity *id);

struct broker;
struct identity_lookup;

/* `identity` is NULL when the caller cannot be identified: the answer to it is then no (I5). */
typedef void (*identity_callback)(const struct identity *identity, void *userdata);

/* Asks the bus and the system who the connection `name` is. Never blocks; the callback never runs from within
 * this call, and the look-up is gone when it begins. */
int identity_look_up(struct broker *broker, const char *name, identity_callback callback, void *userdata,
                     struct identity_lookup **ret) _must_check_;
void identity_lookup_drop(struct identity_lookup *l);
DEFINE_CLEANUP(struct identity_lookup, identity_lookup_drop);
