/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Audit1.Matrix: apps by scopes (matrix.h). All of it needs audit.read; the apps of the caller's own accounts
 * audit.read-own. */

#include "broker/account.h"
#include "broker/audit1.h"
#include "broker/broker.h"
#include "broker/handlers.h"
#include "broker/limits.h"
#include "broker/matrix.h"
#include "broker/peer.h"
#include "broker/permit.h"
#include "util/clock.h"

#define SINCE_DEFAULT_SEC (90 * 86400)

struct matrix_call {
    struct permit permit;
    struct call *call;
    bool is_own;
    int64_t since_sec;
    struct store_op *op;
};

static void drop_matrix(void *state)
{
    struct matrix_call *c = state;
    permit_drop(&c->permit);
    store_op_drop(c->op);
    free(c);
}

/* --- rows -------------------------------------------------------------------------------------------- */

struct sheet {
    const struct matrix *matrix;
    unsigned n_rows;
    bool is_complete;
};

static void write_row(struct sheet *sheet, struct writer *w, const struct matrix_app *app,
                      const struct account *account, const char *allowed, int scope)
{
    const struct matrix_cell *cell = &app->cells[scope];
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_string(w, "app", app->app);
    if (app->uid != (uid_t)-1)
        writer_entry_uint32(w, "uid", app->uid);
    writer_entry_string(w, "user", app->user);
    writer_entry_string(w, "account", account ? account->id : "");
    writer_entry_string(w, "scope", catalogue_get(sheet->matrix->broker->catalogue, scope)->name);
    writer_entry_string(w, "allowed", allowed);
    writer_entry_uint64(w, "asked", cell->n_asked);
    writer_entry_int64(w, "asked_at", cell->asked_sec);
    writer_entry_int64(w, "used_at", cell->used_sec);
    writer_entry_int64(w, "denied_at", cell->denied_sec);
    writer_entry_int64(w, "held_until", cell->held_until_sec);
    writer_entry_bool(w, "complete", sheet->is_complete);
    writer_close(w);
}

static void write_app(struct sheet *sheet, struct writer *w, const struct matrix_app *app)
{
    const struct catalogue *catalogue = sheet->matrix->broker->catalogue;
    struct verdicts verdicts;
    const struct account *account = matrix_decide(sheet->matrix, app, &verdicts);
    for (int i = scope_set_next(&app->scopes, 0); i >= 0; i = scope_set_next(&app->scopes, i + 1)) {
        struct scope_set one = SCOPE_SET_EMPTY;
        scope_set_add(&one, i);
        if (sheet->n_rows++ == LIMIT_MATRIX_ROWS)
            return;
        enum verdict verdict = verdicts_least(&verdicts, catalogue_expand(catalogue, one));
        write_row(sheet, w, app, account, verdict_name(verdict), i);
    }
}

static unsigned count_rows(const struct matrix *m)
{
    unsigned n = 0;
    for (size_t i = 0; i < m->n; i++)
        n += scope_set_count(&m->apps[i]->scopes);
    return n;
}

static void reply(struct call *call, const struct matrix *m)
{
    struct sheet sheet = {.matrix = m, .is_complete = m->is_complete && count_rows(m) <= LIMIT_MATRIX_ROWS};
    struct writer w;
    DBusMessage *message = call_reply(call, &w);
    if (message) {
        writer_open(&w, DBUS_TYPE_ARRAY, "a{sv}");
        for (size_t i = 0; i < m->n && sheet.n_rows < LIMIT_MATRIX_ROWS; i++)
            write_app(&sheet, &w, m->apps[i]);
        writer_close(&w);
    }
    call_send(call, message, &w);
}

/* --- the call ---------------------------------------------------------------------------------------- */

static uid_t uid_only(const struct matrix_call *c)
{
    return c->is_own ? c->call->peer->identity.uid : (uid_t)-1;
}

static void on_stored(struct store_reply *stored, void *userdata)
{
    struct matrix_call *c = userdata;
    struct call *call = c->call;
    _cleanup_(matrix_clear) struct matrix m = {.n = 0};
    c->op = NULL;
    if (stored->r != 0) {
        audit1_fail_unreadable(call);
        return;
    }
    int r = matrix_make(call->broker, &call->peer->identity, uid_only(c), stored->matrix, &m);
    if (r < 0)
        call_fail_errno(call, r, NULL);
    else
        reply(call, &m);
}

static void read_trail(struct call *call)
{
    struct matrix_call *c = call->state;
    const struct identity *id = &call->peer->identity;
    struct store_matrix_question question = {
        .since_sec = c->since_sec, .now_sec = wall_sec(), .owner_uid = uid_only(c)};
    (void)snprintf(question.owner, sizeof(question.owner), "%s", id->user);
    int r = store_matrix_query(call->broker->store, &question, id->uid, on_stored, c, &c->op);
    if (r < 0)
        audit1_fail_errno(call, r);
}

static void permit(struct call *call)
{
    struct matrix_call *c = call->state;
    audit1_permit(&c->permit, call, c->is_own, read_trail);
}

void audit1_begin_matrix(struct call *call)
{
    dbus_bool_t is_own = FALSE;
    dbus_int64_t since_sec = wall_sec() - SINCE_DEFAULT_SEC;
    struct reader_option options[] = {
        {"own", DBUS_TYPE_BOOLEAN, &is_own, false},
        {"since", DBUS_TYPE_INT64, &since_sec, false},
    };
    if (!handlers_read_options(call, 0, options, ARRAY_SIZE(options)))
        return;
    struct matrix_call *c = calloc(1, sizeof(*c));
    if (!c) {
        call_fail_no_memory(call);
        return;
    }
    c->call = call;
    c->is_own = is_own;
    c->since_sec = since_sec;
    call->state = c;
    call->drop_state = drop_matrix;
    call_identify_outside(call, permit);
}
