/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Calls of org.lwabroker.Policy1, and the rows that several commands show: tokens that are still out, and
 * mistakes of the policy's files. */

#include "client/lwactl/bus.h"
#include "client/lwactl/values.h"

/* The arguments of every method come in this order; what is NULL is none of the method's. */
struct policy_call {
    const char *member;
    const char *app;
    const char *account; /* "" for the default one */
    const struct strv *scopes;
    const char *answer;
    bool takes_options;  /* those of the command line that the interface has */
    const uint32_t *uid; /* an option besides */
    const char *signature;
};

/* Makes the call and hands over its answer: made safe, or exact for --json. CTL_OK, or said. */
int policy_call(const struct policy_call *call, const struct arguments *arguments,
                struct json_object **ret) _must_check_;

/* Prints which app holds which token until when. `is_over`: what takes them back has been done, so that also
 * is shown who was told, and how a login is ended. 0 or -ENOMEM. */
int policy_print_exposure(struct json_object *exposure, bool is_over) _must_check_;

/* Prints the mistakes, or as JSON. CTL_OK when there is none, else CTL_CONFIGURATION; or said. `praise` is
 * the line for none. */
int policy_show_problems(struct json_object *problems, bool as_json, const char *praise) _must_check_;
