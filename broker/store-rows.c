/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"

#include <string.h>

/* What the operations do, each inside a savepoint of the worker's transaction: whatever is returned but 0
 * undoes all of it.
 *
 * Sealing. An owner's key is sealed under the master key for its row in `owner`; a grant's tokens are sealed
 * under the owner's key for their row, column, generation, endpoint and client id. A rotation writes both
 * tokens anew under the new generation, so that neither can be put back from an earlier state of the row. */

/* --- owners ------------------------------------------------------------------------------------------ */

void store_rows_owner_text(bool device, int64_t uid, const char *name, char ret[STORE_OWNER_TEXT_SIZE])
{
    if (device)
        (void)snprintf(ret, STORE_OWNER_TEXT_SIZE, "device");
    else
        (void)snprintf(ret, STORE_OWNER_TEXT_SIZE, "user:%lld:%s", (long long)uid, name);
}

struct seal_context store_rows_owner_context(int64_t row, const char *owner)
{
    return (struct seal_context){.schema = STORE_SEAL_SCHEMA,
                                 .table = "owner",
                                 .row = row,
                                 .owner = owner,
                                 .endpoint = "",
                                 .client_id = ""};
}

static int unseal_errno(int r)
{
    return r == SEAL_E_BROKEN ? -EBADMSG : r;
}

static int find_owner(struct store_db *db, const struct secret *master, int64_t uid, const char *name,
                      const char *text, int64_t *ret_row, struct secret **ret_key)
{
    _cleanup_statement_ struct statement st =
        statement_open(db, SLOT_NONE, "SELECT id, key FROM owner WHERE uid = ? AND name = ?");
    statement_int(&st, uid);
    statement_text(&st, name);
    int r = statement_step(&st);
    if (r <= 0)
        return r < 0 ? r : STORE_E_GONE;

    int64_t row = statement_get_int(&st, 0);
    struct seal_context context = store_rows_owner_context(row, text);
    r = unseal_errno(unseal(master, &context, sqlite3_column_blob(st.stmt, 1),
                            (size_t)sqlite3_column_bytes(st.stmt, 1), ret_key));
    if (r == 0)
        *ret_row = row;
    return r;
}

int store_rows_seal_into(struct store_db *db, const char *sql, const struct secret *key,
                         const struct seal_context *context, const struct secret *secret)
{
    _cleanup_free_ unsigned char *blob = NULL;
    size_t n;
    int r = seal(key, context, secret, &blob, &n);
    if (r < 0)
        return r;
    _cleanup_statement_ struct statement st = statement_open(db, SLOT_NONE, sql);
    statement_blob(&st, blob, n);
    statement_int(&st, context->row);
    return statement_run(&st);
}

/* The row's number is in the associated data, so the row comes first and what is sealed second. */
static int add_owner(struct store_db *db, const struct secret *master, int64_t uid, const char *name,
                     const char *text, int64_t *ret_row, struct secret **ret_key)
{
    _cleanup_statement_ struct statement st =
        statement_open(db, SLOT_NONE, "INSERT INTO owner (uid, name, key) VALUES (?, ?, x'')");
    statement_int(&st, uid);
    statement_text(&st, name);
    int r = statement_run(&st);
    if (r < 0)
        return r;

    _cleanup_(secret_freep) struct secret *key = NULL;
    r = secret_new_random(SEAL_KEY_BYTES, &key);
    if (r < 0)
        return r;
    struct seal_context context = store_rows_owner_context(sqlite3_last_insert_rowid(db->sqlite), text);
    r = store_rows_seal_into(db, "UPDATE owner SET key = ? WHERE id = ?", master, &context, key);
    if (r < 0)
        return r;
    *ret_row = context.row;
    *ret_key = TAKE_PTR(key);
    return 0;
}

static int drop_owner_if_unused(struct store_db *db, int64_t owner)
{
    _cleanup_statement_ struct statement st = statement_open(
        db, SLOT_NONE,
        "DELETE FROM owner WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM account WHERE owner = ?1)"
        " AND NOT EXISTS (SELECT 1 FROM grant WHERE owner = ?1)");
    statement_int(&st, owner);
    return statement_run(&st);
}

/* --- grants ------------------------------------------------------------------------------------------ */

/* One grant, found alive and of the generation that was asked for. The statement stays open under it: the
 * texts of the context are its columns. */
struct open_grant {
    struct statement st;
    char owner[STORE_OWNER_TEXT_SIZE];
    struct seal_context context;
    struct secret *key;
};

