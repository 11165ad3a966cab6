/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who asks, as policy sees it: what the kernel and the bus vouch for, found out by broker/identity.h. Pure.
 */

#include <stdbool.h>
#include <sys/types.h>

enum subject_kind {
    SUBJECT_USER,
    SUBJECT_SYSTEM_UNIT,
    SUBJECT_FLATPAK,
    SUBJECT_SNAP,
    SUBJECT_UNKNOWN, /* in a sandbox that nothing names: never given anything */
};

/* What someone must control to fake it, the weakest first. */
enum subject_strength {
    STRENGTH_ASSERTED, /* any process of the user can */
    STRENGTH_UID,
    STRENGTH_SANDBOX, /* tells sandboxed apps from each other; any process of the user outside can fake it */
    STRENGTH_UNIT,
    STRENGTH_LABEL,
};

struct subject {
    const char *app;  /* names the app: "flatpak:org.example.Player", "user:musicd", "uid:20001" */
    const char *user; /* the UNIX user's name, "" without one */
    const char *exe;  /* path of the program, a fact that only narrows; "" where it is not known */
    uid_t uid;
    enum subject_kind kind;
    enum subject_strength strength;
    bool is_pinned; /* the process looked at is surely the one that connected */
};

/* "user", "unit", "flatpak", "snap", "unknown" */
const char *subject_kind_name(enum subject_kind kind);
/* "asserted", "uid", "sandbox", "unit", "label" */
const char *subject_strength_name(enum subject_strength strength);
/* The strength of that name, or -1. */
int subject_strength_from_name(const char *name);
/* Whether this is a uid of the system's and not of a person: 0 to 999, and systemd's dynamic users. */
bool subject_is_system_uid(uid_t uid);
