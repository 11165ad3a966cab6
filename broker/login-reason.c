/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/login-reason.h"

#include <string.h>

#define ADMINISTRATOR "An administrator must look at "

static const struct login_reason_info infos[LOGIN_REASON_COUNT] = {
    [LOGIN_R_LINKED] = {"", "linked", BUS_OK, NULL},
    [LOGIN_R_CANCELLED] = {"cancelled", "cancelled", BUS_OK, NULL},
    [LOGIN_R_CALLER_LEFT] = {"caller-left", "cancelled", BUS_OK, NULL},
    [LOGIN_R_DENIED] = {"denied", "denied", BUS_OK,
                        "The question on Amazon's page was answered with no. Log in again if that was not "
                        "meant."},
    [LOGIN_R_EXPIRED] = {"expired", "expired", BUS_OK,
                         "Amazon no longer takes the code: it was not used in time, or Amazon's answer was "
                         "lost on its way. Log in again for a new one."},
    [LOGIN_R_NO_REDIRECT] = {"no-redirect", "expired", BUS_OK,
                             "Amazon has sent nobody back in time. If its page said that a scope is unknown, "
                             "Amazon must enable the scopes for the security profile; otherwise log in "
                             "again."},

    [LOGIN_R_CODE] = {"code", "failed", BUS_E_LOGIN_REQUIRED,
                      "Amazon does not take the code that came back: it was used already, is older than five "
                      "minutes or belongs to another login. Log in again."},
    [LOGIN_R_FORGED] = {"wrong-state", "failed", BUS_E_INVALID_ARGUMENT,
                        "Too many answers came that belong to no login of this device, so it was given up. "
                        "Log in again, with the address that is shown then."},
    [LOGIN_R_NO_SCOPES] = {"no-scopes-granted", "failed", BUS_E_ACCESS_DENIED,
                           "None of what was asked for was left selected on Amazon's page. Log in again and "
                           "leave selected what the apps are to use."},
    [LOGIN_R_UNLISTED_SCOPE] =
        {"unlisted-scope", "failed", BUS_E_INVALID_SCOPE,
         "Amazon has granted a scope that is in no catalogue here, which no app may be "
         "given. " ADMINISTRATOR "scopes.d; then log in again."},
    [LOGIN_R_TOKEN] = {"refresh-token", "failed", BUS_E_LOGIN_REQUIRED,
                       "Amazon does not take this refresh token: it has ended, or it belongs to another "
                       "client id or region than broker.conf names. Bring another, or log in instead."},
    [LOGIN_R_OTHER_CUSTOMER] = {"other-customer", "failed", BUS_E_ACCESS_DENIED,
                                "This is another Amazon customer than the account's. Log in as the one whose "
                                "account it is, or without naming an account to add another."},
    [LOGIN_R_NO_SUCH_ACCOUNT] = {"no-such-account", "failed", BUS_E_NO_SUCH_ACCOUNT,
                                 "The account to extend was removed meanwhile. Log in again without naming "
                                 "an account."},
    [LOGIN_R_TOO_MANY_ACCOUNTS] = {"too-many-accounts", "failed", BUS_E_RATE_LIMITED,
                                   "There are as many accounts as may be. Remove one that is no longer used, "
                                   "then log in again."},
    [LOGIN_R_TOO_MANY_LOGINS] = {"too-many-logins", "failed", BUS_E_RATE_LIMITED,
                                 "The account has as many logins as may be. Remove the account, then log in "
                                 "again."},

    [LOGIN_R_CLIENT_TYPE] = {"client-type", "failed", BUS_E_PROVIDER_MISCONFIGURED,
                             "The client id is of the wrong kind: Amazon wants a client secret with it. "
                             "Set the one from the security profile's tab for other devices and platforms in "
                             "broker.conf, or client_secret_file for one of the web kind."},
    [LOGIN_R_CLIENT] = {"client", "failed", BUS_E_PROVIDER_MISCONFIGURED,
                        "Amazon does not know the client id, has not enabled it for this, or its secret is "
                        "another. " ADMINISTRATOR "client_id and client_secret_file in broker.conf."},
    [LOGIN_R_SCOPE] = {"scope", "failed", BUS_E_INVALID_SCOPE,
                       "Amazon does not give these scopes to this security profile. Scopes of Amazon Music "
                       "(music::) must first be enabled for the profile by Amazon; or log in with fewer."},
    [LOGIN_R_REGION_OR_CLIENT] = {"region-or-client", "failed", BUS_E_PROVIDER_MISCONFIGURED,
                                  "Amazon refuses the very login that it has just given: the region or the "
                                  "client id does not fit the account. " ADMINISTRATOR
                                  "region and client_id in broker.conf."},
    [LOGIN_R_OTHER_CLIENT] = {"other-client", "failed", BUS_E_PROVIDER_MISCONFIGURED,
                              "The token belongs to another client id. " ADMINISTRATOR
                              "client_id in broker.conf."},
    [LOGIN_R_NO_REFRESH_TOKEN] = {"no-refresh-token", "failed", BUS_E_PROVIDER_MISCONFIGURED,
                                  "Amazon has given no lasting login, as it does for a client id of the web "
                                  "kind without its secret. Set client_secret_file in broker.conf, then log "
                                  "in again."},
    [LOGIN_R_REQUEST] = {"request", "failed", BUS_E_PROVIDER_MISCONFIGURED,
                         "Amazon does not understand what it was asked. " ADMINISTRATOR
                         "[provider] in broker.conf, and at scope_data if it was given."},

    [LOGIN_R_OFFLINE] = {"offline", "failed", BUS_E_PROVIDER_UNAVAILABLE,
                         "Amazon cannot be reached. Check the network, and whether it wants a login of its "
                         "own; then log in again."},
    [LOGIN_R_CLOCK] = {"clock", "failed", BUS_E_PROVIDER_UNAVAILABLE,
                       "The clock of this device seems wrong, so Amazon's certificate is not valid now. Set "
                       "date and time, then log in again."},
    [LOGIN_R_CAPTIVE_PORTAL] = {"captive-portal", "failed", BUS_E_PROVIDER_UNAVAILABLE,
                                "Another page answers in Amazon's place: the network may want a login of its "
                                "own. Log in there first, then here again."},
    [LOGIN_R_PROVIDER] = {"provider", "failed", BUS_E_PROVIDER_UNAVAILABLE,
                          "Amazon answers with errors at the moment. Log in again in a few minutes."},
    [LOGIN_R_LOST_ANSWER] = {"lost-answer", "failed", BUS_E_PROVIDER_UNAVAILABLE,
                             "Amazon's answer was lost on its way, and the code may be used up with it. Log "
                             "in again."},
    [LOGIN_R_STORE] = {"store", "failed", BUS_E_STORE_UNAVAILABLE,
                       "The login cannot be stored. See `lwactl status`, make room on the disk, then log in "
                       "again."},
    [LOGIN_R_MEMORY] = {"memory", "failed", BUS_E_STORE_UNAVAILABLE,
                        "The broker is short of memory. Log in again later."},
};

