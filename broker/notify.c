/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/notify.h"

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/peer.h"

static DBusMessage *new_signal(const struct peer *to, const char *interface, const char *member)
{
    DBusMessage *signal = dbus_message_new_signal(LWA_OBJECT_PATH, interface, member);
    if (signal && !dbus_message_set_destination(signal, to->name)) {
        dbus_message_unref(signal);
        return NULL;
    }
    return signal;
}

/* Sends a signal of zero to two strings. A signal that memory cannot hold is not sent: it tells of a fact
 * that the next call shows anyway. */
static void send_strings(struct peer *to, const char *interface, const char *member, const char *first,
                         const char *second)
{
    DBusMessage *signal = new_signal(to, interface, member);
    if (!signal)
        return;
    struct writer w;
    writer_begin(&w, signal);
    if (first)
        writer_string(&w, first);
    if (second)
        writer_string(&w, second);
    if (writer_end(&w) == 0)
        bus_send(to->broker->bus, signal);
    dbus_message_unref(signal);
}

void notify_token_revoked(struct peer *holder, const char *token_id, const char *reason)
{
    send_strings(holder, LWA_INTERFACE_BROKER, "TokenRevoked", token_id, reason);
}

static bool concerns(const struct peer *peer, const struct owner *owner)
{
    return peer->is_known && (owner->device || peer->identity.uid == owner->uid);
}

static void visit_accounts_changed(struct peer *peer, void *userdata)
{
    if (peer->wants_accounts_changed && concerns(peer, userdata))
        send_strings(peer, LWA_INTERFACE_BROKER, "AccountsChanged", NULL, NULL);
}

void notify_accounts_changed(struct broker *broker, const struct owner *owner)
{
    struct owner copy = *owner;
    peers_foreach(broker, visit_accounts_changed, &copy);
}

struct attention {
    struct owner owner;
    const char *account;
    const char *reason;
};

static void visit_attention(struct peer *peer, void *userdata)
{
    const struct attention *a = userdata;
    if (peer->wants_attention && concerns(peer, &a->owner) && !identity_is_sandboxed(&peer->identity))
        send_strings(peer, LWA_INTERFACE_ACCOUNTS, "AttentionNeeded", a->account, a->reason);
}

void notify_attention(struct broker *broker, const struct owner *owner, const char *account,
                      const char *reason)
{
    struct attention a = {*owner, account, reason};
    peers_foreach(broker, visit_attention, &a);
}
