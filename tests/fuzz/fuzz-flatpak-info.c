/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A /.flatpak-info that whoever made the sandbox wrote (broker/flatpak-info.h). */

#include "broker/flatpak-info.h"
#include "policy/app-name.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char id[FLATPAK_ID_SIZE];
    /* Without a NUL after it, so that a read beyond the end is seen. */
    _cleanup_free_ char *exact = malloc(n > 0 ? n : 1);
    require(exact);
    if (n > 0)
        memcpy(exact, data, n);
    memset(id, 'x', sizeof(id));
    if (flatpak_info_parse(exact, n, id) != 0) {
        require(id[0] == 'x' && id[sizeof(id) - 1] == 'x');
        return 0;
    }
    require_printable(id, sizeof(id));
    require(app_flatpak_is_valid(id));
    /* It stands there as it is, and once more would be too often. */
    char line[FLATPAK_ID_SIZE + 32];
    (void)snprintf(line, sizeof(line), "\n[Application]\nname=%s\n", id);
    _cleanup_free_ char *twice = malloc(n + strlen(line));
    require(twice && memmem(exact, n, id, strlen(id)));
    memcpy(twice, exact, n);
    memcpy(twice + n, line, strlen(line));
    require(flatpak_info_parse(twice, n + strlen(line), id) != 0);
    require(flatpak_info_parse(line, strlen(line), id) == 0);
    return 0;
}
