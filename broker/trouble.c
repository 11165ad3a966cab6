/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/trouble.h"

static const struct {
    const char *name;
    const char *text;
    enum schedule_kind schedule;
    bool is_shared;
    bool is_unsent;
} rows[TROUBLE_COUNT] = {
    [TROUBLE_NONE] = {"", "The login waits for its turn", SCHEDULE_OFFLINE, false, false},
    [TROUBLE_OFFLINE] = {"offline", "The provider cannot be reached", SCHEDULE_OFFLINE, true, true},
    [TROUBLE_DNS] = {"dns", "The provider cannot be reached: its name is not found, as without a network",
                     SCHEDULE_OFFLINE, true, true},
    [TROUBLE_TLS] =
        {"tls",
         "The provider cannot be reached: no secure connection comes about, as when a network wants a "
         "sign-in first, or when ca_file in broker.conf is wrong",
         SCHEDULE_OFFLINE, true, true},
    [TROUBLE_CLOCK] =
        {"clock",
         "The provider's certificate is not valid at this time: it has run out, or the clock of this "
         "device is wrong (see `date`)",
         SCHEDULE_CLOCK, true, true},
    [TROUBLE_THROTTLED] = {"throttled", "The provider asks for a pause", SCHEDULE_PROVIDER, true, false},
    [TROUBLE_SERVER_ERROR] = {"server-error", "The provider answers with errors", SCHEDULE_PROVIDER, true,
                              false},
    [TROUBLE_CAPTIVE_PORTAL] =
        {"captive-portal", "A page answers in the provider's place, as when a network wants a sign-in first",
         SCHEDULE_PROVIDER, true, false},
    [TROUBLE_AMBIGUOUS] = {"ambiguous",
                           "The provider's answer was lost, and to ask again at once could end the login",
                           SCHEDULE_AMBIGUOUS, true, false},
    [TROUBLE_MISCONFIGURED] = {"misconfigured", "The provider refuses this device's client id",
                               SCHEDULE_MISCONFIGURED, false, false},
    [TROUBLE_STORE] = {"store", "The login store cannot be written", SCHEDULE_STORE, false, false},
    [TROUBLE_RESOURCES] = {"resources", "The broker is short of memory or descriptors", SCHEDULE_OFFLINE,
                           false, true},
};

static enum trouble of_failure(enum http_failure failure, bool is_clock_set)
{
    switch (failure) {
    case HTTP_E_RESOLVE:
        return TROUBLE_DNS;
    case HTTP_E_TLS_TIME:
        return TROUBLE_CLOCK;
    case HTTP_E_TLS:
        return is_clock_set ? TROUBLE_TLS : TROUBLE_CLOCK;
    case HTTP_E_INTERNAL:
        return TROUBLE_RESOURCES;
    case HTTP_E_LOST:
    case HTTP_E_TOO_LARGE:
        return TROUBLE_AMBIGUOUS;
    default:
        return TROUBLE_OFFLINE;
    }
}

enum trouble trouble_of(const struct lwa_answer *answer, bool is_clock_set)
{
    if (answer->outcome == LWA_OK)
        return TROUBLE_NONE;
    bool is_page = answer->failure == HTTP_OK && answer->status == 200 && !answer->is_json;
    if (answer->outcome == LWA_E_AMBIGUOUS && !is_page)
        return TROUBLE_AMBIGUOUS;
    if (answer->outcome == LWA_E_PORTAL || is_page)
        return TROUBLE_CAPTIVE_PORTAL;
    if (!lwa_outcome_is_transient(answer->outcome))
        return TROUBLE_MISCONFIGURED;
    if (answer->failure != HTTP_OK)
        return of_failure(answer->failure, is_clock_set);
    return answer->status == 429 ? TROUBLE_THROTTLED : TROUBLE_SERVER_ERROR;
}

const char *trouble_name(enum trouble trouble)
{
    return rows[trouble].name;
}

const char *trouble_text(enum trouble trouble, bool is_clock_set)
{
    if (trouble == TROUBLE_CLOCK && !is_clock_set)
        return "The clock of this device is not set (see `date`), so no certificate is valid yet";
    return rows[trouble].text;
}

enum schedule_kind trouble_schedule(enum trouble trouble)
{
    return rows[trouble].schedule;
}

bool trouble_is_shared(enum trouble trouble)
{
    return rows[trouble].is_shared;
}

bool trouble_is_unsent(enum trouble trouble)
{
    return rows[trouble].is_unsent;
}
