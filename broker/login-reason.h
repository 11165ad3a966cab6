/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Why a login ended without an account: one table of what each reason means for the bus, the trail and the
 * person. The sentences are fixed, and say what to do next. Pure code. */

#include "broker/lwa.h"
#include "dbus/errors.h"

enum login_reason {
    LOGIN_R_LINKED, /* none: it ended well */
    LOGIN_R_CANCELLED,
    LOGIN_R_CALLER_LEFT,
    LOGIN_R_DENIED,
    LOGIN_R_EXPIRED,
    LOGIN_R_NO_REDIRECT,
    /* What the person or the caller brought. */
    LOGIN_R_CODE,
    LOGIN_R_FORGED,
    LOGIN_R_NO_SCOPES,
    LOGIN_R_UNLISTED_SCOPE,
    LOGIN_R_TOKEN,
    LOGIN_R_OTHER_CUSTOMER,
    LOGIN_R_NO_SUCH_ACCOUNT,
    LOGIN_R_TOO_MANY_ACCOUNTS,
    LOGIN_R_TOO_MANY_LOGINS,
    /* How the client is set up, here or at Amazon. */
    LOGIN_R_CLIENT_TYPE,
    LOGIN_R_CLIENT,
    LOGIN_R_SCOPE,
    LOGIN_R_REGION_OR_CLIENT,
    LOGIN_R_OTHER_CLIENT,
    LOGIN_R_NO_REFRESH_TOKEN,
    LOGIN_R_REQUEST,
    /* What passes. */
    LOGIN_R_OFFLINE,
    LOGIN_R_CLOCK,
    LOGIN_R_CAPTIVE_PORTAL,
    LOGIN_R_PROVIDER,
    LOGIN_R_LOST_ANSWER,
    LOGIN_R_STORE,
    LOGIN_R_MEMORY,
    LOGIN_REASON_COUNT
};

struct login_reason_info {
    const char *word;     /* of Finished and of the trail */
    const char *outcome;  /* of Finished */
    enum bus_error error; /* of a failed one */
    const char *message;  /* NULL where there is nothing to say */
};

const struct login_reason_info *login_reason_get(enum login_reason reason);
/* Why a request to the provider ends a login. */
enum login_reason login_reason_of(enum lwa_outcome outcome);
/* The same of an error that came on a redirect: access_denied and its kind. */
enum login_reason login_reason_of_redirect(const char *error);
