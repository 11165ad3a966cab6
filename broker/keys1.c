/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.lwabroker.Keys1: a new master key, for administrators. The store does it (store_rekey()); once it has
 * begun it goes on, whether or not the caller is still there. */

#include "broker/authorize.h"
#include "broker/broker.h"
#include "broker/handlers.h"
#include "broker/peer.h"
#include "broker/trail.h"
#include "util/log.h"

#include <sodium.h>
#include <string.h>

#define ACTION_MANAGE "org.lwabroker.keys.manage"

struct rekey {
    struct call *call;
    struct polkit_check *check;
    struct store_op *op;
};

static void drop_rekey(void *state)
{
    struct rekey *k = state;
    polkit_check_drop(k->check);
    store_op_drop(k->op);
    free(k);
}

static void on_rekeyed(struct store_reply *stored, void *userdata)
{
    struct rekey *k = userdata;
    k->op = NULL;
    if (stored->r != 0) {
        log_error("the master key was not changed: %s", strerrordesc_np(-stored->r));
        call_fail(k->call, BUS_E_STORE_UNAVAILABLE,
                  "Nothing was changed: the new key or the login store cannot be written; the log says why.");
        return;
    }
    if (stored->is_key_beside)
        log_warning(
            "the key file could not be replaced: the new key is beside it, and the next start tries again");
    char id[2 * KEYS_ID_BYTES + 1];
    (void)sodium_bin2hex(id, sizeof(id), stored->key_id, KEYS_ID_BYTES);
    struct writer w;
    DBusMessage *reply = call_reply(k->call, &w);
    if (reply) {
        writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
        writer_entry_string(&w, "key_id", id);
        writer_entry_uint32(&w, "owners", (uint32_t)stored->row);
        writer_entry_bool(&w, "finished", !stored->is_key_beside);
        writer_close(&w);
    }
    call_send(k->call, reply, &w);
}

static void rekey(struct rekey *k)
{
    struct broker *broker = k->call->broker;
    const struct trail_facts facts = {.peer = k->call->peer, .request = k->call->request};
    struct audit_record *record = trail_new(broker, AUDIT_KEY_ROTATED, &facts);
    int r = record ? store_rekey(broker->store, record, on_rekeyed, k, &k->op) : -ENOMEM;
    if (r == -EOPNOTSUPP)
        call_fail(k->call, BUS_E_NOT_SUPPORTED,
                  "The key is a systemd credential, which the broker cannot change: hand over the new one as "
                  "key_credential and the old one as previous_key_credential, and restart lwa-brokerd.");
    else if (r < 0)
        call_fail_errno(k->call, r, NULL);
}

static void on_authorized(const struct polkit_answer *answer, void *userdata)
{
    struct rekey *k = userdata;
    k->check = NULL;
    if (authorize_answer_action(k->call, answer, ACTION_MANAGE, "change the key"))
        rekey(k);
}

static void authorize(struct call *call)
{
    struct rekey *k = call->state;
    struct authorize_question question;
    authorize_question_init(&question);
    bool may_prompt = dbus_message_get_allow_interactive_authorization(call->message);
    int r = authorize_action(call->peer, ACTION_MANAGE, &question, may_prompt, on_authorized, k, &k->check);
    if (r < 0)
        authorize_fail(call, r);
}

static void begin_rekey(struct call *call)
{
    if (!handlers_read_options(call, 0, NULL, 0))
        return;
    struct rekey *k = calloc(1, sizeof(*k));
    if (!k) {
        call_fail_no_memory(call);
        return;
    }
    k->call = call;
    call->state = k;
    call->drop_state = drop_rekey;
    call_identify_outside(call, authorize);
}

const struct method keys1_methods[] = {
    {LWA_INTERFACE_KEYS, "Rekey", "a{sv}", begin_rekey},
    {NULL, NULL, NULL, NULL},
};
