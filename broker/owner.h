/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who owns an account: a UNIX user, by name and uid together, or the device. */

#include <stdbool.h>
#include <sys/types.h>

#define OWNER_NAME_MAX 64 /* bytes, NUL included; longer user names are not served */

struct owner {
    bool device;
    uid_t uid;                 /* (uid_t)-1 for the device */
    char name[OWNER_NAME_MAX]; /* "" for the device, or for a uid that has no name */
};
