/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.lwabroker.Policy1: its table of methods, and ListApps. */

#include "broker/policy1.h"

#include "broker/broker.h"
#include "broker/handlers.h"
#include "broker/peer.h"
#include "broker/permit.h"

/* --- ListApps ---------------------------------------------------------------------------------------- */

struct list_apps {
    struct permit permit;
    bool is_all;
};

static void drop_list_apps(void *state)
{
    struct list_apps *l = state;
    permit_drop(&l->permit);
    free(l);
}

static void write_app(struct writer *w, const struct peer *peer)
{
    const struct identity *id = &peer->identity;
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_string(w, "app", id->app);
    writer_entry_string(w, "kind", identity_kind_name(id));
    writer_entry_string(w, "strength", identity_strength_name(id));
    writer_entry_bool(w, "pinned", id->is_pinned);
    writer_entry_uint32(w, "uid", id->uid);
    writer_entry_string(w, "user", id->user);
    writer_entry_string(w, "unit", id->unit);
    writer_entry_string(w, "exe", id->exe);
    writer_entry_uint32(w, "pid", (uint32_t)id->pid);
    writer_entry_string(w, "connection", peer->name);
    writer_entry_uint32(w, "tokens", peer->n_holds);
    writer_close(w);
}

static void list_apps(struct call *call)
{
    const struct list_apps *l = call->state;
    struct broker *broker = call->broker;
    struct writer w;
    DBusMessage *reply = call_reply(call, &w);
    if (reply) {
        const struct peer *peer;
        writer_open(&w, DBUS_TYPE_ARRAY, "a{sv}");
        LIST_FOREACH (peer, &broker->peers_by_use, by_use)
            if (peer->is_known && peer != call->peer &&
                (l->is_all || peer->identity.uid == call->peer->identity.uid))
                write_app(&w, peer);
        writer_close(&w);
    }
    call_send(call, reply, &w);
}

static void authorize_list_apps(struct call *call)
{
    struct list_apps *l = call->state;
    if (l->is_all)
        permit_manage(&l->permit, call, "see the apps of all users (without `all`: own ones)", list_apps);
    else
        list_apps(call);
}

static void begin_list_apps(struct call *call)
{
    dbus_bool_t is_all = FALSE;
    struct reader_option options[] = {{"all", DBUS_TYPE_BOOLEAN, &is_all, false}};
    if (!handlers_read_options(call, 0, options, ARRAY_SIZE(options)))
        return;
    struct list_apps *l = calloc(1, sizeof(*l));
    if (!l) {
        call_fail_no_memory(call);
        return;
    }
    l->is_all = is_all;
    call->state = l;
    call->drop_state = drop_list_apps;
    call_identify_outside(call, authorize_list_apps);
}

/* --- all --------------------------------------------------------------------------------------------- */

const struct method policy1_methods[] = {
    {LWA_INTERFACE_POLICY, "ListApps", "a{sv}", begin_list_apps},
    {LWA_INTERFACE_POLICY, "Reload", "", policy1_begin_reload},
    {NULL, NULL, NULL, NULL},
};