static void open_grant_close(struct open_grant *g)
{
    statement_close(&g->st);
    secret_free(g->key);
}

static int open_grant(struct store_db *db, const struct secret *master, const struct store_op *op,
                      struct open_grant *g)
{
    g->st = statement_open(db, SLOT_GRANT_OPEN,
                           "SELECT g.endpoint, g.client_id, g.token, g.previous, o.id, o.uid, o.name, o.key"
                           " FROM grant g JOIN owner o ON o.id = g.owner"
                           " WHERE g.id = ? AND g.generation = ? AND NOT g.dead");
    statement_int(&g->st, op->row);
    statement_int(&g->st, (int64_t)op->generation);
    int r = statement_step(&g->st);
    if (r <= 0)
        return r < 0 ? r : STORE_E_GONE;

    int64_t uid = statement_get_int(&g->st, 5);
    store_rows_owner_text(uid < 0, uid, statement_get_text(&g->st, 6), g->owner);
    g->context = (struct seal_context){.schema = STORE_SEAL_SCHEMA,
                                       .table = "grant.token",
                                       .row = op->row,
                                       .owner = g->owner,
                                       .generation = op->generation,
                                       .endpoint = statement_get_text(&g->st, 0),
                                       .client_id = statement_get_text(&g->st, 1)};
    if (g->st.r < 0)
        return g->st.r;
    struct seal_context owner = store_rows_owner_context(statement_get_int(&g->st, 4), g->owner);
    return unseal_errno(unseal(master, &owner, sqlite3_column_blob(g->st.stmt, 7),
                               (size_t)sqlite3_column_bytes(g->st.stmt, 7), &g->key));
}

static struct seal_context token_context(const struct open_grant *g, enum store_token_which which,
                                         uint64_t generation)
{
    struct seal_context context = g->context;
    context.table = which == STORE_TOKEN_CURRENT ? "grant.token" : "grant.previous";
    context.generation = generation;
    return context;
}

static int open_token(const struct open_grant *g, enum store_token_which which, struct secret **ret)
{
    int column = which == STORE_TOKEN_CURRENT ? 2 : 3;
    if (sqlite3_column_type(g->st.stmt, column) == SQLITE_NULL)
        return -ENOENT;
    struct seal_context context = token_context(g, which, g->context.generation);
    return unseal_errno(unseal(g->key, &context, sqlite3_column_blob(g->st.stmt, column),
                               (size_t)sqlite3_column_bytes(g->st.stmt, column), ret));
}

static int insert_grant(struct store_db *db, const struct store_op *op, int64_t owner, int64_t *ret_row)
{
    _cleanup_statement_ struct statement st = statement_open(
        db, SLOT_NONE,
        "INSERT INTO grant (owner, target, label, endpoint, client_id, flow, may_carry, carries, claimed,"
        " created_sec, intent_sec, intent_generation, generation, token)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 1, x'')");
    statement_int(&st, owner);
    statement_text(&st, op->grant.target);
    statement_text(&st, op->grant.label);
    statement_text(&st, op->grant.endpoint);
    statement_text(&st, op->grant.client_id);
    statement_text(&st, op->grant.flow);
    statement_text(&st, op->grant.may_carry);
    statement_text(&st, op->grant.carries);
    statement_int(&st, op->grant.claimed);
    statement_int(&st, op->now_sec);
    statement_int(&st, op->now_sec);
    int r = statement_run(&st);
    if (r == 0)
        *ret_row = sqlite3_last_insert_rowid(db->sqlite);
    return r;
}

int store_rows_add_grant(struct store_db *db, const struct secret *master, struct store_op *op)
{
    const struct owner *owner = &op->grant.owner;
    int64_t uid = owner->device ? -1 : (int64_t)owner->uid;
    const char *name = owner->device ? "" : owner->name;
    char text[STORE_OWNER_TEXT_SIZE];
    store_rows_owner_text(owner->device, uid, name, text);

    _cleanup_(secret_freep) struct secret *key = NULL;
    int64_t owner_row = 0;
    int r = find_owner(db, master, uid, name, text, &owner_row, &key);
    if (r == STORE_E_GONE)
        r = add_owner(db, master, uid, name, text, &owner_row, &key);
    if (r != 0)
        return r;

    struct seal_context context = {.schema = STORE_SEAL_SCHEMA,
                                   .table = "grant.token",
                                   .owner = text,
                                   .generation = 1,
                                   .endpoint = op->grant.endpoint,
                                   .client_id = op->grant.client_id};
    r = insert_grant(db, op, owner_row, &context.row);
    if (r == 0)
        r = store_rows_seal_into(db, "UPDATE grant SET token = ? WHERE id = ?", key, &context, op->token);
    if (r < 0)
        return r;
    op->row = context.row;
    op->reply.row = context.row;
    op->reply.generation = 1;
    return 0;
}

