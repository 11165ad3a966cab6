/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Does a refresh that names fewer scopes give a narrower token? Amazon does not say. This tries it with one
 * login:
 *
 *   1. The login has a good token, of all that it carries: an ordinary renewal if need be.
 *   2. A refresh asks for `profile:user_id` alone (refresh_start_probe()).
 *   3. The profile is read with what came back. A name or an e-mail address in it: the scope was ignored.
 *   4. Neither is in it: it is read once more with the token of 1. If they are there, the provider narrows.
 *
 * So the login must carry `profile`, of which `profile:user_id` is a part. The narrow token is given to
 * nobody. */

#include "broker/account.h"

enum probe_outcome {
    PROBE_NARROWS, /* the token carries what the refresh named */
    PROBE_IGNORES, /* it carries all that the login carries */
    PROBE_REFUSES, /* such a refresh is refused; the login goes on */
    PROBE_UNCLEAR, /* something else was in the way, or the customer's profile shows no difference */
};

const char *probe_outcome_name(enum probe_outcome outcome);

struct probe;

/* `detail` is a fixed word on an unclear outcome, else "". The probe is gone when the callback begins. */
typedef void (*probe_callback)(enum probe_outcome outcome, const char *detail, void *userdata);

/* Whether the login can show it. */
bool probe_fits(const struct grant *grant);
/* The callback never runs from within this call. -EBUSY: the login cannot be renewed now. */
int probe_start(struct grant *grant, const char *request, probe_callback callback, void *userdata,
                struct probe **ret) _must_check_;
void probe_drop(struct probe *p);
