/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The text of /proc/PID/cgroup, in which users name some of the folders (broker/cgroup-unit.h). */

#include "broker/cgroup-unit.h"
#include "policy/app-name.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char unit[CGROUP_UNIT_SIZE];
    /* Without a NUL after it, so that a read beyond the end is seen. */
    _cleanup_free_ char *exact = malloc(n > 0 ? n : 1);
    require(exact);
    if (n > 0)
        memcpy(exact, data, n);
    memset(unit, 'x', sizeof(unit));
    if (cgroup_unit_parse(exact, n, unit) != 0) {
        require(unit[0] == 'x' && unit[sizeof(unit) - 1] == 'x');
        return 0;
    }
    require_printable(unit, sizeof(unit));
    require(unit[0] == '\0' || (app_unit_is_valid(unit) && memmem(exact, n, unit, strlen(unit)) &&
                                memmem(exact, n, "/system.slice/", strlen("/system.slice/"))));
    return 0;
}
