/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A decision about a plain app of a UNIX user, where nothing but its name matters. */

#include "policy/table.h"

static inline void decide_for(const struct table *t, const struct catalogue *c, const char *app,
                              enum verdict fallback, struct verdicts *ret)
{
    const struct table_query query = {
        .subject = {.app = app, .user = "", .exe = "", .uid = 1000, .strength = STRENGTH_UID},
        .account = "",
        .fallback = fallback,
    };
    table_decide(t, c, &query, ret);
}
