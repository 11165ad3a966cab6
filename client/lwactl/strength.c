/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/strength.h"

#include "util/cleanup.h"

#include <string.h>

const char *strength_meaning(const char *strength, const char *otherwise)
{
    static const char *const meanings[][2] = {
        {"uid", "any program of the user can pass for it"},
        {"sandbox", "any program of the user outside of sandboxes can pass for it"},
        {"unit", "only the system's administrator can pass for it"},
        {"label", "only the system's administrator can pass for it"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(meanings); i++)
        if (strcmp(meanings[i][0], strength) == 0)
            return meanings[i][1];
    return otherwise;
}
