/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A request goes through these steps: count it and take a fault, if one is ordered; what the fault does
 * before any work; the work, under the lock; what the fault does after it. Waits happen without the lock. */

#include "tests/sim/provider.h"

#include "tests/sim/memory.h"

#include <string.h>
#include <strings.h>

struct route {
    const char *method; /* NULL for any */
    const char *path;   /* a prefix where it ends in '/' */
    enum endpoint endpoint;
    provider_handler handle;
};

static void handle_root(struct sim *sim, const struct request *rq _unused_, struct reply *rp)
{
    char *location;

    if (asprintf(&location, "%s/code", sim->public_base) < 0)
        abort();
    reply_body(rp, 303, "ok", "text/plain", must(strdup("")), 0);
    rp->location = location;
}

static void handle_elsewhere(struct sim *sim _unused_, const struct request *rq _unused_, struct reply *rp)
{
    char *text = must(strdup("A client followed a redirect that it should not have followed.\n"));

    reply_body(rp, 200, "reached", "text/plain", text, strlen(text));
}

static void handle_not_found(struct sim *sim _unused_, const struct request *rq _unused_, struct reply *rp)
{
    char *text = must(strdup("Not found\n"));

    reply_body(rp, 404, "not_found", "text/plain", text, strlen(text));
}

static void handle_wrong_method(struct sim *sim _unused_, const struct request *rq _unused_, struct reply *rp)
{
    char *text = must(strdup("Method not allowed\n"));

    reply_body(rp, 405, "method_not_allowed", "text/plain", text, strlen(text));
}

/* Paths are compared without regard to case: /auth/O2/ and /auth/o2/ are both in use. */
static const struct route routes[] = {
    {"POST", "/auth/o2/create/codepair", ENDPOINT_CODEPAIR, handle_codepair},
    {"POST", "/auth/o2/token", ENDPOINT_TOKEN, handle_token},
    {"GET", "/auth/o2/tokeninfo", ENDPOINT_TOKENINFO, handle_tokeninfo},
    {"GET", "/user/profile", ENDPOINT_PROFILE, handle_profile},
    {NULL, "/v1/", ENDPOINT_API, handle_music},
    {"GET", "/code", ENDPOINT_PAGES, handle_code_get},
    {"POST", "/code", ENDPOINT_PAGES, handle_code_post},
    {"GET", "/ap/oa", ENDPOINT_PAGES, handle_authorize_get},
    {"POST", "/ap/oa", ENDPOINT_PAGES, handle_authorize_post},
    {"GET", "/", ENDPOINT_PAGES, handle_root},
    {NULL, "/elsewhere", ENDPOINT_ELSEWHERE, handle_elsewhere},
};

static const struct route not_found = {NULL, "", ENDPOINT_OTHER, handle_not_found};
static const struct route wrong_method = {NULL, "", ENDPOINT_OTHER, handle_wrong_method};

static bool path_matches(const struct route *route, const char *path)
{
    size_t n = strlen(route->path);

    if (n > 1 && route->path[n - 1] == '/')
        return strncasecmp(route->path, path, n) == 0;
    return strcasecmp(route->path, path) == 0;
}

static const struct route *route_find(const struct request *rq)
{
    const struct route *found = &not_found;

    if (rq->is_malformed)
        return found;
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        if (!path_matches(&routes[i], rq->path))
            continue;
        if (!routes[i].method || strcmp(routes[i].method, rq->method) == 0)
            return &routes[i];
        found = &wrong_method;
    }
    return found;
}

bool reply_missing(struct reply *rp, const struct request *rq, const char *name, const char *value)
{
    char description[128];

    if (value && *value)
        return false;
    (void)snprintf(description, sizeof(description), "The request is missing a required parameter : %s",
                   name);
    reply_oauth_error(rp, rq, 400, "invalid_request", description);
    return true;
}

/* One request on its way through the steps. */
struct call {
    const struct route *route;
    const char *endpoint;
    const char *grant_type; /* NULL except at the token endpoint */
    bool is_refresh;
    uint32_t delay_ms;
    bool has_fault;
    struct fault fault;
};

static void call_begin(struct call *call, struct sim *sim, const struct request *rq)
{
    call->route = route_find(rq);
    call->endpoint = endpoint_name(call->route->endpoint);

    sim_lock(sim);
    if (call->route->endpoint == ENDPOINT_TOKEN) {
        const char *grant_type = token_grant_type(rq);
        call->grant_type = grant_type ? grant_type : "other";
        call->is_refresh = strcmp(call->grant_type, "refresh_token") == 0;
        call->delay_ms = sim->settings.delay_ms;
    }
    if (call->is_refresh && ++sim->refreshes_under_way > sim->refreshes_at_once_max)
        sim->refreshes_at_once_max = sim->refreshes_under_way;
    counters_count(&sim->counters, call->endpoint, call->grant_type, "requests");
    call->has_fault = faults_take(&sim->faults, call->route->endpoint, call->grant_type, &call->fault);
    if (call->has_fault)
        counters_count(&sim->counters, call->endpoint, call->grant_type, "fault");
    sim_unlock(sim);
}

static void call_end(const struct call *call, struct sim *sim)
{
    sim_lock(sim);
    if (call->is_refresh)
        sim->refreshes_under_way--;
    sim_unlock(sim);
}

/* True when the fault has settled the matter, and there is no work to do. */
static bool fault_before(const struct call *call, struct sim *sim, const struct request *rq, struct reply *rp)
{
    const struct fault *fault = &call->fault;

    if (!call->has_fault)
        return false;
    switch (fault->kind->stage) {
    case FAULT_CLOSE:
        rp->mode = REPLY_CLOSE;
        return true;
    case FAULT_HOLD:
        sim_wait(sim, fault->ms, true);
        rp->mode = REPLY_CLOSE;
        return true;
    case FAULT_ANSWER:
        fault->kind->answer(sim, fault, rq, rp);
        return true;
    case FAULT_DELAY:
        sim_wait(sim, fault->ms, true);
        return false;
    case FAULT_CLOSE_AFTER:
    case FAULT_HOLD_AFTER:
    case FAULT_CUT_AFTER:
        return false;
    }
    return false;
}

static void fault_after(const struct call *call, struct sim *sim, struct reply *rp)
{
    if (!call->has_fault)
        return;
    if (call->fault.kind->stage == FAULT_HOLD_AFTER)
        sim_wait(sim, call->fault.ms, true);
    if (call->fault.kind->stage == FAULT_HOLD_AFTER || call->fault.kind->stage == FAULT_CLOSE_AFTER)
        rp->mode = REPLY_CLOSE;
    if (call->fault.kind->stage == FAULT_CUT_AFTER)
        rp->mode = REPLY_CUT;
}

static void work(const struct call *call, struct sim *sim, const struct request *rq, struct reply *rp)
{
    sim_lock(sim);
    if (rq->is_too_large)
        reply_oauth_error(rp, rq, 413, "invalid_request", "The request is too large");
    else
        call->route->handle(sim, rq, rp);
    counters_count(&sim->counters, call->endpoint, call->grant_type, rp->outcome);
    sim_unlock(sim);
}

void provider_dispatch(struct sim *sim, const struct request *rq, struct reply *rp)
{
    struct call call = {.route = NULL};

    call_begin(&call, sim, rq);
    if (!fault_before(&call, sim, rq, rp)) {
        if (call.delay_ms > 0)
            sim_wait(sim, call.delay_ms, false);
        work(&call, sim, rq, rp);
        fault_after(&call, sim, rp);
    }
    call_end(&call, sim);
}
