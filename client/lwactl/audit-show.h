/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Records of the trail on standard output: as a table, in full, or as JSON lines. */

#include "client/lwactl/grid.h"
#include "client/lwactl/values.h"

#define AUDIT_APP_SIZE 64

enum audit_form { AUDIT_TABLE, AUDIT_LONG, AUDIT_JSON };

struct audit_show {
    enum audit_form form;
    struct grid grid;
};

void audit_show_begin(struct audit_show *s, enum audit_form form);
/* The table leaves out the app: all are of the same one. */
void audit_show_without_app(struct audit_show *s);
void audit_show_end(struct audit_show *s);

#define _cleanup_audit_show_ _cleanup_(audit_show_end)

/* How its records have to be read. */
enum values_style audit_show_style(const struct audit_show *s);
/* Prints some more records, below those of before. 0 or -ENOMEM. */
int audit_show_records(struct audit_show *s, struct json_object *records) _must_check_;

/* Whether a record, or who holds a token, is a row that cannot be read any more. */
bool audit_is_unreadable(struct json_object *row);
/* Its app; or "unreadable, record 12", in `buffer`. The second is a colour for a column of these. */
const char *audit_app_cell(struct json_object *row, char buffer[static AUDIT_APP_SIZE]);
enum colour audit_app_colour(const char *cell);

/* What decided, in words: "the table", "the owner's consent"; a name that is not known as it is. */
const char *audit_decider(const char *decided_by);
/* Whose an account is, in words: "the device", or the user. */
const char *audit_owner(const char *owner);

#define AUDIT_UNTIL_SIZE 40
/* The detail of a record; where it says only that an answer holds until a time, with that time. */
const char *audit_detail(struct json_object *record, char buffer[static AUDIT_UNTIL_SIZE]);
/* As short as the day allows: "14:02:11" today, "Nov 20 14:02" within a year, else "2024-05-31". */
const char *audit_short_time(int64_t when_sec, int64_t now_sec, char buffer[static 32]);
