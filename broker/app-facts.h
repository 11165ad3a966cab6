/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The facts of an app that is spoken of by name: those of its connections now, else what follows from the
 * name. */

#include "broker/identity.h"
#include "broker/peer.h"

struct app_facts {
    struct identity identity;
    const struct peer
        *peer;    /* one with these facts; NULL: it is not connected. Good until the loop is returned to */
    bool has_uid; /* else it is not known whose it is: a unit runs as any user */
};

/* Of several connections the weakest counts: of least strength, not pinned. `user` is a user's name or
 * number, "" where none was named: then `caller`'s connections go before others', and an app that is not
 * connected is the caller's, if its name does not say otherwise. `uid` is what the caller says that the
 * number of the user is, (uid_t)-1 for nothing. False when the name of the user, or of the app, belongs to
 * nobody that the broker has met, and there is no `uid`: it would have to be looked up. */
bool app_facts_find(struct broker *broker, const struct identity *caller, const char *app, const char *user,
                    uid_t uid, struct app_facts *ret);
