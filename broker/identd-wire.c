/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/identd-wire.h"

#include "broker/cgroup-unit.h"
#include "broker/flatpak-info.h"
#include "policy/app-name.h"
#include "util/utf8.h"

#include <string.h>

_Static_assert(IDENTD_FLATPAK_SIZE == FLATPAK_ID_SIZE, "an id fits");
_Static_assert(IDENTD_UNIT_SIZE == CGROUP_UNIT_SIZE, "a unit fits");

bool identd_exe_is_valid(const char *path)
{
    size_t n = strnlen(path, IDENTD_EXE_SIZE);
    if (n == IDENTD_EXE_SIZE || path[0] != '/' || !utf8_is_valid(path, n))
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f)
            return false;
    return true;
}

static bool ends(const char *text, size_t size)
{
    return strnlen(text, size) < size;
}

bool identd_answer_is_valid(const struct identd_answer *a)
{
    if (a->status > IDENTD_BUSY)
        return false;
    if (a->status != IDENTD_OK)
        return true;
    return a->is_foreign <= 1 && a->is_pinned <= 1 && ends(a->flatpak, sizeof(a->flatpak)) &&
           ends(a->unit, sizeof(a->unit)) && ends(a->exe, sizeof(a->exe)) &&
           (!a->flatpak[0] || app_flatpak_is_valid(a->flatpak)) &&
           (!a->unit[0] || app_unit_is_valid(a->unit)) && (!a->exe[0] || identd_exe_is_valid(a->exe));
}

void identd_answer_fail(struct identd_answer *answer, enum identd_status status)
{
    uint64_t id = answer->id;
    memset(answer, 0, sizeof(*answer));
    answer->id = id;
    answer->status = (uint32_t)status;
}
