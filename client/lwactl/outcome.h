/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The exit codes, and what each error of the bus means to a person: one table each. */

#include "dbus/errors.h"
#include "util/cleanup.h"

enum {
    CTL_OK = 0,
    CTL_FAILED = 1,
    CTL_USAGE = 2,
    CTL_DENIED = 3,
    CTL_CONSENT = 4,
    CTL_LOGIN = 5,
    CTL_PROVIDER = 6,
    CTL_CONFIGURATION = 7,
    CTL_NO_BROKER = 8,
    CTL_STORE = 9,
    CTL_RATE = 10,
    CTL_CANCELLED = 11,
    CTL_NO_ACCOUNT = 12,
    CTL_EXPIRED = 13,
    CTL_NOT_SUPPORTED = 14,
    CTL_CODE_COUNT
};

/* What the help says about an exit code. */
const char *outcome_code_text(int code);

#define OUTCOME_TOLD_BY_MAX 2

struct outcome {
    int code;
    const char *sentence; /* for an error that came without a message */
    const char *hint;     /* NULL: none, or one that the caller has to make */
    /* A message with one of these says already what the hint would; those that are not given are NULL. */
    const char *told_by[OUTCOME_TOLD_BY_MAX];
};

/* For an error of ours; for BUS_OK the one of an error nobody knows. */
const struct outcome *outcome_of_error(enum bus_error error);
