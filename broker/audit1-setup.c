/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Audit1.Setup: a new verification secret, for administrators. It goes out once, in a sealed memory file, and
 * is not kept: whoever takes over the machine later finds only the keys that follow from it. Once it has
 * begun it goes on, whether or not the caller is still there; then nobody has the secret, and it is done
 * again. */

#include "broker/audit-secret.h"
#include "broker/audit-text.h"
#include "broker/audit1.h"
#include "broker/broker.h"
#include "broker/handlers.h"
#include "broker/permit.h"
#include "broker/trail.h"
#include "util/file.h"
#include "util/log.h"

#include <string.h>

#define ACTION_MANAGE "org.lwabroker.keys.manage"

struct setup_call {
    struct permit permit;
    struct call *call;
    struct store_op *op;
};

static void drop_setup(void *state)
{
    struct setup_call *s = state;
    permit_drop(&s->permit);
    store_op_drop(s->op);
    free(s);
}

static int seal_secret(const struct audit_chain_key *key, int *ret_fd)
{
    char text[AUDIT_SECRET_TEXT_SIZE];
    audit_secret_format(key, text);
    int r = file_new_sealed("lwa-audit-secret", text, strlen(text), ret_fd);
    secret_wipe(text, sizeof(text));
    return r;
}

static void write_info(struct writer *w, const struct audit_chain_key *key)
{
    char id[AUDIT_KEY_ID_TEXT_SIZE];
    audit_key_id_format(key, id);
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_string(w, "key_id", id);
    writer_entry_uint64(w, "epoch", key->epoch);
    writer_close(w);
}

static void reply(struct call *call, const struct audit_chain_key *key)
{
    _cleanup_close_ int fd = -1;
    int r = seal_secret(key, &fd);
    if (r < 0) {
        call_fail(call, BUS_E_AUDIT_UNAVAILABLE,
                  "The secret was made and cannot be handed over, so nobody has it: do it again.");
        return;
    }
    struct writer w;
    DBusMessage *message = call_reply(call, &w);
    if (message) {
        writer_fd(&w, fd);
        write_info(&w, key);
    }
    call_send(call, message, &w);
}

static void on_made(struct store_reply *stored, void *userdata)
{
    struct setup_call *s = userdata;
    s->op = NULL;
    if (stored->r != 0) {
        log_error("no verification secret was made: %s", strerrordesc_np(-stored->r));
        call_fail(
            s->call, BUS_E_AUDIT_UNAVAILABLE,
            "No secret was made: the audit trail or its key file cannot be written; see `lwactl status`.");
        return;
    }
    const struct audit_chain_key key = {
        .epoch = stored->epoch, .first_epoch = stored->epoch, .key = stored->token};
    reply(s->call, &key);
}

static void make(struct call *call)
{
    struct setup_call *s = call->state;
    const struct trail_facts facts = {.peer = call->peer, .request = call->request};
    struct audit_record *record = trail_new(call->broker, AUDIT_TRAIL_KEY_CREATED, &facts);
    int r = record ? store_setup_audit(call->broker->store, record, on_made, s, &s->op) : -ENOMEM;
    if (r < 0)
        call_fail_errno(call, r, NULL);
}

static void authorize(struct call *call)
{
    struct setup_call *s = call->state;
    permit_ask(&s->permit, call, ACTION_MANAGE, "make a verification secret", NULL, make);
}

void audit1_begin_setup(struct call *call)
{
    if (!handlers_read_options(call, 0, NULL, 0))
        return;
    struct setup_call *s = calloc(1, sizeof(*s));
    if (!s) {
        call_fail_no_memory(call);
        return;
    }
    s->call = call;
    call->state = s;
    call->drop_state = drop_setup;
    call_identify_outside(call, authorize);
}
