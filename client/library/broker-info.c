/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the broker says of itself: asked for once, and again when it is another broker. */

#include "client/library/cache.h"
#include "client/library/call.h"
#include "client/library/keeper.h"
#include "dbus/names.h"
#include "dbus/reader.h"
#include "dbus/writer.h"

#include <string.h>

static int read_info(struct lwa_client *client, DBusMessage *reply)
{
    _cleanup_strv_ struct strv features = STRV_EMPTY;
    const char *version = NULL;
    DBusMessageIter args;
    if (!dbus_message_iter_init(reply, &args) ||
        reader_find(&args, "Version", DBUS_TYPE_STRING, &version) != 0 ||
        reader_find(&args, "Features", DBUS_TYPE_ARRAY, &features) != 0)
        return client_fail(client, OWN_BAD_ANSWER, NULL);
    char *copy = strdup(version);
    if (!copy)
        return client_fail(client, OWN_NO_MEMORY, NULL);
    cache_forget_broker(client->cache);
    client->cache->broker_version = copy;
    client->cache->broker_features = features;
    features = STRV_EMPTY;
    return 0;
}

static int ask(struct lwa_client *client)
{
    _cleanup_message_ DBusMessage *message = NULL, *reply = NULL;
    struct writer w;
    int r = client_check(client);
    if (r < 0)
        return r;
    keeper_look(client);
    if (client->cache->broker_version)
        return 0;
    r = call_new(client, LWA_OBJECT_PATH, DBUS_INTERFACE_PROPERTIES, "GetAll", &message);
    if (r < 0)
        return r;
    writer_begin(&w, message);
    writer_string(&w, LWA_INTERFACE_BROKER);
    r = call_end(client, &w);
    if (r == 0)
        r = call_wait(client, message, "a{sv}", &reply);
    return r == 0 ? read_info(client, reply) : r;
}

int lwa_client_get_broker_version(struct lwa_client *client, const char **ret_version)
{
    int r = ask(client);
    if (r == 0)
        *ret_version = client->cache->broker_version;
    return r;
}

int lwa_client_has_feature(struct lwa_client *client, const char *feature)
{
    int r = ask(client);
    return r < 0 ? r : feature && strv_contains(&client->cache->broker_features, feature);
}
