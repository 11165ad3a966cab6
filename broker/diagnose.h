/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Looks at everything that must be right for the broker to work, and says what is not, and what to do: what
 * `lwactl doctor` shows of the broker's side. It changes nothing, asks the provider for nothing but whether
 * it answers, and uses no login.
 *
 *   diagnose.c          the table of checks, and who waits for what
 *   diagnose-files.c    modes and owners, in a worker of libuv's, since a file system can hang
 *   diagnose-config.c   what the configuration says
 *   diagnose-health.c   database, trail, clock
 *   diagnose-polkit.c   whether polkit knows the actions, and the rule answers
 *   diagnose-hosts.c    whether each host of the configuration answers: name, TLS, time
 *   diagnose-logins.c   how the logins are doing, and what they carry that nobody needs
 *   diagnose-trail.c    what the trail tells: apps that are refused, logins that died after another
 *
 * The checks run beside each other, and together for LIMIT_DIAGNOSE_SEC at most; what has not answered by
 * then is said to be silent. Without a running broker (check-main.c) there is no store, polkit or trail to
 * ask: those checks are left out. */

#include "broker/findings.h"

struct broker;
struct diagnosis;
struct identity;

/* In the order of the table. The findings are gone when it returns, and so is the diagnosis. */
typedef void (*diagnosis_callback)(const struct findings *findings, void *userdata);

/* `caller` must stay; NULL: there is no running broker. The callback never runs from within this call. */
int diagnosis_start(struct broker *broker, const struct identity *caller, diagnosis_callback callback,
                    void *userdata, struct diagnosis **ret) _must_check_;
/* Ends it without a callback. */
void diagnosis_drop(struct diagnosis *d);
