/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/errors.h"

#include "dbus/names.h"

#include <stddef.h>
#include <string.h>

static const char *const names[BUS_ERROR_COUNT] = {
    [BUS_E_ACCESS_DENIED] = LWA_ERROR_PREFIX "AccessDenied",
    [BUS_E_CONSENT_REQUIRED] = LWA_ERROR_PREFIX "ConsentRequired",
    [BUS_E_LOGIN_REQUIRED] = LWA_ERROR_PREFIX "LoginRequired",
    [BUS_E_NARROWER_LOGIN_REQUIRED] = LWA_ERROR_PREFIX "NarrowerLoginRequired",
    [BUS_E_INVALID_SCOPE] = LWA_ERROR_PREFIX "InvalidScope",
    [BUS_E_INVALID_ARGUMENT] = LWA_ERROR_PREFIX "InvalidArgument",
    [BUS_E_NO_SUCH_ACCOUNT] = LWA_ERROR_PREFIX "NoSuchAccount",
    [BUS_E_PROVIDER_UNAVAILABLE] = LWA_ERROR_PREFIX "ProviderUnavailable",
    [BUS_E_PROVIDER_MISCONFIGURED] = LWA_ERROR_PREFIX "ProviderMisconfigured",
    [BUS_E_RATE_LIMITED] = LWA_ERROR_PREFIX "RateLimited",
    [BUS_E_AUDIT_UNAVAILABLE] = LWA_ERROR_PREFIX "AuditUnavailable",
    [BUS_E_STORE_UNAVAILABLE] = LWA_ERROR_PREFIX "StoreUnavailable",
    [BUS_E_CANCELLED] = LWA_ERROR_PREFIX "Cancelled",
    [BUS_E_NOT_SUPPORTED] = LWA_ERROR_PREFIX "NotSupported",
};

const char *bus_error_name(enum bus_error error)
{
    return names[error];
}

const char *bus_error_short_name(enum bus_error error)
{
    return error == BUS_OK ? "ok" : names[error] + strlen(LWA_ERROR_PREFIX);
}

enum bus_error bus_error_from_name(const char *name)
{
    for (int i = BUS_OK + 1; i < BUS_ERROR_COUNT; i++)
        if (strcmp(names[i], name) == 0)
            return (enum bus_error)i;
    return BUS_OK;
}
