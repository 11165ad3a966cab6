/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"
#include "util/log.h"

#include <string.h>

/* What is wrong with the store, and what to do, in a person's words. */

static const struct {
    int error;
    const char *text;
} troubles[] = {
    {-ENOSPC, "cannot be written: the disk is full; make room, and it goes on by itself"},
    {-EROFS, "cannot be written: the file system is read-only; make it writable, and it goes on by itself"},
    {-EBUSY, "cannot be written: another program holds the database locked; end that program"},
    {-EIO, "cannot be read or written: the disk fails; see what the kernel's log says of it"},
    {-EUCLEAN, "is damaged: stop lwa-brokerd and put a copy of the database back, or move it away and log in "
               "again"},
    {-ESTALE,
     "was moved, removed or replaced while in use: put it back, or restart lwa-brokerd to use what is "
     "there now"},
};

const char *store_health(const struct store *s)
{
    for (size_t i = 0; i < ARRAY_SIZE(troubles); i++)
        if (troubles[i].error == s->health)
            return troubles[i].text;
    return s->health == 0 ? NULL : "cannot be written; see what lwa-brokerd has logged";
}

void store_set_health(struct store *s, int health)
{
    if (health == s->health)
        return;
    s->health = health;
    if (health == 0)
        log_info("the login store can be written again");
    else
        log_error("the login store %s (%s)", store_health(s), strerrordesc_np(-health));
}

/* --- the trail --------------------------------------------------------------------------------------- */

static const char *const trail_troubles[] = {
    [STORE_TRAIL_DAMAGED] =
        "was cut short or altered behind the broker's back: `lwactl audit verify` says where; after "
        "`lwactl audit setup` only what comes is judged",
    [STORE_TRAIL_LARGE] = "is larger than [audit] max_megabytes, and what is left of it is too young to be "
                          "removed; it grows on",
    [STORE_TRAIL_KEY_FILE] =
        "goes on, but its key file cannot be written: make it writable, or the next start loses the key",
};

const char *store_trail_health(const struct store *s)
{
    return trail_troubles[s->trail_trouble];
}

void store_set_trail_trouble(struct store *s, enum store_trail_trouble trouble)
{
    if (trouble == s->trail_trouble)
        return;
    s->trail_trouble = trouble;
    if (trouble == STORE_TRAIL_OK)
        log_info("the audit trail is well again");
    else
        log_error("the audit trail %s", trail_troubles[trouble]);
}
