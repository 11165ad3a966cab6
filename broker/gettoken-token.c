/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/gettoken.h"
#include "broker/peer.h"
#include "broker/schedule.h"
#include "broker/token.h"
#include "broker/verdict.h"
#include "util/clock.h"

#include <string.h>

#define LIFETIME_UNKNOWN_SEC 3600 /* of Amazon's tokens, until one was seen */

/* --- deliver ----------------------------------------------------------------------------------------- */

static void write_info(struct get_token *g, struct writer *w)
{
    struct broker *broker = g->call->broker;
    const struct token *token = g->grant->token;
    uint64_t now = boottime_usec();
    uint32_t left = token->expires_usec > now ? (uint32_t)((token->expires_usec - now) / USEC_PER_SEC) : 0;
    _cleanup_strv_ struct strv scopes = STRV_EMPTY;
    if (catalogue_names(broker->catalogue, token->carries, &scopes) < 0)
        w->error = -ENOMEM;

    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_string(w, "token_id", token->id);
    writer_entry_string(w, "token_type", "Bearer");
    writer_entry_strv(w, "scopes", &scopes);
    writer_entry_uint64(w, "expires_at", (uint64_t)wall_sec() + left);
    writer_entry_uint32(w, "expires_in", left);
    writer_entry_string(w, "account", g->account->id);
    writer_entry_string(w, "x_api_key", broker->config->security_profile_id);
    writer_entry_string(w, "api_base", broker->config->api_base);
    writer_close(w);
}

static void deliver(struct get_token *g, struct disclosure *d)
{
    _cleanup_close_ int fd = -1;
    int r = token_open(g->grant->token, &fd);
    if (r >= 0)
        r = token_hold(g->grant->token, g->peer);
    if (r < 0) {
        authorize_fail(g->call, r);
        return;
    }
    disclosure_count_delivery(d);

    struct writer w;
    DBusMessage *reply = call_reply(g->call, &w);
    if (reply) {
        writer_fd(&w, fd);
        write_info(g, &w);
    }
    call_send(g->call, reply, &w);
}

/* --- disclose ---------------------------------------------------------------------------------------- */

static void on_recorded(int r, void *userdata)
{
    struct get_token *g = userdata;
    g->disclosure_wait = NULL;
    /* What was used up is used up, also if the world changed meanwhile and the next pass ends elsewhere. */
    if (r == 0 && !scope_set_is_empty(g->using))
        get_token_agree(g, g->using_account, g->using);
    if (r == 0 || r == DISCLOSURE_E_GONE)
        get_token_start_over(g);
    else
        call_fail(g->call, BUS_E_AUDIT_UNAVAILABLE,
                  "The disclosure cannot be recorded, so no token is given out; see `lwactl status`.");
}

/* For a new record only: a repeated delivery is to be quick. */
static void print_chain(struct get_token *g, char ret[CHAIN_SIZE])
{
    const struct identity *who = &g->peer->identity;
    const struct disclosure *known = disclosure_find(g->grant->token, who->app, who->uid);
    ret[0] = '\0';
    if (known && known->is_durable && scope_set_is_empty(g->using))
        return;
    const struct chain chain = {
        .peer = g->peer,
        .account = g->account,
        .verdicts = &g->whole.verdicts,
        .scopes = g->whole.scopes,
        .polkit = strstr(g->decided_by, "polkit") ? "polkit yes" : NULL,
        .grant = g->grant->row,
    };
    chain_print(&chain, ret);
}

static void disclose(struct get_token *g)
{
    struct token *token = g->grant->token;
    const struct identity *identity = &g->peer->identity;
    g->using =
        verdict_needs_once(g->call->broker, identity, g->account, token->may_carry, get_token_agreed(g));
    g->using_account = g->account->row;
    char chain[CHAIN_SIZE];
    print_chain(g, chain);
    const struct trail_facts facts = {
        .peer = g->peer,
        .account = g->account->id,
        .owner = &g->account->owner,
        .asked = &g->asked,
        .carried = &token->may_carry,
        .verdict = "allow",
        .decided_by = g->decided_by,
        .chain = chain,
        .request = g->call->request,
        .grant = g->grant->row,
        .token = token,
    };
    struct disclosure *d = NULL;
    int r;
    if (scope_set_is_empty(g->using))
        r = disclosure_ensure(token, identity, &facts, on_recorded, g, &d, &g->disclosure_wait);
    else
        r = disclosure_use_once(token, identity, &facts, g->using, on_recorded, g, &g->disclosure_wait);
    if (r == DISCLOSURE_ANSWERED)
        deliver(g, d);
    else if (r < 0)
        authorize_fail(g->call, r);
}

/* --- token ------------------------------------------------------------------------------------------- */

/* After a wait: is the grant that this pass chose still there, under the same policy? */
bool get_token_is_grant_valid(struct get_token *g)
{
    struct broker *broker = g->call->broker;
    return g->epoch == broker->policy_epoch && get_token_find_account(g) == g->account && g->account &&
           grant_find(broker, g->grant_row) == g->grant && g->grant->account == g->account;
}

static void on_renewed(enum renewal_result result, void *userdata)
{
    struct get_token *g = userdata;
    g->renewal_wait = NULL;
    if (result == RENEWAL_OK || result == RENEWAL_DEAD || !get_token_is_grant_valid(g))
        get_token_start_over(g); /* dead: another grant may serve, or the grant is gone */
    else
        handlers_fail_renewal(g->call, g->grant, result);
}

static uint64_t lifetime_usec(const struct grant *grant)
{
    return grant->lifetime_usec ? grant->lifetime_usec : LIFETIME_UNKNOWN_SEC * USEC_PER_SEC;
}

static uint32_t longest_min_valid_sec(const struct grant *grant)
{
    return (uint32_t)(lifetime_usec(grant) / 2 / USEC_PER_SEC);
}

void get_token_ensure_token(struct get_token *g)
{
    if (g->ended) {
        g->ended(g, BUS_OK, SCOPE_SET_EMPTY);
        return;
    }
    /* Nobody has to be asked any more: the next call of this app may ask. */
    prompt_turn_drop(TAKE_PTR(g->turn));
    uint32_t longest = longest_min_valid_sec(g->grant);
    if (g->min_valid_sec > longest) {
        call_fail(g->call, BUS_E_INVALID_ARGUMENT,
                  "min_valid can be at most %u s, half the lifetime of this provider's tokens.", longest);
        return;
    }
    /* The configured floor gives way where tokens live so short that it would renew at every call. */
    uint64_t min_valid =
        schedule_floor_usec(lifetime_usec(g->grant), g->call->broker->config->min_valid_sec * USEC_PER_SEC);
    if (g->min_valid_sec * USEC_PER_SEC > min_valid)
        min_valid = g->min_valid_sec * USEC_PER_SEC;

    enum renewal_result result;
    int r = renewal_ensure(g->grant, min_valid, g->call->request, on_renewed, g, &result, &g->renewal_wait);
    if (r < 0)
        authorize_fail(g->call, r);
    else if (r == RENEWAL_ANSWERED && result == RENEWAL_OK)
        disclose(g);
    else if (r == RENEWAL_ANSWERED)
        handlers_fail_renewal(g->call, g->grant, result);
}
