/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who is asking: facts that the kernel and the bus vouch for, never what a caller says, and the name that
 * follows from them. The ladder, the strongest first (DESIGN.md 5):
 *
 *     snap:NAME.APP  the AppArmor label that the bus took when the connection was made
 *     unit:NAME      the system unit, where the user or the table lets it name the app
 *     flatpak:ID     the .flatpak-info at the root of the process
 *     user:NAME, uid:NUMBER
 *
 * The strongest names the app, the others stay facts. A process in a sandbox that none of them names is an
 * unknown sandbox, and is refused everything: who cannot be told is not its user. */

#include "broker/snap-label.h"
#include "policy/subject.h"
#include "util/cleanup.h"

#define IDENTITY_APP_SIZE 264 /* "flatpak:" and 255 bytes */
#define IDENTITY_USER_SIZE 64
#define IDENTITY_UNIT_SIZE 256
#define IDENTITY_EXE_SIZE 256
#define IDENTITY_FLATPAK_SIZE 256

struct identity {
    /* Facts. */
    char user[IDENTITY_USER_SIZE];       /* the user's name, "" without one */
    char unit[IDENTITY_UNIT_SIZE];       /* "musicd.service": whether or not it names the app; "" outside */
    char exe[IDENTITY_EXE_SIZE];         /* "/usr/bin/player"; "" where it is not known, or longer */
    char flatpak[IDENTITY_FLATPAK_SIZE]; /* "org.example.Player"; "" outside */
    char snap[SNAP_APP_SIZE];            /* "snap:player.app", for SNAP_LABEL_APP */
    enum snap_label label;
    uid_t uid;
    pid_t pid;       /* 0 where it is not known */
    bool is_foreign; /* its root or user namespace is not the host's */
    bool is_pinned;  /* the process looked at is surely the one that connected */

    /* What identity_name() made of them. */
    char app[IDENTITY_APP_SIZE]; /* "user:musicd"; "unknown" for an unknown sandbox */
    enum subject_kind kind;
    enum subject_strength strength;
};

/* The same, for policy; points into it. */
struct subject identity_subject(const struct identity *id);
const char *identity_kind_name(const struct identity *id);     /* "user" */
const char *identity_strength_name(const struct identity *id); /* "uid" */
/* Sandboxed apps have Broker1 and nothing else (I8). A Flatpak in a unit is one, though the unit names it. */
bool identity_is_sandboxed(const struct identity *id);

struct table;

/* Names the app after the facts. A table that says other things can name it otherwise: of a person's process
 * in a system unit it decides whether that names the app. */
void identity_name(struct identity *id, const struct table *table);

struct broker;
struct identity_lookup;

/* With `why` the caller cannot be identified: the answer to it is then no (I5). It says what is missing and
 * what to do, as the end of a sentence. `identity` then has a uid, and is unknown, if that is for reasons of
 * the caller's process, and is NULL if it is for our own. */
typedef void (*identity_callback)(const struct identity *identity, const char *why, void *userdata);

/* Asks the bus and the system who the connection `name` is. Never blocks; the callback never runs from within
 * this call, and the look-up is gone when it begins. */
int identity_look_up(struct broker *broker, const char *name, identity_callback callback, void *userdata,
                     struct identity_lookup **ret) _must_check_;
void identity_lookup_drop(struct identity_lookup *l);
DEFINE_CLEANUP(struct identity_lookup, identity_lookup_drop);