/* --- refresh ----------------------------------------------------------------------------------------- */

int store_rows_refresh_begin(struct store_db *db, const struct secret *master, struct store_op *op)
{
    _cleanup_(open_grant_close) struct open_grant g = {.key = NULL};
    int r = open_grant(db, master, op, &g);
    if (r == 0)
        r = open_token(&g, op->which, &op->reply.token);
    if (r != 0)
        return r;

    _cleanup_statement_ struct statement st = statement_open(
        db, SLOT_INTENT, "UPDATE grant SET intent_sec = ?, intent_generation = generation WHERE id = ?");
    statement_int(&st, op->now_sec);
    statement_int(&st, op->row);
    op->reply.generation = op->generation;
    return statement_run(&st);
}

/* Nothing was rotated: the current token has proven itself, and the one before it is not needed any more. */
static int write_refreshed(struct store_db *db, const struct store_op *op)
{
    _cleanup_statement_ struct statement st =
        statement_open(db, SLOT_REFRESHED,
                       "UPDATE grant SET refreshed_sec = ?, previous = NULL, intent_sec = NULL,"
                       " intent_generation = NULL WHERE id = ?");
    statement_int(&st, op->now_sec);
    statement_int(&st, op->row);
    return statement_run(&st);
}

/* The next generation: `current`, and `previous` (or NULL) behind it. */
static int write_rotated(struct store_db *db, const struct store_op *op, const struct open_grant *g,
                         const struct secret *current, const struct secret *previous)
{
    _cleanup_free_ unsigned char *blob = NULL, *previous_blob = NULL;
    size_t n, n_previous = 0;
    struct seal_context context = token_context(g, STORE_TOKEN_CURRENT, op->generation + 1);
    struct seal_context previous_context = token_context(g, STORE_TOKEN_PREVIOUS, op->generation + 1);
    int r = seal(g->key, &context, current, &blob, &n);
    if (r == 0 && previous)
        r = seal(g->key, &previous_context, previous, &previous_blob, &n_previous);
    if (r < 0)
        return r;

    _cleanup_statement_ struct statement st = statement_open(
        db, SLOT_ROTATED,
        "UPDATE grant SET token = ?, previous = ?, refreshed_sec = ?,"
        " generation = generation + 1, intent_sec = NULL, intent_generation = NULL WHERE id = ?");
    statement_blob(&st, blob, n);
    statement_blob(&st, previous_blob, n_previous);
    statement_int(&st, op->now_sec);
    statement_int(&st, op->row);
    return statement_run(&st);
}

int store_rows_refresh_finish(struct store_db *db, const struct secret *master, struct store_op *op)
{
    _cleanup_(open_grant_close) struct open_grant g = {.key = NULL};
    _cleanup_(secret_freep) struct secret *used = NULL;
    int r = open_grant(db, master, op, &g);
    if (r == 0)
        r = open_token(&g, op->which, &used);
    if (r != 0)
        return r;

    bool differs = op->token && !secret_equal(op->token, used);
    op->reply.generation = op->generation;
    if (!differs && op->which == STORE_TOKEN_CURRENT)
        return write_refreshed(db, op);
    /* The token that was used stays behind a new one; if the previous one was used and nothing new came, it
     * is the current one again, and the one that failed is dropped. */
    op->reply.generation++;
    return write_rotated(db, op, &g, differs ? op->token : used, differs ? used : NULL);
}

int store_rows_refresh_fail(struct store_db *db, const struct secret *master _unused_, struct store_op *op)
{
    static const char *const texts[] = {
        [STORE_REFRESH_RETRY] = "UPDATE grant SET intent_sec = NULL, intent_generation = NULL"
                                " WHERE id = ?1 AND generation = ?2 AND NOT dead",
        /* Changes nothing, and tells whether it is there. */
        [STORE_REFRESH_AMBIGUOUS] =
            "UPDATE grant SET intent_sec = intent_sec WHERE id = ?1 AND generation = ?2 AND NOT dead",
        [STORE_REFRESH_DEAD] =
            "UPDATE grant SET intent_sec = NULL, intent_generation = NULL, dead = 1,"
            " dead_reason = ?3, refreshed_sec = ?4 WHERE id = ?1 AND generation = ?2 AND NOT dead",
    };
    _cleanup_statement_ struct statement st = statement_open(db, SLOT_NONE, texts[op->end]);
    statement_int(&st, op->row);
    statement_int(&st, (int64_t)op->generation);
    if (op->end == STORE_REFRESH_DEAD) {
        statement_text(&st, op->text);
        statement_int(&st, op->now_sec);
    }
    int r = statement_run(&st);
    if (r < 0)
        return r;
    op->reply.generation = op->generation;
    return sqlite3_changes(db->sqlite) == 1 ? 0 : STORE_E_GONE;
}

