/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a diagnosis finds: one row for each thing that was looked at, with what to do about it. Pure code. All
 * texts are made printable on the way in: some are names of files, and some of apps. No secret belongs here.
 */

#include "util/cleanup.h"

#include <stdio.h>

enum finding_level {
    FINDING_OK,
    FINDING_NOTE,    /* worth knowing; nothing is wrong */
    FINDING_WARNING, /* works, and will not for long, or not as safely as it could */
    FINDING_PROBLEM, /* does not work */
    FINDING_UNKNOWN, /* could not be looked at */
    FINDING_LEVELS
};

struct finding {
    const char *check; /* a fixed word: which row of the table of checks */
    enum finding_level level;
    char *subject; /* what of that kind: a file, a host, an app; "" for the whole */
    char *text;    /* a sentence */
    char *fix;     /* what to do, a sentence; "" where there is nothing to be done */
};

struct findings {
    struct finding *items;
    size_t n;
    bool is_cut; /* there were more than LIMIT_FINDINGS */
    int error;   /* -ENOMEM sticks */
};

const char *finding_level_name(enum finding_level level); /* "ok", "note", ... */

/* NULL for `subject` and `fix` is "". */
void findings_add(struct findings *f, const char *check, const char *subject, enum finding_level level,
                  const char *fix, const char *format, ...) _printf_(6, 7);
void findings_clear(struct findings *f);

#define _cleanup_findings_ _cleanup_(findings_clear)
