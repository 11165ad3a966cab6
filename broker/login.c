/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/login.h"

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/peer.h"
#include "broker/proving.h"
#include "broker/timer.h"
#include "broker/trail.h"
#include "util/clock.h"
#include "util/log.h"

#include <string.h>

#define LOGIN_RESERVE_BYTES 16384

static const char *const state_names[] = {"starting", "waiting", "exchanging", "proving", "done"};

static const struct login_flow *const flows[] = {&login_flow_device, &login_flow_code, &login_flow_import};

const struct login_flow *login_flow_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(flows); i++)
        if (strcmp(flows[i]->name, name) == 0)
            return flows[i];
    return NULL;
}

/* --- life -------------------------------------------------------------------------------------------- */

void login_options_clear(struct login_options *options)
{
    free(options->label);
    free(options->locale);
    free(options->scope_data);
    free(options->redirect_uri);
    secret_free(options->token);
    *options = (struct login_options){NULL};
}

void login_free(struct login *login)
{
    list_remove(&login->in_peer);
    charge_release(&login->charge);
    lwa_request_drop(login->request);
    timer_drop(login->timer);
    store_op_drop(login->op);
    lwa_code_pair_clear(&login->pair);
    free(login->code.uri);
    secret_free(login->code.state);
    secret_free(login->code.verifier);
    login_options_clear(&login->options);
    free(login->endpoint);
    free(login->client_id);
    free(login->reserve);
    free(login);
}

int login_new(struct call *call, const struct login_flow *flow, struct login **ret,
              struct refusal *ret_refusal)
{
    struct broker *broker = call->broker;
    struct peer *peer = call->peer;
    struct login *login = calloc(1, sizeof(*login));
    if (!login)
        return -ENOMEM;
    /* At the app: a login can outlive its connection. */
    int r = quota_charge(peer->quota.parent, QUOTA_LOGINS, &login->charge, ret_refusal);
    if (r < 0) {
        free(login);
        return r;
    }
    login->broker = broker;
    login->peer = peer;
    trail_origin_set(&login->origin, call);
    login->flow = flow;
    login->number = ++broker->last_login;
    (void)snprintf(login->path, sizeof(login->path), "%s%llu", LWA_LOGIN_PATH_PREFIX,
                   (unsigned long long)login->number);
    list_append(&peer->logins, &login->in_peer);

    login->endpoint = strdup(broker->config->token_endpoint);
    login->client_id = strdup(broker->config->client_id);
    login->reserve = malloc(LOGIN_RESERVE_BYTES);
    if (!login->endpoint || !login->client_id || !login->reserve) {
        login_free(login);
        return -ENOMEM;
    }
    *ret = login;
    return 0;
}

struct login *login_find(struct peer *peer, const char *path)
{
    struct login *login;
    LIST_FOREACH (login, &peer->logins, in_peer)
        if (strcmp(login->path, path) == 0)
            return login;
    return NULL;
}

/* --- the trail --------------------------------------------------------------------------------------- */

static void record_failure(struct login *login, enum login_reason reason)
{
    const struct trail_facts facts = {
        .origin = &login->origin,
        .account = login->target,
        .owner = &login->owner,
        .asked = &login->scopes,
        .detail = login_reason_get(reason)->word,
    };
    trail_write(login->broker, AUDIT_LOGIN_FAILED, &facts);
}

/* --- properties and signals -------------------------------------------------------------------------- */

static bool is_wanted(const char *name, const char *property)
{
    return !name || strcmp(name, property) == 0;
}

bool login_write_properties(struct login *login, struct writer *w, const char *name)
{
    static const char *const known[] = {"State",        "UserCode", "VerificationUri",
                                        "AuthorizeUri", "Notice",   "ExpiresAt"};
    bool found = false;
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        found = found || is_wanted(name, known[i]);

    if (is_wanted(name, "State"))
        writer_entry_string(w, "State", state_names[login->state]);
    if (is_wanted(name, "UserCode"))
        writer_entry_string(w, "UserCode", login->pair.user_code);
    if (is_wanted(name, "VerificationUri"))
        writer_entry_string(w, "VerificationUri", login->pair.verification_uri);
    if (is_wanted(name, "AuthorizeUri"))
        writer_entry_string(w, "AuthorizeUri", login->code.uri ? login->code.uri : "");
    if (is_wanted(name, "Notice"))
        writer_entry_string(w, "Notice", login->notice ? login->notice : "");
    if (is_wanted(name, "ExpiresAt"))
        writer_entry_uint64(w, "ExpiresAt", (uint64_t)login->expires_sec);
    return found;
}

