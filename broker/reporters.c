/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/reporters.h"

#include "util/clock.h"

#include <errno.h>
#include <string.h>

static bool is_of(const struct reporter *place, const struct identity *identity, int64_t grant)
{
    return place->uid == identity->uid && place->grant == grant && strcmp(place->app, identity->app) == 0;
}

/* The place of this app and grant, or a free one; NULL with *ret_wait when there is none. */
static struct reporter *find_place(struct reporters *r, const struct identity *identity, int64_t grant,
                                   uint64_t now, uint64_t *ret_wait)
{
    struct reporter *free_place = NULL;
    uint64_t first = UINT64_MAX, first_own = UINT64_MAX;
    unsigned n_own = 0;
    for (size_t i = 0; i < LIMIT_REPORTERS; i++) {
        struct reporter *place = &r->places[i];
        if (bucket_is_full(&place->bucket, now)) {
            free_place = place;
            continue;
        }
        if (is_of(place, identity, grant))
            return place;
        uint64_t full = place->bucket.full_usec;
        first = full < first ? full : first;
        if (place->uid != identity->uid)
            continue;
        n_own++;
        first_own = full < first_own ? full : first_own;
    }
    if (free_place && n_own < LIMIT_REPORTERS_PER_UID)
        return free_place;
    *ret_wait = (free_place ? first_own : first) - now;
    return NULL;
}

static int refuse(const char *what, uint64_t wait, struct refusal *ret)
{
    *ret = (struct refusal){.what = what, .wait_usec = wait, .level = QUOTA_APP};
    return -EUSERS;
}

int reporters_take(struct reporters *r, const struct config_limits *limits, const struct identity *identity,
                   int64_t grant, struct bucket *of_grant, uint64_t now, struct refusal *ret_refusal)
{
    const struct bucket_size app_size = {limits->app_report_interval * USEC_PER_SEC,
                                         limits->app_report_burst};
    const struct bucket_size grant_size = {limits->grant_report_interval * USEC_PER_SEC,
                                           limits->grant_report_burst};
    uint64_t wait = 0;
    struct reporter *place = find_place(r, identity, grant, now, &wait);
    if (!place)
        return refuse("Too many logins were renewed because of reports lately", wait, ret_refusal);
    if (!is_of(place, identity, grant)) {
        *place = (struct reporter){.uid = identity->uid, .grant = grant};
        memcpy(place->app, identity->app, sizeof(place->app));
    }
    wait = bucket_wait(&place->bucket, &app_size, 1, now);
    if (wait > 0)
        return refuse("This app had this login renewed often lately", wait, ret_refusal);
    wait = bucket_take(of_grant, &grant_size, 1, now);
    if (wait > 0)
        return refuse("This login was renewed often lately", wait, ret_refusal);
    bucket_force(&place->bucket, &app_size, 1, now);
    return 0;
}
