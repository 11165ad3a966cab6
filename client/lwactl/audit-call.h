/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Calls of org.lwabroker.Audit1 for the commands that answer a question about the trail. Each returns CTL_OK
 * with what came, in `style`, or an exit code: it has been said. */

#include "client/lwactl/bus.h"
#include "client/lwactl/values.h"

int audit_call_matrix(struct bus *bus, bool own, int64_t since_sec, enum values_style style,
                      struct json_object **ret) _must_check_;
int audit_call_who_has(struct bus *bus, const char *scope, bool own, enum values_style style,
                       struct json_object **ret) _must_check_;
/* `fd` is a sealed memory file with the token; it stays the caller's. */
int audit_call_find_token(struct bus *bus, int fd, enum values_style style,
                          struct json_object **ret) _must_check_;