/* --- accounts ---------------------------------------------------------------------------------------- */

/* One number of one row, STORE_E_GONE without it. */
static int get_owner(struct store_db *db, const char *sql, int64_t row, int64_t *ret_owner)
{
    _cleanup_statement_ struct statement st = statement_open(db, SLOT_NONE, sql);
    statement_int(&st, row);
    int r = statement_step(&st);
    if (r <= 0)
        return r < 0 ? r : STORE_E_GONE;
    *ret_owner = statement_get_int(&st, 0);
    return 0;
}

static const char OWNER_OF_GRANT[] = "SELECT owner FROM grant WHERE id = ?";
static const char OWNER_OF_ACCOUNT[] = "SELECT owner FROM account WHERE id = ?";

/* Statements on two numbers, which is most of what is left. */
static int run_with(struct store_db *db, const char *sql, int64_t first, int64_t second)
{
    _cleanup_statement_ struct statement st = statement_open(db, SLOT_NONE, sql);
    statement_int(&st, first);
    if (sqlite3_bind_parameter_count(st.stmt) > 1)
        statement_int(&st, second);
    return statement_run(&st);
}

static int make_default(struct store_db *db, int64_t owner, int64_t account)
{
    return run_with(db, "UPDATE account SET is_default = (id = ?2) WHERE owner = ?1", owner, account);
}

static int insert_account(struct store_db *db, const struct store_op *op, int64_t owner, int64_t *ret_row)
{
    _cleanup_statement_ struct statement st =
        statement_open(db, SLOT_NONE,
                       "INSERT INTO account (owner, name, label, is_default, created_sec, customer)"
                       " VALUES (?, ?, ?, 0, ?, ?)");
    statement_int(&st, owner);
    statement_text(&st, op->to.id);
    statement_text(&st, op->to.label);
    statement_int(&st, op->now_sec);
    statement_blob(&st, op->to.customer, STORE_CUSTOMER_BYTES);
    int r = statement_run(&st);
    if (r < 0)
        return r;
    *ret_row = sqlite3_last_insert_rowid(db->sqlite);
    return op->to.is_default ? make_default(db, owner, *ret_row) : 0;
}

/* An account takes only grants of its own owner and customer (I8). */
static int check_account(struct store_db *db, const struct store_op *op, int64_t owner)
{
    _cleanup_statement_ struct statement st =
        statement_open(db, SLOT_NONE, "SELECT owner = ?2 AND customer = ?3 FROM account WHERE id = ?1");
    statement_int(&st, op->to.account_row);
    statement_int(&st, owner);
    statement_blob(&st, op->to.customer, STORE_CUSTOMER_BYTES);
    int r = statement_step(&st);
    if (r <= 0)
        return r < 0 ? r : STORE_E_GONE;
    return statement_get_int(&st, 0) ? 0 : -EPERM;
}

/* A statement on two numbers that returns the grants that it touched, and what each carries. */
static int run_on_grants(struct store_db *db, struct store_op *op, const char *sql, int64_t first,
                         int64_t second, const struct store_event *event)
{
    _cleanup_statement_ struct statement st = statement_open(db, SLOT_NONE, sql);
    statement_int(&st, first);
    if (sqlite3_bind_parameter_count(st.stmt) > 1)
        statement_int(&st, second);
    return store_events_add_grants(op, &st, event);
}

static int add_account(struct store_db *db, struct store_op *op, int64_t owner, int64_t *ret_row)
{
    int r = insert_account(db, op, owner, ret_row);
    return r < 0
               ? r
               : store_events_add(op, &(struct store_event){.event = AUDIT_ACCOUNT_ADDED,
                                                            .account = op->to.id,
                                                            .detail = op->to.is_default ? "default" : NULL});
}

