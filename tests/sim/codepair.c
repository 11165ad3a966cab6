/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* POST /auth/o2/create/codepair: code-based linking, as documented in
 * retrieve-code-other-platforms-cbl-docs.html of Login with Amazon. */

#include "tests/sim/memory.h"
#include "tests/sim/provider.h"
#include "tests/sim/scopes.h"

#include <string.h>

/* The parameters as they may come: `scope` and `scope_data` may be repeated, one pair per scope. */
struct pair_request {
    uint64_t scopes;
    bool has_scope;
    bool has_scope_data;
    bool has_product;
};

/* False when it is no JSON object. Remembers whether it names a product for alexa:all. */
static bool read_scope_data(struct pair_request *p, const char *text)
{
    struct json_tokener *tokener = must(json_tokener_new_ex(16));
    struct json_object *root = json_tokener_parse_ex(tokener, text, (int)strlen(text) + 1);
    bool is_object = json_object_is_type(root, json_type_object);
    struct json_object *alexa, *product;

    if (is_object && json_object_object_get_ex(root, "alexa:all", &alexa) &&
        json_object_is_type(alexa, json_type_object) &&
        json_object_object_get_ex(alexa, "productID", &product))
        p->has_product = json_object_is_type(product, json_type_string);
    json_object_put(root);
    json_tokener_free(tokener);
    p->has_scope_data = true;
    return is_object;
}

/* The name of the parameter that is wrong, or NULL. */
static const char *read_parameters(const struct sim *sim, const struct form *form, struct pair_request *p)
{
    for (size_t i = 0; i < form->n; i++) {
        const struct form_field *field = &form->fields[i];
        if (strcmp(field->name, "scope") == 0) {
            if (!sim_parse_scopes(sim, field->value, &p->scopes))
                return "scope";
            p->has_scope = true;
        } else if (strcmp(field->name, "scope_data") == 0 && !read_scope_data(p, field->value)) {
            return "scope_data";
        }
    }
    return NULL;
}

static void reply_pair(struct sim *sim, const struct code_pair *pair, struct reply *rp)
{
    struct json_object *object = must(json_object_new_object());
    char uri[300];

    (void)snprintf(uri, sizeof(uri), "%s/code", sim->public_base);
    json_add(object, "user_code", pair->user_code);
    json_add(object, "device_code", pair->device_code);
    json_add(object, "verification_uri", uri);
    json_object_object_add(object, "expires_in", must(json_object_new_int64(sim->settings.code_lifetime)));
    json_object_object_add(object, "interval", must(json_object_new_int64(sim->settings.interval)));
    reply_json(rp, 200, "ok", object);
}

static void reply_invalid(struct reply *rp, const struct request *rq, const char *name)
{
    char description[128];

    (void)snprintf(description, sizeof(description), "The request has an invalid parameter : %s", name);
    reply_oauth_error(rp, rq, 400, strcmp(name, "scope") == 0 ? "invalid_scope" : "invalid_request",
                      description);
}

void handle_codepair(struct sim *sim, const struct request *rq, struct reply *rp)
{
    const char *response_type = form_get(&rq->form, "response_type");
    const char *client_id = form_get(&rq->form, "client_id");
    struct pair_request p = {.scopes = 0};

    if (rq->body_kind != BODY_FORM || rq->is_body_malformed)
        return reply_oauth_error(rp, rq, 400, "invalid_request", "Malformed request");
    if (reply_missing(rp, rq, "response_type", response_type))
        return;
    if (strcmp(response_type, "device_code") != 0)
        return reply_oauth_error(rp, rq, 400, "unsupported_response_type",
                                 "The response type is not supported by the authorization server");
    if (reply_missing(rp, rq, "client_id", client_id))
        return;

    const struct client *client = sim_find_client(sim, client_id);
    if (!client)
        return reply_oauth_error(rp, rq, 400, "unauthorized_client",
                                 "Not authorized for requested operation");
    const char *wrong = read_parameters(sim, &rq->form, &p);
    if (wrong)
        return reply_invalid(rp, rq, wrong);
    if (reply_missing(rp, rq, "scope", p.has_scope && p.scopes ? "yes" : NULL))
        return;
    bool wants_product = (p.scopes & scope_bit("alexa:all")) != 0;
    if (wants_product && reply_missing(rp, rq, "scope_data", p.has_scope_data ? "yes" : NULL))
        return;

    struct code_pair *pair = codes_add_pair(&sim->codes, client, p.scopes, sim->settings.code_lifetime);
    pair->is_unknown_product = wants_product && !p.has_product;
    reply_pair(sim, pair, rp);
}