static DBusMessage *new_signal(struct login *login, const char *interface, const char *member)
{
    DBusMessage *signal = dbus_message_new_signal(login->path, interface, member);
    if (signal && !dbus_message_set_destination(signal, login->peer->name)) {
        dbus_message_unref(signal);
        return NULL;
    }
    return signal;
}

static int send_signal(struct login *login, DBusMessage *signal, struct writer *w)
{
    int r = writer_end(w);
    if (r == 0)
        bus_send(login->broker->bus, signal);
    dbus_message_unref(signal);
    return r;
}

void login_set_expiry(struct login *login, uint64_t sent_usec, uint32_t lifetime_sec)
{
    uint64_t now = boottime_usec();
    login->expires_usec = sent_usec + lifetime_sec * USEC_PER_SEC;
    uint64_t left = login->expires_usec > now ? login->expires_usec - now : 0;
    login->expires_sec = wall_sec() + (int64_t)(left / USEC_PER_SEC);
}

static int send_changed(struct login *login)
{
    DBusMessage *signal = new_signal(login, DBUS_INTERFACE_PROPERTIES, "PropertiesChanged");
    if (!signal)
        return -ENOMEM;
    struct writer w;
    writer_begin(&w, signal);
    writer_string(&w, LWA_INTERFACE_LOGIN_REQUEST);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    (void)login_write_properties(login, &w, NULL);
    writer_close(&w);
    writer_strv(&w, &STRV_EMPTY);
    return send_signal(login, signal, &w);
}

static void write_linked(struct login *login, const struct grant *grant, struct writer *w)
{
    const struct catalogue *catalogue = login->broker->catalogue;
    struct scope_set left_out = scope_set_minus(login->scopes, catalogue_expand(catalogue, grant->carries));
    _cleanup_strv_ struct strv scopes = STRV_EMPTY;
    _cleanup_strv_ struct strv refused = STRV_EMPTY;
    if (catalogue_names(catalogue, grant->carries, &scopes) < 0 ||
        catalogue_names(catalogue, left_out, &refused) < 0)
        w->error = -ENOMEM;
    writer_entry_string(w, "account", grant->account->id);
    writer_entry_strv(w, "scopes", &scopes);
    if (refused.n > 0)
        writer_entry_strv(w, "refused", &refused);
}

static void write_failed(const struct login_reason_info *reason, struct writer *w)
{
    if (reason->error != BUS_OK)
        writer_entry_string(w, "error", bus_error_name(reason->error));
    writer_entry_string(w, "reason", reason->word);
    writer_entry_string(w, "message", reason->message);
}

/* How a login ended. */
struct ending {
    enum login_reason reason;
    const struct grant *linked; /* of one that ended well */
};

static int send_finished(struct login *login, const struct ending *ending)
{
    const struct login_reason_info *info = login_reason_get(ending->reason);
    DBusMessage *signal = new_signal(login, LWA_INTERFACE_LOGIN_REQUEST, "Finished");
    if (!signal)
        return -ENOMEM;
    struct writer w;
    writer_begin(&w, signal);
    writer_string(&w, info->outcome);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    if (ending->linked)
        write_linked(login, ending->linked, &w);
    else if (info->message)
        write_failed(info, &w);
    writer_close(&w);
    return send_signal(login, signal, &w);
}

static int try_to_tell(struct login *login, const struct ending *ending)
{
    return ending ? send_finished(login, ending) : send_changed(login);
}

/* Who began it waits for these signals, and for nothing else: the memory that they need without any is set
 * aside. */
static void tell(struct login *login, const struct ending *ending)
{
    if (!login->peer)
        return;
    int r = try_to_tell(login, ending);
    if (r < 0) {
        free(TAKE_PTR(login->reserve));
        r = try_to_tell(login, ending);
        login->reserve = malloc(LOGIN_RESERVE_BYTES);
    }
    if (r < 0)
        log_warning("no memory for a signal of login %llu", (unsigned long long)login->number);
}

void login_set_state(struct login *login, enum login_state state)
{
    login->state = state;
    tell(login, NULL);
}

/* --- the end ----------------------------------------------------------------------------------------- */

static void end(struct login *login, enum login_reason reason, const struct grant *linked)
{
    login_set_state(login, LOGIN_DONE);
    tell(login, &(struct ending){reason, linked});
    login_free(login);
}

void login_fail(struct login *login, enum login_reason reason)
{
    record_failure(login, reason);
    end(login, reason, NULL);
}

