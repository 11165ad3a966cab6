/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who is asking: the one interface behind which the ways of naming an app live. What stands
 * here comes from the kernel and the bus, never from what a caller says. Today there is one way: the UNIX
 * user, identity-user.c. */

#include "policy/subject.h"
#include "util/cleanup.h"

#define IDENTITY_APP_SIZE 264 /* "flatpak:" and 255 bytes */
#define IDENTITY_USER_SIZE 64
#define IDENTITY_UNIT_SIZE 256
#define IDENTITY_EXE_SIZE 256

struct identity {
    char app[IDENTITY_APP_SIZE];   /* "user:musicd", or "uid:20001" for a uid without a usable name */
    char user[IDENTITY_USER_SIZE]; /* the user's name, "" without one */
    char unit[IDENTITY_UNIT_SIZE]; /* "musicd.service": whether or not it names the app; "" outside */
    char exe[IDENTITY_EXE_SIZE];   /* "/usr/bin/player"; "" where it is not known, or longer */
    enum subject_kind kind;
    enum subject_strength strength;
    uid_t uid;
    pid_t pid;      /* 0 where it is not known */
    bool is_pinned; /* the process looked at is surely the one that connected */
};

/* The same, for policy; points into it. */
struct subject identity_subject(const struct identity *id);
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