int store_rows_link(struct store_db *db, const struct secret *master _unused_, struct store_op *op)
{
    int64_t owner, account = op->to.account_row;
    int r = get_owner(db, OWNER_OF_GRANT, op->to.grant, &owner);
    if (r == 0)
        r = account > 0 ? check_account(db, op, owner) : add_account(db, op, owner, &account);
    if (r == 0)
        r = run_on_grants(db, op,
                          "UPDATE grant SET account = ?2, target = '', label = '' WHERE id = ?1"
                          " RETURNING id, carries",
                          op->to.grant, account, &(struct store_event){.event = AUDIT_GRANT_ADDED});
    for (size_t i = 0; r == 0 && i < op->to.n_superseded; i++)
        if (op->to.superseded[i] != op->to.grant)
            r = run_on_grants(db, op, "DELETE FROM grant WHERE id = ? AND account = ? RETURNING id, carries",
                              op->to.superseded[i], account,
                              &(struct store_event){.event = AUDIT_GRANT_REMOVED, .detail = "superseded"});
    op->row = op->to.grant;
    op->reply.row = account;
    return r;
}

int store_rows_remove_grant(struct store_db *db, const struct secret *master _unused_, struct store_op *op)
{
    int64_t owner;
    int r = get_owner(db, OWNER_OF_GRANT, op->row, &owner);
    if (r == 0)
        r = run_with(db, "DELETE FROM grant WHERE id = ?", op->row, 0);
    return r == 0 ? drop_owner_if_unused(db, owner) : r;
}

/* Where an owner's default is gone, the oldest account that is left takes its place. */
static int hand_over_default(struct store_db *db, struct store_op *op, int64_t owner)
{
    _cleanup_statement_ struct statement st = statement_open(
        db, SLOT_NONE,
        "UPDATE account SET is_default = 1 WHERE id = (SELECT min(id) FROM account WHERE owner = ?1)"
        " AND NOT EXISTS (SELECT 1 FROM account WHERE owner = ?1 AND is_default) RETURNING name");
    statement_int(&st, owner);
    int r;
    while ((r = statement_step(&st)) == STEP_ROW) {
        const struct store_event event = {
            .event = AUDIT_ACCOUNT_CHANGED, .account = statement_get_text(&st, 0), .detail = "default"};
        r = st.r < 0 ? st.r : store_events_add(op, &event);
        if (r < 0)
            return r;
    }
    return r;
}

int store_rows_remove_account(struct store_db *db, const struct secret *master _unused_, struct store_op *op)
{
    int64_t owner;
    int r = get_owner(db, OWNER_OF_ACCOUNT, op->row, &owner);
    if (r == 0)
        r = run_on_grants(db, op, "DELETE FROM grant WHERE account = ? RETURNING id, carries", op->row, 0,
                          &(struct store_event){.event = AUDIT_GRANT_REMOVED, .detail = "account-removed"});
    if (r == 0)
        r = run_with(db, "DELETE FROM consent WHERE account = ?", op->row, 0);
    if (r == 0)
        r = run_with(db, "DELETE FROM account WHERE id = ?", op->row, 0);
    if (r == 0)
        r = hand_over_default(db, op, owner);
    return r == 0 ? drop_owner_if_unused(db, owner) : r;
}

int store_rows_change_account(struct store_db *db, const struct secret *master _unused_, struct store_op *op)
{
    int64_t owner;
    int r = get_owner(db, OWNER_OF_ACCOUNT, op->row, &owner);
    if (r == 0 && op->text) {
        _cleanup_statement_ struct statement st =
            statement_open(db, SLOT_NONE, "UPDATE account SET label = ? WHERE id = ?");
        statement_text(&st, op->text);
        statement_int(&st, op->row);
        r = statement_run(&st);
    }
    if (r == 0 && op->make_default)
        r = make_default(db, owner, op->row);
    op->reply.row = op->row;
    return r;
}

/* --- all of them ------------------------------------------------------------------------------------- */

int store_rows_run(struct store_db *db, const struct secret *master, struct store_op *op)
{
    int r = op->run ? op->run(db, master, op) : 0;
    for (struct audit_record *event = op->events; r == 0 && event; event = event->next)
        r = store_chain_add(op->chain, db, event);
    if (r != 0 || !op->record)
        return r;

    if (op->run && op->record->grant == 0)
        op->record->grant = op->names_grant ? op->row : 0;
    r = store_chain_add(op->chain, db, op->record);
    if (r == 0 && (!op->run || op->names_record))
        op->reply.row = op->record->sequence;
    return r;
}
