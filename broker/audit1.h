/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The methods of org.lwabroker.Audit1, each in a file of its own; audit1.c has their table. All of it is
 * closed to sandboxes, and needs audit.read; what an owner may ask about his own accounts needs
 * audit.read-own. */

#include "broker/audit-filter.h"
#include "broker/call.h"
#include "broker/permit.h"

#define ACTION_AUDIT_READ "org.lwabroker.audit.read"
#define ACTION_AUDIT_READ_OWN "org.lwabroker.audit.read-own"

/* Goes on with `next` if the caller may read the trail; `is_own`: what is about his accounts. */
void audit1_permit(struct permit *p, struct call *call, bool is_own, void (*next)(struct call *call));
/* Ends the call: AuditUnavailable. */
void audit1_fail_unreadable(struct call *call);
/* Ends the call whose query could not be made. */
void audit1_fail_errno(struct call *call, int error);

/* --- audit1-record.c --------------------------------------------------------------------------------- */

/* The record as a{sv}. */
void audit1_write_record(struct writer *w, const struct audit_record *record);
/* Ends the call with the records, and with `next` where the method has it. */
void audit1_reply(struct call *call, struct audit_record *const *records, size_t n, const int64_t *next);

/* --- audit1-filter.c --------------------------------------------------------------------------------- */

/* What Query was asked for. */
struct audit1_question {
    struct audit_filter filter;
    char user[IDENTITY_USER_SIZE]; /* by name, whose uid the filter is still to get; "": none */
    bool is_newest;
    bool is_own;
    bool is_waiting;
};

/* Reads the filter; answers InvalidArgument and returns false. What it made is to be cleared in both cases.
 */
bool audit1_read_question(struct call *call, struct audit1_question *ret);
void audit1_question_clear(struct audit1_question *question);
/* The records of the caller's accounts only. */
void audit1_restrict_to_own(struct audit_filter *filter, const struct call *call);
/* The scope, first, and those that imply it. 0 or -ENOMEM. */
int audit1_add_scopes(const struct call *call, const char *scope, struct strv *ret) _must_check_;

/* --- the methods ------------------------------------------------------------------------------------- */

void audit1_begin_query(struct call *call);
/* Answers the queries that wait for a record: the broker stops. */
void audit1_end_waits(struct broker *broker);
void audit1_begin_who_has(struct call *call);
void audit1_begin_find_token(struct call *call);
void audit1_begin_matrix(struct call *call);
void audit1_begin_setup(struct call *call);
void audit1_begin_verify(struct call *call);
