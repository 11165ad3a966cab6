/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which limits contain which: a part may not be allowed more than the whole, or the larger limit would never
 * be met and the smaller one not hold. */

#include "broker/config-keys.h"

struct containment {
    const char *less;
    const char *more;
    size_t less_offset;
    size_t more_offset;
};

#define WITHIN(less, more)                                                                                   \
    {                                                                                                        \
#less, #more, offsetof(struct config_limits, less), offsetof(struct config_limits, more)             \
    }

static const struct containment containments[] = {
    WITHIN(calls_per_connection, calls_per_app),
    WITHIN(calls_per_app, calls_per_uid),
    WITHIN(calls_per_uid, calls),
    WITHIN(connections_per_uid, connections),
    WITHIN(app_rate, uid_rate),
    WITHIN(app_burst, uid_burst),
    WITHIN(logins_per_uid, logins),
    WITHIN(prompts_per_uid, prompts),
    WITHIN(app_report_burst, grant_report_burst),
    WITHIN(grant_report_interval, app_report_interval),
};

static unsigned value_at(const struct config_limits *limits, size_t offset)
{
    return *(const unsigned *)((const char *)limits + offset);
}

bool config_limits_clash(const struct config_limits *limits, const char **ret_less, const char **ret_more)
{
    for (size_t i = 0; i < ARRAY_SIZE(containments); i++) {
        const struct containment *c = &containments[i];
        if (value_at(limits, c->less_offset) <= value_at(limits, c->more_offset))
            continue;
        *ret_less = c->less;
        *ret_more = c->more;
        return true;
    }
    return false;
}
