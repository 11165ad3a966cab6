/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/control.h"

#include "tests/sim/memory.h"
#include "tests/sim/provider.h"
#include "tests/sim/scopes.h"

#include <string.h>

static const char demo_customer[] = "alice";

static void reply_ok(struct reply *rp, const char *name, int64_t value)
{
    struct json_object *object = must(json_object_new_object());

    json_object_object_add(object, "ok", json_object_new_boolean(1));
    if (name)
        json_object_object_add(object, name, must(json_object_new_int64(value)));
    reply_json(rp, 200, "ok", object);
}

static void reply_bad(struct reply *rp, unsigned status, const char *what)
{
    struct json_object *object = must(json_object_new_object());

    json_add(object, "error", what);
    reply_json(rp, status, "error", object);
}

static void control_set(struct sim *sim, const struct request *rq, struct reply *rp)
{
    const char *wrong;

    if (settings_apply(&sim->settings, &rq->form, &wrong) < 0)
        return reply_bad(rp, 400, wrong);
    reply_json(rp, 200, "ok", settings_to_json(&sim->settings));
}

static void control_fault(struct sim *sim, const struct request *rq, struct reply *rp)
{
    const char *reason = "too many faults";

    if (faults_add(&sim->faults, &rq->form, &reason) < 0)
        return reply_bad(rp, 400, reason);
    reply_ok(rp, NULL, 0);
}

static void control_clear_faults(struct sim *sim, const struct request *rq _unused_, struct reply *rp)
{
    faults_deinit(&sim->faults);
    sim_release(sim);
    reply_ok(rp, NULL, 0);
}

static void control_approve(struct sim *sim, const struct request *rq, struct reply *rp)
{
    const char *user_code = form_get(&rq->form, "user_code");
    const char *name = form_get(&rq->form, "customer");
    const char *answer = form_get(&rq->form, "answer");
    struct code_pair *pair = user_code ? codes_find_user_code(&sim->codes, user_code) : NULL;

    if (!pair)
        return reply_bad(rp, 404, "unknown user_code");
    if (pair->state != PAIR_PENDING || code_pair_is_expired(pair))
        return reply_bad(rp, 409, "the code pair is settled or expired");
    if (answer && strcmp(answer, "allow") != 0 && strcmp(answer, "deny") != 0)
        return reply_bad(rp, 400, "answer");
    struct customer *customer = customers_get(&sim->customers, name ? name : demo_customer);
    if (!customer)
        return reply_bad(rp, 400, "customer");
    pair->customer = customer;
    pair->state = answer && strcmp(answer, "deny") == 0 ? PAIR_DENIED : PAIR_ALLOWED;
    reply_ok(rp, NULL, 0);
}

/* Plays the person at the page whose address is `uri`, as far as the redirect: {"location": ...}. */
static void control_authorize_as(struct sim *sim, const struct request *rq, struct reply *rp)
{
    const char *uri = form_get(&rq->form, "uri");
    const char *name = form_get(&rq->form, "customer");
    const char *answer = form_get(&rq->form, "answer");
    const char *deselect = form_get(&rq->form, "deselect");
    _cleanup_form_ struct form query = {NULL};
    _cleanup_free_ char *location = NULL;
    uint64_t deselected = 0;
    size_t n = strlen(sim->public_base);

    if (!uri || strncmp(uri, sim->public_base, n) != 0 || strncmp(uri + n, "/ap/oa?", 7) != 0 ||
        form_parse(uri + n + 7, strlen(uri + n + 7), &query) < 0)
        return reply_bad(rp, 400, "uri");
    if (answer && strcmp(answer, "allow") != 0 && strcmp(answer, "deny") != 0)
        return reply_bad(rp, 400, "answer");
    if (deselect && !scopes_parse(deselect, &deselected))
        return reply_bad(rp, 400, "deselect");
    struct customer *customer = customers_get(&sim->customers, name ? name : demo_customer);
    if (!customer)
        return reply_bad(rp, 400, "customer");
    const char *wrong =
        authorize_as(sim, &query, customer, answer && strcmp(answer, "deny") == 0, deselected, &location);
    if (wrong)
        return reply_bad(rp, 400, wrong);
    struct json_object *object = must(json_object_new_object());
    json_add(object, "location", location);
    reply_json(rp, 200, "ok", object);
}

