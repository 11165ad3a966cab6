/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Does polkit know our actions, each with us as its owner? Without that every check ends in one and the same
 * unhelpful error, so it is looked at whenever polkit appears, and said in the log and in Status1. */

#include "broker/bus.h"
#include "util/strv.h"

struct polkit_self_check;

int polkit_self_check_new(struct bus *bus, struct polkit_self_check **ret) _must_check_;
void polkit_self_check_free(struct polkit_self_check *s);

/* What to look for; runs the check. `owner` is the annotation's value, "unix-user:lwa-broker". */
void polkit_self_check_expect(struct polkit_self_check *s, const struct strv *action_ids, const char *owner);
void polkit_self_check_run(struct polkit_self_check *s);
/* polkit left the bus. */
void polkit_self_check_lost(struct polkit_self_check *s);
const char *polkit_self_check_health(const struct polkit_self_check *s);
