/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The AppArmor label of a connection, as the bus took it when the connection was made, and the snap's app
 * that it names. Pure. snapd gives every app of a snap a profile of its own, `snap.NAME.APP`; the label
 * counts only when the kernel enforces exactly this profile. A label that is a snap's in any other way
 * (complain mode, two profiles at once, a namespace, a hook) vouches for nothing, but tells that the process
 * is in somebody's hands: it is then an unknown sandbox, and never its user. */

#include "util/cleanup.h"

#define SNAP_APP_SIZE 256 /* "snap:NAME.APP" and its NUL */

enum snap_label {
    SNAP_LABEL_NONE,     /* of no snap: unconfined, another program's profile, another kind of label */
    SNAP_LABEL_APP,      /* *ret_app is set */
    SNAP_LABEL_UNUSABLE, /* a snap's, but not to be relied on; or malformed */
};

/* `bytes` is the bus's LinuxSecurityLabel: the label and one NUL. */
enum snap_label snap_label_read(const unsigned char *bytes, size_t n, char ret_app[static SNAP_APP_SIZE]);
