/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/stand-in.h"

#include <string.h>

void stand_in_init(struct peer *ret, const struct peer *payer, const char *connection,
                   const struct identity *identity)
{
    memset(ret, 0, sizeof(*ret));
    ret->broker = payer->broker;
    ret->quota = (struct quota){
        .quotas = payer->quota.quotas, .parent = payer->quota.parent, .level = QUOTA_CONNECTION};
    ret->identity = *identity;
    ret->is_known = true;
    list_init(&ret->by_use);
    list_init(&ret->calls);
    list_init(&ret->decisions);
    list_init(&ret->holds);
    list_init(&ret->logins);
    (void)snprintf(ret->name, sizeof(ret->name), "%s", connection);
}

void stand_in_deinit(struct peer *stand_in)
{
    if (stand_in->broker)
        authorize_forget_peer(stand_in);
}
