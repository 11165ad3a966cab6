/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What led to a verdict, in short, for the audit trail:
 *
 *     strength=sandbox pinned=yes; music.conf:3 ask; consent logout; polkit yes; grant 5
 *
 * Of several scopes the lines of the table that decided are named once each, the first few of them. `lwactl
 * explain` has the whole. */

#include "broker/authorize.h"

struct account;
struct grant;

#define CHAIN_SIZE 201 /* with the NUL */

struct chain {
    const struct peer *peer;
    const struct account *account; /* NULL for none */
    const struct verdicts *verdicts;
    struct scope_set scopes; /* that decided: all of a token, or those that were refused */
    const char *polkit; /* what came of asking: "polkit yes", "prompt dismissed"; NULL: nobody was asked */
    int64_t grant;      /* its row; 0 for none */
};

void chain_print(const struct chain *chain, char ret[CHAIN_SIZE]);
