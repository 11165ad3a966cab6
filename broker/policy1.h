/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The methods of org.lwabroker.Policy1, each in the file of its kind; policy1.c has their table. All of them
 * are closed to sandboxes. What concerns the caller's own uid and accounts needs no action of polkit's,
 * unless it gives an app something; what concerns others needs policy.manage. */

#include "broker/call.h"

/* Answers InvalidArgument and returns false for what names no app, and no account. */
bool policy1_check_app(struct call *call, const char *app);
bool policy1_check_account(struct call *call, const char *account);
bool policy1_check_owner(struct call *call, const char *owner); /* "" or device */

struct account;
/* Whether the account is the caller's own, and not locked. */
bool policy1_owns(const struct call *call, const struct account *account);
/* Whether this is the caller's name or number. */
bool policy1_is_caller(const struct call *call, const char *user);
/* The owner of an account, by name or number. Who has accounts is for those to know who manage policy. */
bool policy1_find_owner(const struct call *call, const char *user, uid_t *ret_uid);
/* Ends the call: NoSuchAccount, with its id or "" for any. */
void policy1_fail_account(struct call *call, const char *account);
/* Ends the call with what became of a consent_change(). */
void policy1_fail_consent(struct call *call, int r, const char *app, const char *account);

void policy1_begin_explain(struct call *call);
void policy1_begin_list_consents(struct call *call);
void policy1_begin_set_consent(struct call *call);
void policy1_begin_revoke_app(struct call *call);
void policy1_begin_plan(struct call *call);
void policy1_begin_check(struct call *call);
void policy1_begin_reload(struct call *call);