static void control_revoke(struct sim *sim, const struct request *rq, struct reply *rp)
{
    const char *name = form_get(&rq->form, "customer");
    const char *value = form_get(&rq->form, "refresh_token");

    if (value) {
        struct token *token = ledger_find(&sim->ledger, value);
        if (!token || !token->is_refresh || !token->grant)
            return reply_bad(rp, 404, "unknown refresh_token");
        bool was_alive = !token->grant->is_revoked;
        token->grant->is_revoked = true;
        return reply_ok(rp, "revoked", was_alive);
    }
    const struct customer *customer = name ? customers_get(&sim->customers, name) : NULL;
    if (!customer)
        return reply_bad(rp, 400, "customer or refresh_token is needed");
    reply_ok(rp, "revoked", ledger_revoke_customer(&sim->ledger, customer));
}

static void control_expire_tokens(struct sim *sim, const struct request *rq _unused_, struct reply *rp)
{
    ledger_expire_access(&sim->ledger);
    reply_ok(rp, NULL, 0);
}

static void control_mint(struct sim *sim, const struct request *rq, struct reply *rp)
{
    const char *name = form_get(&rq->form, "customer");
    const char *scope = form_get(&rq->form, "scope");
    const char *client_id = form_get(&rq->form, "client_id");
    const struct client *client = client_id ? sim_find_client(sim, client_id) : &sim->device_client;
    uint64_t scopes = 0;

    if (!client)
        return reply_bad(rp, 400, "client_id");
    if (!scope || !scopes_parse(scope, &scopes) || scopes == 0)
        return reply_bad(rp, 400, "scope");
    struct customer *customer = customers_get(&sim->customers, name ? name : demo_customer);
    if (!customer)
        return reply_bad(rp, 400, "customer");

    struct grant *grant = ledger_add_grant(&sim->ledger, client, customer, scopes);
    struct json_object *object = must(json_object_new_object());
    json_add(object, "refresh_token", ledger_add_refresh(&sim->ledger, grant)->value);
    json_add(object, "user_id", customer->user_id);
    reply_json(rp, 200, "ok", object);
}

static void control_reset(struct sim *sim, const struct request *rq _unused_, struct reply *rp)
{
    sim_reset(sim);
    reply_ok(rp, NULL, 0);
}

static const struct {
    const char *method;
    const char *path;
    void (*handle)(struct sim *sim, const struct request *rq, struct reply *rp);
} routes[] = {
    {"POST", "/set", control_set},
    {"POST", "/fault", control_fault},
    {"POST", "/clear-faults", control_clear_faults},
    {"POST", "/approve", control_approve},
    {"POST", "/authorize-as", control_authorize_as},
    {"POST", "/revoke", control_revoke},
    {"POST", "/expire-tokens", control_expire_tokens},
    {"POST", "/mint", control_mint},
    {"POST", "/reset", control_reset},
    {"GET", "/state", control_state},
    {"GET", "/tokens", control_tokens},
};

void control_dispatch(struct sim *sim, const struct request *rq, struct reply *rp)
{
    bool is_bad_form = rq->n_body > 0 && (rq->body_kind != BODY_FORM || rq->is_body_malformed);

    if (rq->is_malformed || rq->is_too_large || is_bad_form)
        return reply_bad(rp, 400, "the request is malformed");
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        if (strcmp(routes[i].method, rq->method) != 0 || strcmp(routes[i].path, rq->path) != 0)
            continue;
        sim_lock(sim);
        routes[i].handle(sim, rq, rp);
        sim_unlock(sim);
        return;
    }
    reply_bad(rp, 404, "unknown command");
}
