/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/audit-names.h"

#include <string.h>

/* The names are what the database holds, so a name never changes its meaning; the numbers may. */
static const char *const names[AUDIT_EVENT_COUNT] = {
    [AUDIT_BROKER_STARTED] = "broker-started",
    [AUDIT_BROKER_STOPPED] = "broker-stopped",
    [AUDIT_BROKER_CRASHED] = "broker-crashed",
    [AUDIT_LOGIN_BEGUN] = "login-begun",
    [AUDIT_LOGIN_FINISHED] = "login-finished",
    [AUDIT_LOGIN_FAILED] = "login-failed",
    [AUDIT_GRANT_ADDED] = "grant-added",
    [AUDIT_GRANT_REMOVED] = "grant-removed",
    [AUDIT_GRANT_DIED] = "grant-died",
    [AUDIT_GRANT_INTERRUPTED] = "grant-interrupted",
    [AUDIT_TOKEN_DISCLOSED] = "token-disclosed",
    [AUDIT_TOKEN_DENIED] = "token-denied",
    [AUDIT_TOKEN_REFRESHED] = "token-refreshed",
    [AUDIT_TOKEN_REFRESH_FAILED] = "token-refresh-failed",
    [AUDIT_TOKEN_REJECTED] = "token-rejected",
    [AUDIT_TOKEN_RELEASED] = "token-released",
    [AUDIT_ACCOUNT_ADDED] = "account-added",
    [AUDIT_ACCOUNT_REMOVED] = "account-removed",
    [AUDIT_ACCOUNT_RENAMED] = "account-renamed",
    [AUDIT_ACCOUNT_CHANGED] = "account-changed",
    [AUDIT_POLICY_LOADED] = "policy-loaded",
    [AUDIT_POLICY_REJECTED] = "policy-rejected",
    [AUDIT_KEY_CREATED] = "key-created",
    [AUDIT_KEY_ROTATED] = "key-rotated",
    [AUDIT_CONSENT_GIVEN] = "consent-given",
    [AUDIT_CONSENT_REFUSED] = "consent-refused",
    [AUDIT_CONSENT_REVOKED] = "consent-revoked",
    [AUDIT_CONSENT_EXPIRED] = "consent-expired",
    [AUDIT_TRAIL_KEY_CREATED] = "trail-key-created",
    [AUDIT_TRAIL_SEALED] = "trail-sealed",
    [AUDIT_TRAIL_PRUNED] = "trail-pruned",
    [AUDIT_TRAIL_DAMAGED] = "trail-damaged",
};

const char *audit_event_name(enum audit_event event)
{
    return names[event];
}

int audit_event_from_name(const char *name)
{
    for (int i = 0; i < AUDIT_EVENT_COUNT; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}
