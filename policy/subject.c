/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/subject.h"

#include "util/cleanup.h"

#include <string.h>

static const char *const kinds[] = {
    [SUBJECT_USER] = "user", [SUBJECT_SYSTEM_UNIT] = "unit", [SUBJECT_FLATPAK] = "flatpak",
    [SUBJECT_SNAP] = "snap", [SUBJECT_UNKNOWN] = "unknown",
};

static const char *const strengths[] = {
    [STRENGTH_ASSERTED] = "asserted", [STRENGTH_UID] = "uid",     [STRENGTH_SANDBOX] = "sandbox",
    [STRENGTH_UNIT] = "unit",         [STRENGTH_LABEL] = "label",
};

const char *subject_kind_name(enum subject_kind kind)
{
    return kinds[kind];
}

const char *subject_strength_name(enum subject_strength strength)
{
    return strengths[strength];
}

int subject_strength_from_name(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(strengths); i++)
        if (strcmp(strengths[i], name) == 0)
            return (int)i;
    return -1;
}

/* login.defs: SYS_UID_MAX is 999; systemd.exec(5), DynamicUser: 61184 to 65519. */
bool subject_is_system_uid(uid_t uid)
{
    return uid <= 999 || (uid >= 61184 && uid <= 65519);
}
