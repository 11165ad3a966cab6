/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the simulator tells about itself. It hides nothing: tests need the tokens to look for them. */

#include "tests/sim/control.h"

#include "tests/sim/memory.h"
#include "tests/sim/scopes.h"

#include <sodium.h>
#include <string.h>

static void add_number(struct json_object *object, const char *name, int64_t value)
{
    json_object_object_add(object, name, must(json_object_new_int64(value)));
}

static void add_scopes(struct json_object *object, uint64_t scopes)
{
    _cleanup_free_ char *text = scopes_join(scopes);

    json_add(object, "scope", text);
}

static struct json_object *pairs_to_json(const struct codes *codes)
{
    static const char *const states[] = {
        [PAIR_PENDING] = "pending",
        [PAIR_ALLOWED] = "allowed",
        [PAIR_DENIED] = "denied",
    };
    struct json_object *array = must(json_object_new_array());
    struct code_pair *pair;

    LIST_FOREACH (pair, &codes->pairs, node) {
        struct json_object *object = must(json_object_new_object());
        json_add(object, "user_code", pair->user_code);
        json_add(object, "device_code", pair->device_code);
        json_add(object, "client_id", pair->client->id);
        json_add(object, "state", code_pair_is_expired(pair) ? "expired" : states[pair->state]);
        add_scopes(object, pair->scopes);
        json_object_array_add(array, object);
    }
    return array;
}

static void add_sha256(struct json_object *object, const char *name, const char *value)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    char hex[2 * crypto_hash_sha256_BYTES + 1];

    (void)crypto_hash_sha256(hash, (const unsigned char *)value, strlen(value));
    (void)sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
    json_add(object, name, hex);
}

static struct json_object *grants_to_json(const struct ledger *ledger)
{
    struct json_object *array = must(json_object_new_array());
    struct grant *grant;

    LIST_FOREACH (grant, &ledger->grants, node) {
        struct json_object *object = must(json_object_new_object());
        add_number(object, "id", grant->id);
        json_add(object, "client_id", grant->client->id);
        json_add(object, "customer", grant->customer->name);
        json_add(object, "user_id", grant->customer->user_id);
        add_scopes(object, grant->scopes);
        json_object_object_add(object, "revoked", json_object_new_boolean(grant->is_revoked));
        add_number(object, "refreshes", grant->n_refreshes);
        if (grant->refresh) {
            json_add(object, "last_refresh_token", grant->refresh->value);
            add_sha256(object, "last_refresh_token_sha256", grant->refresh->value);
        }
        json_object_array_add(array, object);
    }
    return array;
}

static struct json_object *clients_to_json(const struct sim *sim)
{
    struct json_object *object = must(json_object_new_object());

    json_add(object, "client_id", sim->device_client.id);
    json_add(object, "web_client_id", sim->web_client.id);
    json_add(object, "client_secret", sim->web_client.secret);
    json_add(object, "security_profile_id", sim->security_profile_id);
    return object;
}

void control_state(struct sim *sim, const struct request *rq _unused_, struct reply *rp)
{
    struct json_object *object = must(json_object_new_object());

    json_add(object, "public_base", sim->public_base);
    json_object_object_add(object, "clients", clients_to_json(sim));
    json_object_object_add(object, "settings", settings_to_json(&sim->settings));
    json_object_object_add(object, "counters", counters_to_json(&sim->counters));
    json_object_object_add(object, "faults", faults_to_json(&sim->faults));
    add_number(object, "refreshes_under_way", sim->refreshes_under_way);
    add_number(object, "refreshes_at_once_max", sim->refreshes_at_once_max);
    json_object_object_add(object, "code_pairs", pairs_to_json(&sim->codes));
    add_number(object, "grants", sim->ledger.n_grants);
    add_number(object, "tokens", sim->ledger.n_tokens);
    json_object_object_add(object, "grant_list", grants_to_json(&sim->ledger));
    reply_json(rp, 200, "ok", object);
}

void control_tokens(struct sim *sim, const struct request *rq _unused_, struct reply *rp)
{
    struct json_object *object = must(json_object_new_object());
    struct json_object *refresh = must(json_object_new_array());
    struct json_object *access = must(json_object_new_array());
    struct token *token;

    LIST_FOREACH (token, &sim->ledger.tokens, node)
        json_object_array_add(token->is_refresh ? refresh : access,
                              must(json_object_new_string(token->value)));
    json_object_object_add(object, "refresh", refresh);
    json_object_object_add(object, "access", access);
    reply_json(rp, 200, "ok", object);
}
