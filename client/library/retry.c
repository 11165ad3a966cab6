/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A request of the app's, and once more with a new token if the first was rejected. */

#include "client/library/cache.h"

/* What the second token was refused for is no fault of its age: the broker is not asked for a third, which
 * the provider would count against this device. */
static int give_up(struct lwa_client *client, const struct lwa_token *token)
{
    cache_drop(client->cache, lwa_token_get_id(token));
    return client_fail(client, OWN_TOKEN_REJECTED, NULL);
}

int lwa_client_call(struct lwa_client *client, const char *scope, const char *account, unsigned min_valid,
                    lwa_call_fn fn, void *userdata)
{
    for (bool is_second = false;; is_second = true) {
        _cleanup_(lwa_token_unrefp) struct lwa_token *token = NULL;
        int r = lwa_client_get_token(client, scope, account, min_valid, &token);
        if (r < 0)
            return r;
        r = fn(token, userdata);
        if (r != LWA_CALL_REJECTED)
            return r;
        if (is_second)
            return give_up(client, token);
        r = lwa_client_report_rejected(client, token);
        if (r < 0)
            return r;
    }
}
