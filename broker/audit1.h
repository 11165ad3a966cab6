/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The methods of org.lwabroker.Audit1 that have files of their own; audit1.c has their table. */

#include "broker/call.h"

#define ACTION_AUDIT_READ "org.lwabroker.audit.read"
#define ACTION_AUDIT_READ_OWN "org.lwabroker.audit.read-own"
#define AUDIT1_WHAT_ALL "read the audit trail of all accounts (with --own: of own accounts)"
#define AUDIT1_WHAT_OWN "read the audit trail of own accounts"

/* Ends the call: AuditUnavailable. */
void audit1_fail_unreadable(struct call *call);

void audit1_begin_matrix(struct call *call);
