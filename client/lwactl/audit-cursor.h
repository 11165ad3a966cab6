/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How far an export has come: the last record that was written out, and its hash, by which the trail is known
 * to be the same one. As a file: one line, `SEQUENCE:HASH`, as `lwactl audit verify --head` takes it. */

#include "client/lwactl/audit-query.h"

#define AUDIT_CURSOR_HASH_SIZE 65

struct audit_cursor {
    uint64_t sequence;                 /* 0: nothing yet */
    char hash[AUDIT_CURSOR_HASH_SIZE]; /* hex; "": it has none, or it is not known */
};

/* A sequence in decimal digits. */
bool audit_cursor_parse_sequence(const char *text, uint64_t *ret);
/* That of this record. */
void audit_cursor_set(struct audit_cursor *c, struct json_object *record);

/* From the file; no file is the beginning. CTL_OK, or said. */
int audit_cursor_load(struct audit_cursor *c, const char *path) _must_check_;
/* Into the file, which is replaced as a whole. CTL_OK, or said. */
int audit_cursor_save(const struct audit_cursor *c, const char *path) _must_check_;

/* Whether the trail goes on behind it. What was removed before it could be read is said on standard error;
 * CTL_FAILED (said) when it is another trail, or one that lost its end. */
int audit_cursor_check(const struct audit_cursor *c, struct bus *bus, bool is_own) _must_check_;

/* Where standard output is a file that such an export wrote: cuts off a line that it was stopped in, and
 * moves the cursor on to the last whole one. Any other file is left as it is. */
void audit_cursor_take_up_output(struct audit_cursor *c);
