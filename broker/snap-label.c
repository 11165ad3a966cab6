/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/snap-label.h"

#include "policy/app-name.h"

#include <string.h>

#define KIND "snap:"
#define PREFIX "snap."
#define MODE " (enforce)"
#define LABEL_BYTES_MAX 4096 /* the kernel gives a page at most */

/* "snap." at the start of the label or of a part of it: after a namespace (":ns:", "//"), or stacked
 * ("//&"). */
static bool is_of_a_snap(const char *label)
{
    for (const char *at = strstr(label, PREFIX); at; at = strstr(at + 1, PREFIX))
        if (at == label || strchr(":/&", at[-1]))
            return true;
    return false;
}

enum snap_label snap_label_read(const unsigned char *bytes, size_t n, char ret_app[static SNAP_APP_SIZE])
{
    const char *label = (const char *)bytes;
    if (n < 2 || n > LABEL_BYTES_MAX || memchr(bytes, '\0', n) != bytes + n - 1)
        return SNAP_LABEL_UNUSABLE;
    if (!is_of_a_snap(label))
        return SNAP_LABEL_NONE;

    const char *name = label + strlen(PREFIX);
    size_t n_rest = strlen(label);
    if (strncmp(label, PREFIX, strlen(PREFIX)) != 0 || n_rest <= strlen(PREFIX) + strlen(MODE) ||
        strcmp(label + n_rest - strlen(MODE), MODE) != 0)
        return SNAP_LABEL_UNUSABLE;
    n_rest -= strlen(PREFIX) + strlen(MODE);

    if (n_rest >= SNAP_APP_SIZE - strlen(KIND))
        return SNAP_LABEL_UNUSABLE;
    char app[SNAP_APP_SIZE];
    (void)snprintf(app, sizeof(app), KIND "%.*s", (int)n_rest, name);
    if (app_kind_from_name(app) != SUBJECT_SNAP)
        return SNAP_LABEL_UNUSABLE;
    memcpy(ret_app, app, strlen(app) + 1);
    return SNAP_LABEL_APP;
}
