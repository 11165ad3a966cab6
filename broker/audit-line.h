/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A record from a line of an export: one JSON object, as `lwactl audit export` writes it. Read strictly,
 * since the verifier speaks of what it was given: each member is there, once, of its type and form, and no
 * other, of which nothing could be known. */

#include "broker/audit.h"

enum {
    AUDIT_LINE_E_MALFORMED = 1,
};

/* Without the end of the line. 0, AUDIT_LINE_E_MALFORMED or -ENOMEM. */
int audit_line_parse(const char *line, size_t n, struct audit_record **ret) _must_check_;