const struct login_reason_info *login_reason_get(enum login_reason reason)
{
    return &infos[reason];
}

enum login_reason login_reason_of(enum lwa_outcome outcome)
{
    switch (outcome) {
    case LWA_E_EXPIRED:
        return LOGIN_R_EXPIRED;
    case LWA_E_DENIED:
        return LOGIN_R_DENIED;
    case LWA_E_INVALID_GRANT:
        return LOGIN_R_REGION_OR_CLIENT;
    case LWA_E_CLIENT:
        return LOGIN_R_CLIENT;
    case LWA_E_CLIENT_TYPE:
        return LOGIN_R_CLIENT_TYPE;
    case LWA_E_SCOPE:
        return LOGIN_R_SCOPE;
    case LWA_E_TRANSIENT:
        return LOGIN_R_PROVIDER;
    case LWA_E_OFFLINE:
        return LOGIN_R_OFFLINE;
    case LWA_E_PORTAL:
        return LOGIN_R_CAPTIVE_PORTAL;
    case LWA_E_CLOCK:
        return LOGIN_R_CLOCK;
    case LWA_E_AMBIGUOUS:
        return LOGIN_R_LOST_ANSWER;
    default:
        return LOGIN_R_REQUEST;
    }
}

enum login_reason login_reason_of_redirect(const char *error)
{
    static const struct {
        const char *error;
        enum login_reason reason;
    } rows[] = {
        {"access_denied", LOGIN_R_DENIED},       {"invalid_scope", LOGIN_R_SCOPE},
        {"unauthorized_client", LOGIN_R_CLIENT}, {"invalid_client", LOGIN_R_CLIENT},
        {"server_error", LOGIN_R_PROVIDER},      {"temporarily_unavailable", LOGIN_R_PROVIDER},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (strcmp(rows[i].error, error) == 0)
            return rows[i].reason;
    return LOGIN_R_REQUEST;
}
