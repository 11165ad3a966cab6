/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The one table that maps outcomes to the error names of the bus contract. */

enum bus_error {
    BUS_OK,
    BUS_E_ACCESS_DENIED,
    BUS_E_CONSENT_REQUIRED,
    BUS_E_LOGIN_REQUIRED,
    BUS_E_NARROWER_LOGIN_REQUIRED,
    BUS_E_INVALID_SCOPE,
    BUS_E_INVALID_ARGUMENT,
    BUS_E_NO_SUCH_ACCOUNT,
    BUS_E_PROVIDER_UNAVAILABLE,
    BUS_E_PROVIDER_MISCONFIGURED,
    BUS_E_RATE_LIMITED,
    BUS_E_AUDIT_UNAVAILABLE,
    BUS_E_STORE_UNAVAILABLE,
    BUS_E_CANCELLED,
    BUS_E_NOT_SUPPORTED,
    BUS_ERROR_COUNT
};

/* "org.lwabroker.Error.AccessDenied"; NULL for BUS_OK. */
const char *bus_error_name(enum bus_error error);
/* The part after the prefix: "AccessDenied"; "ok" for BUS_OK. */
const char *bus_error_short_name(enum bus_error error);
/* The error of a full name, BUS_OK for a name that is none of ours. */
enum bus_error bus_error_from_name(const char *name);
