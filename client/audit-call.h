/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Calls of org.lwabroker.Audit1 for the commands that answer a question about the trail. Each returns CTL_OK
 * with what came, in `style`, or an exit code: it has been said. */

#include "client/bus.h"
#include "client/values.h"

struct audit_query {
    bool newest;
    bool own;        /* of the caller's own accounts only */
    const char *app; /* NULL: of all */
    int64_t since_sec;
    uint64_t after;
    unsigned limit; /* 1 to 1000 */
};

int audit_call_matrix(struct bus *bus, bool own, int64_t since_sec, enum values_style style,
                      struct json_object **ret) _must_check_;
int audit_call_who_has(struct bus *bus, const char *scope, bool own, enum values_style style,
                       struct json_object **ret) _must_check_;
/* `fd` is a sealed memory file with the token; it stays the caller's. */
int audit_call_find_token(struct bus *bus, int fd, enum values_style style,
                          struct json_object **ret) _must_check_;
/* *ret_next is where the next page begins, 0 at the end. */
int audit_call_query(struct bus *bus, const struct audit_query *query, enum values_style style,
                     struct json_object **ret, uint64_t *ret_next) _must_check_;

/* The same, but without a prompt and saying nothing when it fails: NULL. */
struct json_object *audit_try_query(struct bus *bus, const struct audit_query *query,
                                    enum values_style style);
