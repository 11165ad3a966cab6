/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/library/notice.h"

#include "dbus/names.h"

struct notice {
    struct list node;
    uint64_t arrival;
    DBusMessage *message;
};

static bool is_wanted(const struct lwa_client *client, DBusMessage *m)
{
    if (dbus_message_has_interface(m, LWA_INTERFACE_BROKER))
        return client->revoked_fn != NULL;
    return !list_is_empty(&client->logins) || client->has_forgotten_login;
}

static struct notice *first(const struct lwa_client *client)
{
    return LIST_ENTRY(client->notices.next, struct notice, node);
}

static void drop(struct lwa_client *client, struct notice *notice)
{
    list_remove(&notice->node);
    client->n_notices--;
    dbus_message_unref(notice->message);
    free(notice);
}

int notice_add(struct lwa_client *client, DBusMessage *m)
{
    if (dbus_message_is_signal(m, LWA_INTERFACE_BROKER, "AccountsChanged")) {
        client->is_changed_due = true;
        return 0;
    }
    if (!is_wanted(client, m))
        return 0;
    struct notice *notice = calloc(1, sizeof(*notice));
    if (!notice)
        return -ENOMEM;
    if (client->n_notices == NOTICES_MAX)
        drop(client, first(client));
    notice->arrival = client->n_arrivals++;
    notice->message = dbus_message_ref(m);
    list_append(&client->notices, &notice->node);
    client->n_notices++;
    return 0;
}

bool notice_is_due(const struct lwa_client *client)
{
    return client->n_notices > 0 || client->is_gone_due || client->is_changed_due;
}

static void tell_revoked(struct lwa_client *client, DBusMessage *m)
{
    const char *token_id = NULL;
    const char *reason = NULL;
    if (client->revoked_fn && dbus_message_get_args(m, NULL, DBUS_TYPE_STRING, &token_id, DBUS_TYPE_STRING,
                                                    &reason, DBUS_TYPE_INVALID))
        client->revoked_fn(client, token_id, reason, client->revoked_userdata);
}

static void tell(struct lwa_client *client, DBusMessage *m)
{
    if (dbus_message_is_signal(m, LWA_INTERFACE_BROKER, "TokenRevoked"))
        tell_revoked(client, m);
    else if (!dbus_message_has_interface(m, LWA_INTERFACE_BROKER))
        login_handle_signal(client, m);
}

uint64_t notice_get_first(const struct lwa_client *client)
{
    return client->n_notices > 0 ? first(client)->arrival : UINT64_MAX;
}

void notice_deliver_first(struct lwa_client *client)
{
    DBusMessage *m = dbus_message_ref(first(client)->message);
    drop(client, first(client));
    tell(client, m);
    dbus_message_unref(m);
}

void notice_deliver_changes(struct lwa_client *client)
{
    if (client->is_gone_due) {
        client->is_gone_due = false;
        login_handle_gone(client);
    }
    if (client->is_changed_due) {
        client->is_changed_due = false;
        if (client->changed_fn)
            client->changed_fn(client, client->changed_userdata);
    }
}

void notice_clear(struct lwa_client *client)
{
    while (client->n_notices > 0)
        drop(client, first(client));
}
