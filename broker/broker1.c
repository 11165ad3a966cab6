/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.lwabroker.Broker1 for apps. GetToken is in gettoken.c, ReportRejected in reportrejected.c, CheckScopes
 * in checkscopes.c. */

#include "autoconf.h"
#include "broker/account.h"
#include "broker/broker.h"
#include "broker/disclosure.h"
#include "broker/handlers.h"
#include "broker/peer.h"
#include "broker/token.h"
#include "broker/trail.h"

#include <string.h>

/* --- ReleaseTokens ----------------------------------------------------------------------------------- */

/* Of each token once, so that no app can fill the trail: it can still have the same one again. */
static void record_released(struct call *call)
{
    const struct identity *id = &call->peer->identity;
    const struct hold *h;
    LIST_FOREACH (h, &call->peer->holds, in_peer) {
        const struct token *token = h->token;
        struct disclosure *d = disclosure_find(token, id->app, id->uid);
        if (!d || d->is_released)
            continue;
        d->is_released = true;
        const struct trail_facts facts = {
            .peer = call->peer,
            .account = token->grant && token->grant->account ? token->grant->account->id : NULL,
            .owner = token->grant ? &token->grant->owner : NULL,
            .carried = &token->may_carry,
            .request = call->request,
            .grant = token->grant ? token->grant->row : 0,
            .token = token,
        };
        trail_write(call->broker, AUDIT_TOKEN_RELEASED, &facts);
    }
}

static void release(struct call *call)
{
    record_released(call);
    token_release_all(call->peer);
    call->peer->wants_accounts_changed = false;
    call_done(call);
}

static void release_tokens(struct call *call)
{
    call_identify(call, release);
}

/* --- properties -------------------------------------------------------------------------------------- */

static const char *const features[] = {"option:account", "option:min_valid", "flow:device-code",
                                       "flow:authorization-code", "flow:import"};

static void write_features(struct writer *w)
{
    struct strv all = STRV_EMPTY;
    for (size_t i = 0; i < ARRAY_SIZE(features); i++)
        if (strv_add(&all, features[i]) < 0)
            w->error = -ENOMEM;
    writer_entry_strv(w, "Features", &all);
    strv_clear(&all);
}

bool broker1_write_properties(struct call *call _unused_, struct writer *w, const char *name)
{
    bool is_version = !name || strcmp(name, "Version") == 0;
    bool is_features = !name || strcmp(name, "Features") == 0;
    if (is_version)
        writer_entry_string(w, "Version", PACKAGE_VERSION);
    if (is_features)
        write_features(w);
    return is_version || is_features;
}

const struct method broker1_methods[] = {
    {LWA_INTERFACE_BROKER, "GetToken", "asa{sv}", broker1_get_token},
    {LWA_INTERFACE_BROKER, "ReportRejected", "s", broker1_report_rejected},
    {LWA_INTERFACE_BROKER, "CheckScopes", "asa{sv}", broker1_check_scopes},
    {LWA_INTERFACE_BROKER, "ReleaseTokens", "", release_tokens},
    {NULL, NULL, NULL, NULL},
};