void login_cancel(struct login *login)
{
    if (login->proving_grant)
        /* Its grant goes with it, and writes the trail; on_proven() is told, and ends it. */
        proving_cancel(login->proving_grant->proving, LOGIN_R_CANCELLED);
    else if (login->op)
        login->is_cancelled = true; /* on_stored() goes on */
    else
        login_fail(login, LOGIN_R_CANCELLED);
}

void login_abandon(struct login *login)
{
    if (login->op) {
        /* The store cannot be called back: on_stored() goes on, without a creator. */
        list_remove(&login->in_peer);
        login->peer = NULL;
        return;
    }
    if (login->proving_grant)
        proving_detach(login->proving_grant->proving, &login->charge);
    else
        record_failure(login, LOGIN_R_CALLER_LEFT);
    login_free(login);
}

/* --- from refresh token to account ------------------------------------------------------------------- */

static void on_proven(struct grant *grant, enum login_reason reason, void *userdata)
{
    struct login *login = userdata;
    login->proving_grant = NULL;
    end(login, reason, reason == LOGIN_R_LINKED ? grant : NULL);
}

/* The row of the store, as far as this module fills it in. The texts are the caller's to free. */
static int describe_grant(struct login *login, char **may_carry, char **carries, struct store_grant *ret)
{
    *may_carry = catalogue_join(login->broker->catalogue, login->may_carry);
    *carries = catalogue_join(login->broker->catalogue, login->carries);
    if (!*may_carry || !*carries)
        return -ENOMEM;
    *ret = (struct store_grant){
        .owner = login->owner,
        .target = login->target,
        .label = login->options.label ? login->options.label : "",
        .endpoint = login->endpoint,
        .client_id = login->client_id,
        .flow = login->flow->name,
        .may_carry = *may_carry,
        .carries = *carries,
        .claimed = login->flow->is_claimed,
    };
    return 0;
}

static int keep_grant(struct login *login, const struct store_reply *reply, struct grant **ret)
{
    _cleanup_free_ char *may_carry = NULL;
    _cleanup_free_ char *carries = NULL;
    struct store_grant stored;
    int r = describe_grant(login, &may_carry, &carries, &stored);
    if (r < 0)
        return r;
    stored.row = reply->row;
    stored.generation = reply->generation;
    r = grant_new(login->broker, &stored, ret);
    if (r == 0)
        list_append(&login->broker->unproven, &(*ret)->node);
    return r;
}

/* Cancelled while its refresh token was being stored: that goes again. */
static void take_back(struct login *login, int64_t row)
{
    if (store_remove_grant(login->broker->store, row, NULL, NULL, NULL, NULL) < 0)
        log_warning("grant %lld: a cancelled login could not be removed; it is proven at the next start",
                    (long long)row);
    login_fail(login, LOGIN_R_CANCELLED);
}

static int prove(struct login *login, const struct store_reply *reply)
{
    struct grant *grant;
    int r = keep_grant(login, reply, &grant);
    if (r < 0)
        return r;
    r = proving_start(grant, &login->origin, on_proven, login);
    if (r < 0) {
        grant_remove(grant, NULL);
        return r;
    }
    if (!login->peer)
        proving_detach(grant->proving, &login->charge);
    login->proving_grant = grant;
    return 0;
}

static void on_stored(struct store_reply *reply, void *userdata)
{
    struct login *login = userdata;
    login->op = NULL;
    if (login->broker->is_finished) {
        login_free(login); /* what is stored is proven at the next start */
        return;
    }
    if (reply->r != 0)
        login_fail(login, LOGIN_R_STORE);
    else if (login->is_cancelled)
        take_back(login, reply->row);
    else if (prove(login, reply) < 0)
        login_fail(login, LOGIN_R_MEMORY); /* as above */
    else if (login->peer)
        login_set_state(login, LOGIN_PROVING);
    else
        login_free(login);
}

void login_exchange(struct login *login, struct secret *refresh_token)
{
    if (login->state != LOGIN_EXCHANGING)
        login_set_state(login, LOGIN_EXCHANGING);
    _cleanup_free_ char *may_carry = NULL;
    _cleanup_free_ char *carries = NULL;
    struct store_grant grant;
    int r = describe_grant(login, &may_carry, &carries, &grant);
    if (r < 0)
        secret_free(refresh_token);
    else
        r = store_add_grant(login->broker->store, &grant, refresh_token, NULL, on_stored, login, &login->op);
    if (r < 0)
        login_fail(login, LOGIN_R_STORE);
}
