/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/outcome.h"

static const char *const code_texts[CTL_CODE_COUNT] = {
    [CTL_OK] = "done",
    [CTL_FAILED] = "failed in a way that has no code of its own (also: the output could not be written)",
    [CTL_USAGE] = "wrong arguments, or a scope or argument that the broker refuses",
    [CTL_DENIED] = "denied by policy, or turned down by the person",
    [CTL_CONSENT] = "someone has to consent first",
    [CTL_LOGIN] = "a login is missing, has ended, or is too wide for the caller",
    [CTL_PROVIDER] = "Login with Amazon cannot be reached or is not well; try again later",
    [CTL_CONFIGURATION] = "the configuration has a mistake, or is not what Amazon expects",
    [CTL_NO_BROKER] = "the broker, or the system bus, cannot be reached",
    [CTL_STORE] = "the broker's store or audit trail cannot be written",
    [CTL_RATE] = "too many calls; wait",
    [CTL_CANCELLED] = "cancelled",
    [CTL_NO_ACCOUNT] = "there is no such account",
    [CTL_EXPIRED] = "the time of a login ran out",
    [CTL_NOT_SUPPORTED] = "the broker does not support this",
};

static const struct outcome outcomes[BUS_ERROR_COUNT] = {
    [BUS_OK] = {CTL_FAILED, "The broker reported an error that this lwactl does not know.",
                "compare `lwactl --version` with the broker's in `lwactl status`"},
    [BUS_E_ACCESS_DENIED] = {CTL_DENIED,
                             "The policy does not allow this.",
                             "an administrator decides in /etc/lwa-broker/grants.d and in polkit's rules",
                             {"polkit", "administrator"}},
    [BUS_E_CONSENT_REQUIRED] =
        {CTL_CONSENT,
         "Someone has to consent to this first.",
         "run it from a terminal or with --interactive, with a polkit agent running, or "
         "let an administrator allow it: a scope in /etc/lwa-broker/grants.d, anything else by a polkit "
         "rule",
         {"grants.d"}},
    [BUS_E_LOGIN_REQUIRED] = {CTL_LOGIN, "No login carries these scopes.", NULL},
    [BUS_E_NARROWER_LOGIN_REQUIRED] =
        {CTL_LOGIN,
         "The logins that carry these scopes also carry others, which the caller "
         "may not have.",
         NULL},
    [BUS_E_INVALID_SCOPE] = {CTL_USAGE,
                             "One of the scopes is not known here.",
                             "check the spelling; an administrator can add scopes to the catalogue",
                             {"catalogue", "malformed"}},
    [BUS_E_INVALID_ARGUMENT] = {CTL_USAGE, "The broker refuses one of the arguments.", NULL},
    [BUS_E_NO_SUCH_ACCOUNT] = {CTL_NO_ACCOUNT,
                               "There is no such account.",
                               "`lwactl accounts` lists those that there are",
                               {"`lwactl accounts`"}},
    [BUS_E_PROVIDER_UNAVAILABLE] = {CTL_PROVIDER,
                                    "Login with Amazon cannot be reached or is not well.",
                                    "nothing is lost: try again later; `lwactl status` tells when the broker "
                                    "tries next",
                                    {"the next try is due", "try again"}},
    [BUS_E_PROVIDER_MISCONFIGURED] =
        {CTL_CONFIGURATION,
         "Amazon does not accept the broker's configuration.",
         "an administrator should check [provider] in /etc/lwa-broker/broker.conf",
         {"broker.conf"}},
    [BUS_E_RATE_LIMITED] = {CTL_RATE,
                            "Too many calls.",
                            "wait a little, then try again",
                            {"; "}}, /* after which the broker says what to do */
    [BUS_E_AUDIT_UNAVAILABLE] =
        {CTL_STORE,
         "The audit trail cannot be written, so nothing is handed out.",
         "an administrator should look at the space on the disk of /var/lib/lwa-broker",
         {"`lwactl status`"}},
    [BUS_E_STORE_UNAVAILABLE] = {CTL_STORE,
                                 "The broker's store cannot be used.",
                                 "an administrator should look at the broker's log and at `lwactl status`",
                                 {"`lwactl status`", "the log"}},
    [BUS_E_CANCELLED] = {CTL_CANCELLED, "It was cancelled.", NULL},
    [BUS_E_NOT_SUPPORTED] = {CTL_NOT_SUPPORTED, "The broker does not support this.",
                             "compare `lwactl --version` with the broker's in `lwactl status`"},
};

const char *outcome_code_text(int code)
{
    return code_texts[code];
}

const struct outcome *outcome_of_error(enum bus_error error)
{
    return &outcomes[error];
}
